"""A small X on a free loopback port: one account, mentions, replies, media, faults on request.

It keeps the rules that a bot can trip over (who may be replied to, duplicate texts, page
sizes, media fields and sizes, rate limits, the OAuth 1.0a signature) and can do what the
real X does on a bad day: post the reply and then lose the answer.

Source: X API OpenAPI 2.167, docs "Rate limits" and "Posts lookup"; error texts as reported by
users; what tweepy 4.17.0 sends.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote, unquote

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Handler = Callable[[web.Request], Any]

API_KEY = "loopback-api-key"
API_SECRET = "loopback-api-secret"
ACCESS_TOKEN = "4242-loopback-access-token"
ACCESS_TOKEN_SECRET = "loopback-access-token-secret"

BOT_ID = "4242"
BOT_NAME = "imagine_bot"

ME = "GET /2/users/me"
MENTIONS = "GET /2/users/{id}/mentions"
OWN_POSTS = "GET /2/users/{id}/tweets"
UPLOAD = "POST /2/media/upload"
METADATA = "POST /2/media/metadata"
CREATE = "POST /2/tweets"

# Calls of one user in a window of 15 minutes.
LIMITS = {ME: 75, MENTIONS: 300, OWN_POSTS: 900, UPLOAD: 500, METADATA: 500, CREATE: 100}
WINDOW_S = 900
REACHABLE_POSTS = 800
MAX_PICTURE_BYTES = 5_000_000
EPOCH_MS = 1_288_834_974_657
SIGNED_BASE = "https://api.twitter.com"

ALWAYS_SENT = {"id", "text", "edit_history_tweet_ids"}
NEW_NAMES = {
    "edit_history_tweet_ids": "edit_history_post_ids",
    "referenced_tweets": "referenced_posts",
}

_NAME = re.compile(r"@(\w{1,15})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How one call goes wrong; ``is_committed``: after the work was done."""

    kind: Literal["answer", "html", "null", "reset", "hang", "truncated"]
    is_committed: bool = False
    status: int = 503
    detail: str = "Service Unavailable"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True, kw_only=True)
class Media:
    png: bytes
    alt_text: str | None = None


@dataclass(slots=True, kw_only=True)
class ServedPost:
    id: int
    root_id: int
    author: str
    author_id: str
    text: str
    hidden_length: int = 0
    reply_to: ServedPost | None = None
    retweet_of: ServedPost | None = None
    media: tuple[Media, ...] = ()
    made_with_ai: bool = False
    mentions: tuple[dict[str, Any], ...] = ()

    def explicitly_names(self, name: str) -> bool:
        return any(
            mention["username"].casefold() == name.casefold()
            and mention["start"] >= self.hidden_length
            for mention in self.mentions
        )

    def as_json(self) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "id": str(self.id),
            "text": self.text,
            "author_id": self.author_id,
            "conversation_id": str(self.root_id),
            "created_at": f"{_moment(self.id):%Y-%m-%dT%H:%M:%S.000Z}",
            "display_text_range": [self.hidden_length, len(self.text)],
            "edit_history_tweet_ids": list(dict.fromkeys([str(self.root_id), str(self.id)])),
        }
        if self.mentions:
            fields["entities"] = {"mentions": list(self.mentions)}
        if self.reply_to is not None:
            fields["in_reply_to_user_id"] = self.reply_to.author_id
            fields["referenced_tweets"] = [{"type": "replied_to", "id": str(self.reply_to.id)}]
        if self.retweet_of is not None:
            fields["referenced_tweets"] = [{"type": "retweeted", "id": str(self.retweet_of.id)}]
        return fields


class XServer:
    """Use it as ``async with XServer() as server``.

    ``violations`` lists what a well-behaved bot would not have done; ``calls`` every call.
    ``hidden_looks`` is how often the bot's own posts are served without its newest one.
    ``withheld`` are fields that are no longer sent, ``uses_new_names`` the other dialect.
    """

    def __init__(self, *, clock: Callable[[], datetime] | None = None) -> None:
        self._clock = clock or (lambda: datetime.now(UTC))
        self._user_ids = {BOT_NAME: BOT_ID}
        self._last_id = 0
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._used: defaultdict[str, list[float]] = defaultdict(list)
        self._closed_until: dict[str, float] = {}
        self._ending = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.posts: dict[int, ServedPost] = {}
        self.media: dict[str, Media] = {}
        self.calls: list[str] = []
        self.violations: list[str] = []
        self.limits = dict(LIMITS)
        self.hidden_looks = 0
        self.withheld: set[str] = set()
        self.uses_new_names = False

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        for call, handler in self._handlers().items():
            method, path = call.split()
            app.router.add_route(method, path, self._guarded(call, handler))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending.set()
        assert self._runner is not None
        await self._runner.cleanup()

    def environment(self) -> dict[str, str]:
        """The variables that turn the real process to this server."""
        return {
            "X_API_KEY": API_KEY,
            "X_API_SECRET": API_SECRET,
            "X_ACCESS_TOKEN": ACCESS_TOKEN,
            "X_ACCESS_TOKEN_SECRET": ACCESS_TOKEN_SECRET,
            "X_API_BASE": self.url,
        }

    # --- what people do

    def mention(self, author: str, text: str) -> str:
        """``author`` posts ``text``; returns the post's id."""
        return str(self._add(author, text).id)

    def reply(self, author: str, text: str, *, to: str) -> str:
        """``author`` answers a post; X puts the names of the others in front of it."""
        parent = self.posts[int(to)]
        names = [parent.author, *(mention["username"] for mention in parent.mentions)]
        prefix = "".join(f"@{name} " for name in dict.fromkeys(names) if name != author)
        post = self._add(author, prefix + text, hidden_length=len(prefix), reply_to=parent)
        return str(post.id)

    def retweet(self, author: str, post_id: str) -> str:
        original = self.posts[int(post_id)]
        text = f"RT @{original.author}: {original.text}"
        return str(self._add(author, text, retweet_of=original).id)

    def edit(self, post_id: str, text: str) -> str:
        """Replace a post by a newer version with an id of its own."""
        old = self.posts.pop(int(post_id))
        return str(self._add(old.author, text, root_id=old.root_id).id)

    def mention_late(self, author: str, text: str) -> ServedPost:
        """``author`` posts, but the post is not to be seen before ``show``."""
        post = self._add(author, text)
        del self.posts[post.id]
        return post

    def show(self, post: ServedPost) -> None:
        self.posts[post.id] = post

    def delete(self, post_id: str) -> None:
        del self.posts[int(post_id)]

    def fail(self, call: str, *faults: Fault) -> None:
        """Let the next calls of this kind go wrong, one after the other."""
        self._faults[call].extend(faults)

    # --- what the tests ask

    def replies_to(self, post_id: str) -> list[ServedPost]:
        """The bot's replies to a post."""
        return [
            post
            for post in self.posts.values()
            if post.author == BOT_NAME and post.reply_to and post.reply_to.id == int(post_id)
        ]

    def bot_posts(self) -> list[ServedPost]:
        return [post for post in self.posts.values() if post.author == BOT_NAME]

    # --- routes

    def _handlers(self) -> dict[str, Handler]:
        return {
            ME: self._me,
            MENTIONS: self._mentions,
            OWN_POSTS: self._own_posts,
            UPLOAD: self._upload,
            METADATA: self._metadata,
            CREATE: self._create,
        }

    def _guarded(self, call: str, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            self.calls.append(call)
            self._note_impatience(call)
            if not _is_signed(request):
                return _problem(401, "Unauthorized")
            if self._is_over_limit(call):
                return self._sealed(call, _problem(429, "Too Many Requests"))
            fault = self._faults[call].popleft() if self._faults[call] else None
            if fault is None:
                return self._sealed(call, await handler(request))
            if fault.is_committed:
                await handler(request)
            return await self._go_wrong(call, fault, request)

        return handle

    def _note_impatience(self, call: str) -> None:
        if self._clock().timestamp() < self._closed_until.get(call, 0):
            self.violations.append(f"{call} before the rate limit was over")

    def _is_over_limit(self, call: str) -> bool:
        now = self._clock().timestamp()
        self._used[call] = [moment for moment in self._used[call] if moment > now - WINDOW_S]
        if len(self._used[call]) >= self.limits[call]:
            self._closed_until[call] = self._reset_s(call)
            return True
        self._used[call].append(now)
        return False

    def _reset_s(self, call: str) -> int:
        started = self._used[call][0] if self._used[call] else self._clock().timestamp()
        return int(started) + WINDOW_S

    def _sealed(self, call: str, answer: web.Response) -> web.Response:
        answer.headers["x-rate-limit-limit"] = str(self.limits[call])
        answer.headers["x-rate-limit-remaining"] = str(self.limits[call] - len(self._used[call]))
        answer.headers["x-rate-limit-reset"] = str(self._reset_s(call))
        return answer

    async def _go_wrong(self, call: str, fault: Fault, request: web.Request) -> web.StreamResponse:
        match fault.kind:
            case "answer":
                reset = fault.headers.get("x-rate-limit-reset")
                if reset is not None:
                    self._closed_until[call] = float(reset)
                return _problem(fault.status, fault.detail, fault.headers)
            case "html":
                page = "<html>Something went wrong</html>"
                return web.Response(status=fault.status, text=page, content_type="text/html")
            case "null":
                return web.json_response(None, status=201)
            case "hang":
                await self._ending.wait()
                return web.Response()
            case "truncated":
                await _cut_off(request)
            case "reset":
                pass
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _me(self, _: web.Request) -> web.Response:
        return web.json_response({"data": {"id": BOT_ID, "username": BOT_NAME, "name": "Imagine"}})

    async def _mentions(self, request: web.Request) -> web.Response:
        return self._timeline(
            request,
            [
                post
                for post in self.posts.values()
                if post.author != BOT_NAME
                and any(mention["username"] == BOT_NAME for mention in post.mentions)
            ],
        )

    async def _own_posts(self, request: web.Request) -> web.Response:
        own = self.bot_posts()
        if self.hidden_looks > 0:
            self.hidden_looks -= 1
            own = own[:-1]
        return self._timeline(request, own)

    def _timeline(self, request: web.Request, posts: Iterable[ServedPost]) -> web.Response:
        query = request.query
        size = int(query.get("max_results", 10))
        if request.match_info["id"] != BOT_ID or not 5 <= size <= 100:
            return _problem(400, "The `max_results` or `id` query parameter value is not valid")
        newest_first = sorted(posts, key=lambda post: post.id, reverse=True)[:REACHABLE_POSTS]
        below = int(query.get("pagination_token", "t-9999999999999999999").removeprefix("t-"))
        since = int(query.get("since_id", 0))
        rest = [post for post in newest_first if since < post.id < below]
        return web.json_response(self._page(rest, size, query.get("tweet.fields", "")))

    def _page(self, rest: list[ServedPost], size: int, asked: str) -> dict[str, Any]:
        shown = rest[:size]
        meta: dict[str, Any] = {"result_count": len(shown)}
        if len(rest) > size:
            meta["next_token"] = f"t-{shown[-1].id}"
        if not shown:
            return {"meta": meta}
        meta |= {"newest_id": str(shown[0].id), "oldest_id": str(shown[-1].id)}
        fields = (ALWAYS_SENT | set(asked.split(","))) - self.withheld
        return {"data": [self._shown(post, fields) for post in shown], "meta": meta}

    def _shown(self, post: ServedPost, fields: set[str]) -> dict[str, Any]:
        names = NEW_NAMES if self.uses_new_names else {}
        return {
            names.get(name, name): value for name, value in post.as_json().items() if name in fields
        }

    async def _upload(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.keys() != {"media", "media_category"}:
            return _problem(400, "media and media_category are required, nothing else")
        try:
            png = base64.b64decode(body["media"], validate=True)
        except binascii.Error:
            return _problem(400, "media is not base64")
        if len(png) > MAX_PICTURE_BYTES:
            return web.Response(status=413, text="Request Entity Too Large")
        if not png.startswith(b"\x89PNG") or body["media_category"] != "tweet_image":
            return _problem(400, "media type unrecognized")
        media_id = str(1_900_000_000_000_000_000 + len(self.media))
        self.media[media_id] = Media(png=png)
        data = {"id": media_id, "media_key": f"3_{media_id}", "expires_after_secs": 86_400}
        return web.json_response({"data": data | {"size": len(png)}})

    async def _metadata(self, request: web.Request) -> web.Response:
        body = await request.json()
        text = body["metadata"]["alt_text"]["text"]
        if body["id"] not in self.media or not 0 < len(text) <= 1000:
            return _problem(400, "unknown media id, or alt text too long")
        self.media[body["id"]].alt_text = text
        return web.json_response({"data": {"id": body["id"]}})

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        media_ids = body.get("media", {}).get("media_ids", [])
        refusal = self._refusal(body, media_ids)
        if refusal is not None:
            return refusal
        media = tuple(self.media[media_id] for media_id in media_ids)
        self._note_manners(body, media)
        parent = self.posts[int(body["reply"]["in_reply_to_tweet_id"])]
        is_ai = body.get("made_with_ai", False)
        post = self._add(BOT_NAME, body["text"], reply_to=parent, media=media, made_with_ai=is_ai)
        # The real X was seen to send this list with one empty string.
        data = {"id": str(post.id), "text": post.text, "edit_history_tweet_ids": [""]}
        return web.json_response({"data": data}, status=201)

    def _refusal(self, body: Mapping[str, Any], media_ids: list[str]) -> web.Response | None:
        parent = self.posts.get(int(body["reply"]["in_reply_to_tweet_id"]))
        if parent is None:
            return _problem(
                403, "You attempted to reply to a Tweet that is deleted or not visible to you."
            )
        if not parent.explicitly_names(BOT_NAME):
            return _problem(
                403, "You can only reply to or quote posts where you are mentioned or the author."
            )
        if any(post.text == body["text"] for post in self.bot_posts()):
            return _problem(403, "You are not allowed to create a Tweet with duplicate content.")
        if len(body["text"]) > 280 or len(media_ids) > 4 or not self.media.keys() >= {*media_ids}:
            return _problem(400, "Your Tweet text is too long, or your media IDs are invalid.")
        return None

    def _note_manners(self, body: Mapping[str, Any], media: tuple[Media, ...]) -> None:
        if re.search(r"https?://|[@#$]", body["text"]):
            self.violations.append(f"a link, a name or a tag in: {body['text']}")
        if any(item.alt_text is None for item in media):
            self.violations.append("a picture without alt text")
        if media and body.get("made_with_ai") is not True:
            self.violations.append("a picture that is not marked as made with AI")

    # --- posts

    def _add(
        self, author: str, text: str, *, root_id: int | None = None, **more: Any
    ) -> ServedPost:
        post_id = self._next_id()
        post = ServedPost(
            id=post_id,
            root_id=root_id or post_id,
            author=author,
            author_id=self._user_id(author),
            text=text,
            mentions=self._mentions_in(text),
            **more,
        )
        self.posts[post_id] = post
        return post

    def _next_id(self) -> int:
        now_ms = int(self._clock().timestamp() * 1000)
        self._last_id = max(self._last_id + 1, (now_ms - EPOCH_MS) << 22)
        return self._last_id

    def _user_id(self, name: str) -> str:
        return self._user_ids.setdefault(name, str(5000 + len(self._user_ids)))

    def _mentions_in(self, text: str) -> tuple[dict[str, Any], ...]:
        return tuple(
            {
                "start": found.start(),
                "end": found.end(),
                "username": found[1],
                "id": self._user_id(found[1]),
            }
            for found in _NAME.finditer(text)
        )


def _moment(post_id: int) -> datetime:
    return datetime.fromtimestamp(((post_id >> 22) + EPOCH_MS) / 1000, UTC)


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = {"title": "Problem", "type": "about:blank", "status": status, "detail": detail}
    return web.json_response(body, status=status, headers=headers)


async def _cut_off(request: web.Request) -> None:
    answer = web.StreamResponse(status=201, headers={"Content-Length": "500"})
    answer.content_type = "application/json"
    await answer.prepare(request)
    await answer.write(b'{"data": {"id": ')


def _is_signed(request: web.Request) -> bool:
    """Check the OAuth 1.0a signature (RFC 5849, section 3.4) over X's own address."""
    header = request.headers.get("Authorization", "")
    pairs = re.findall(r'(\w+)="([^"]*)"', header.removeprefix("OAuth "))
    given = {name: unquote(value) for name, value in pairs}
    signature = given.pop("oauth_signature", "")
    known = {"oauth_consumer_key": API_KEY, "oauth_token": ACCESS_TOKEN}
    if not known.items() <= given.items() or not _is_recent(given.get("oauth_timestamp", "")):
        return False
    signed = [*given.items(), *request.query.items()]
    parameters = "&".join(sorted(f"{_escape(name)}={_escape(value)}" for name, value in signed))
    base = "&".join(map(_escape, (request.method, SIGNED_BASE + request.path, parameters)))
    key = f"{_escape(API_SECRET)}&{_escape(ACCESS_TOKEN_SECRET)}"
    digest = hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()
    return hmac.compare_digest(base64.b64encode(digest).decode(), signature)


def _is_recent(timestamp: str) -> bool:
    return timestamp.isdigit() and abs(time.time() - int(timestamp)) < 300


def _escape(text: str) -> str:
    return quote(text, safe="~")


def rate_limited(reset_at: datetime) -> Fault:
    headers = {"x-rate-limit-remaining": "0", "x-rate-limit-reset": f"{reset_at.timestamp():.0f}"}
    return Fault(kind="answer", status=429, detail="Too Many Requests", headers=headers)
