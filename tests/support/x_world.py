"""An X without a wire: people, posts, timelines, rules, limits, prices and bad days.

It keeps the rules that a bot can trip over and remembers what it costs. ``violations`` lists
what a well-behaved bot would not have done; a test asserts that there are none. The HTTP of
it is ``tests.support.x_server``; ``tests.support.x_memory`` speaks to it directly.

Source: X API OpenAPI 2.167, docs "Rate limits", "Pricing", "Posts lookup", "Edit Posts"; error
texts as reported by users.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tests.support.x_posts import (
    EPOCH_MS,
    StoredMedia,
    StoredPost,
    moment_of,
    size_of,
    weighted_length,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

BOT_ID = "4242"
BOT_NAME = "imagine_bot"

ME = "GET /2/users/me"
MENTIONS = "GET /2/users/{id}/mentions"
OWN_POSTS = "GET /2/users/{id}/tweets"
SEARCH = "GET /2/tweets/search/recent"
LOOKUP = "GET /2/tweets/{id}"
UPLOAD = "POST /2/media/upload"
METADATA = "POST /2/media/metadata"
CREATE = "POST /2/tweets"
DELETE = "DELETE /2/tweets/{id}"
# What no call of ours needs.
LOOKUPS = "GET /2/tweets"
USAGE = "GET /2/usage/tweets"

# Calls of one user in a window of 15 minutes.
LIMITS = {
    ME: 75, MENTIONS: 300, OWN_POSTS: 900, SEARCH: 300, LOOKUP: 900,
    UPLOAD: 500, METADATA: 500, CREATE: 100, DELETE: 50, LOOKUPS: 900, USAGE: 50,
}  # fmt: skip
PRICES_MICROS = {
    ME: 10_000,
    MENTIONS: 1_000,
    OWN_POSTS: 1_000,
    SEARCH: 5_000,
    LOOKUP: 5_000,
    UPLOAD: 0,
    METADATA: 5_000,
    CREATE: 10_000,
    DELETE: 10_000,
    LOOKUPS: 5_000,
    USAGE: 0,
}
READS = {MENTIONS, OWN_POSTS, SEARCH, LOOKUP, LOOKUPS}  # fmt: skip
WITH_A_LINK_MICROS = 200_000
WINDOW_S = 900
MAX_PICTURE_BYTES = 5_000_000
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8")

ALWAYS_SENT = {"id", "text", "edit_history_tweet_ids"}
NEW_NAMES = {
    "edit_history_tweet_ids": "edit_history_post_ids",
    "referenced_tweets": "referenced_posts",
    "note_tweet": "note_post",
}

_NAME = re.compile(r"@(\w{1,15})", re.ASCII)
_UNWELCOME = re.compile(r"https?://|[@#$\uff20\uff03\uff04]")

NOT_SUMMONED = (
    "Reply to this conversation is not allowed because you have not been mentioned or otherwise "
    "engaged by the author of the post you are replying to."
)
NOT_MENTIONED = "You can only reply to or quote posts where you are mentioned or are the author."
DELETED = "You attempted to reply to a Tweet that is deleted or not visible to you."
RESTRICTED = "The original Tweet author restricted who can reply to this Tweet."
PROTECTED = "Sorry, you are not authorized to see this status."
BLOCKED = "You have been blocked from the author of this post."
EDITED = "You can not reply to this version: there is a newer version of this post."
UNFIT = "Your Tweet text is too long, or your media IDs are invalid."
DUPLICATE = "You are not allowed to create a Tweet with duplicate content."


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How one call goes wrong.

    Attributes:
        kind: "hang" sends nothing, "slow" one byte after the other without ever an end.
        is_committed: The work is done before the answer is lost.
        late_s: The work is done so many seconds later.
        reset_in_s: A rate limit that is over after so many seconds.
        is_old_style: The body is of the form that X's first API had.
    """

    kind: Literal[
        "answer", "html", "null", "errors", "badjson", "reset", "hang", "slow", "truncated"
    ]
    is_committed: bool = False
    late_s: float | None = None
    status: int = 503
    detail: str = "Service Unavailable"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    reset_in_s: float | None = None
    is_old_style: bool = False


class Answer(NamedTuple):
    """What X would send: a status, a body, headers."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def detail(self) -> str:
        return str(self.body.get("detail", ""))


class Served(NamedTuple):
    """An answer, and how it is spoilt on its way."""

    answer: Answer
    fault: Fault | None


class XWorld:
    """One account of a bot among people.

    Attributes:
        calls: Every call, in order.
        fault_count: Calls that went wrong on purpose.
        violations: What a well-behaved bot would not have done.
        closed_until: When, in seconds, a rate limit of which the bot was told is over.
        spend_micros: What each UTC day has cost.
        mention_lag_s: How long new mentions stay hidden from timelines.
        own_lag_s: How long new posts of the bot stay hidden from its own timeline.
        hidden_looks: How often the bot's own posts are served without its newest one.
        blockers: People who have blocked the bot.
        protected: People whose posts only their followers see; the bot is none.
        suspended: People whose posts nobody sees any more.
        withheld: Fields that are no longer sent.
        uses_new_names: The dialect of ``post.fields``.
        forbids_duplicates: A text that was posted before is refused. It is not known whether X
            does so for replies with pictures, so no promise may rest on it.
        has_stuck_tokens: Page tokens lead to the page that they stand on.
        token_life_s: Page tokens expire.
    """

    def __init__(self, *, clock: Callable[[], datetime] | None = None) -> None:
        self.clock = clock or (lambda: datetime.now(UTC))
        self._user_ids = {BOT_NAME: BOT_ID}
        self._last_id = 0
        self._refresh_count = 0
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._used: defaultdict[str, list[float]] = defaultdict(list)
        self.closed_until: dict[str, float] = {}
        self._tokens: dict[str, tuple[int, datetime]] = {}
        self._late: list[tuple[datetime, Mapping[str, Any]]] = []
        self._billed: set[tuple[str, str, int]] = set()
        self.posts: dict[int, StoredPost] = {}
        self.media: dict[str, StoredMedia] = {}
        self.blockers: set[str] = set()
        self.protected: set[str] = set()
        self.suspended: set[str] = set()
        self.calls: list[str] = []
        self.fault_count = 0
        self.violations: list[str] = []
        self.spend_micros: defaultdict[str, int] = defaultdict(int)
        self.limits = dict(LIMITS)
        self.reachable_count = 800
        self.mention_lag_s = 0.0
        self.own_lag_s = 0.0
        self.hidden_looks = 0
        self.withheld: set[str] = set()
        self.uses_new_names = False
        self.has_stuck_tokens = False
        self.forbids_duplicates = True
        self.token_life_s = 600.0
        self.name = BOT_NAME

    # --- what people do

    def mention(self, author: str, text: str, **more: Any) -> str:
        """``author`` posts ``text``; returns the post's id."""
        return str(self._add(author, text, **more).id)

    def reply(self, author: str, text: str, *, to: str) -> str:
        """``author`` answers a post; X puts the names of the others in front of it."""
        parent = self.posts[int(to)]
        prefix = self._prefix(author, parent)
        post = self._add(
            author,
            prefix + text,
            hidden_length=len(prefix),
            reply_to_id=parent.id,
            reply_to_author_id=parent.author_id,
            conversation_id=parent.conversation_id,
        )
        return str(post.id)

    @staticmethod
    def _prefix(author: str, parent: StoredPost) -> str:
        """The names that X puts in front of a reply."""
        names = [parent.author, *(mention["username"] for mention in parent.mentions)]
        return "".join(f"@{name} " for name in dict.fromkeys(names) if name != author)

    def tag_in_photo(self, author: str, text: str) -> str:
        """``author`` tags the bot in a picture: it is among the mentions, but not named."""
        return str(self._add(author, text, is_photo_tag=True).id)

    def retweet(self, author: str, post_id: str) -> str:
        original = self.posts[int(post_id)]
        text = f"RT @{original.author}: {original.text}"
        return str(self._add(author, text, retweet_of_id=original.id).id)

    def quote(self, author: str, text: str, *, of: str) -> str:
        """``author`` shows a post under words of their own; none of its names become theirs."""
        return str(self._add(author, text, quote_of_id=int(of)).id)

    def edit(self, post_id: str, text: str) -> str:
        """Replace a post by a newer version with an id of its own."""
        old = self.posts[int(post_id)]
        new = self._add(old.author, text, root_id=old.root_id, conversation_id=old.conversation_id)
        return str(new.id)

    def delete(self, post_id: str) -> None:
        """The author deletes a post with all its versions."""
        root_id = self.posts[int(post_id)].root_id
        for post in self.posts.values():
            post.is_deleted |= post.root_id == root_id

    def fail(self, call: str, *faults: Fault) -> None:
        """Let the next calls of this kind go wrong, one after the other."""
        self._faults[call].extend(faults)

    def end_faults(self) -> None:
        """Let nothing go wrong from now on."""
        self._faults.clear()

    def user_id(self, name: str) -> str:
        return self._user_ids.setdefault(name, str(5000 + len(self._user_ids)))

    # --- what tests ask

    def replies_to(self, post_id: str) -> list[StoredPost]:
        """The bot's replies to a post, whichever of its versions."""
        root_id = self.posts[int(post_id)].root_id
        return [
            post
            for post in self.bot_posts()
            if post.reply_to_id is not None and self.posts[post.reply_to_id].root_id == root_id
        ]

    def bot_posts(self) -> list[StoredPost]:
        """What the bot has posted, also what is deleted by now."""
        self._settle()
        return [post for post in self.posts.values() if post.author == BOT_NAME]

    # --- one call

    def serve(self, call: str, act: Callable[[], Answer], *, late: Any = None) -> Served:
        """Do what a call asks for, unless it is over a limit or meant to go wrong.

        Args:
            call: Its kind.
            act: Does it.
            late: The body of a post that a fault may let be made later.
        """
        self._settle()
        self.calls.append(call)
        now_s = self.clock().timestamp()
        if now_s < self.closed_until.get(call, 0):
            self.violations.append(f"{call} before the rate limit was over")
        if self._is_over_limit(call, now_s):
            return Served(self._sealed(call, problem(429, "Too Many Requests")), None)
        fault = self._faults[call].popleft() if self._faults[call] else None
        if fault is None:
            return Served(self._sealed(call, act()), None)
        self.fault_count += 1
        if fault.is_committed:
            act()
        if fault.late_s is not None:
            self._late.append((self.clock() + timedelta(seconds=fault.late_s), late))
        headers = dict(fault.headers)
        if fault.reset_in_s is not None:
            headers["x-rate-limit-reset"] = f"{now_s + fault.reset_in_s:.0f}"
        if fault.status == 429 and "x-rate-limit-reset" in headers:
            self.closed_until[call] = float(headers["x-rate-limit-reset"])
        answer = problem(fault.status, fault.detail)
        if fault.is_old_style:
            answer = answer._replace(body={"errors": [{"code": 88, "message": fault.detail}]})
        return Served(answer._replace(headers=headers), fault)

    def _is_over_limit(self, call: str, now_s: float) -> bool:
        self._used[call] = [moment for moment in self._used[call] if moment > now_s - WINDOW_S]
        if len(self._used[call]) >= self.limits[call]:
            self.closed_until[call] = self._reset_s(call)
            return True
        self._used[call].append(now_s)
        return False

    def _reset_s(self, call: str) -> int:
        started = self._used[call][0] if self._used[call] else self.clock().timestamp()
        return int(started) + WINDOW_S

    def _sealed(self, call: str, answer: Answer) -> Answer:
        left = self.limits[call] - len(self._used[call])
        told = {
            "api-version": "2.167",
            "x-rate-limit-limit": str(self.limits[call]),
            "x-rate-limit-remaining": str(left),
            "x-rate-limit-reset": str(self._reset_s(call)),
        }
        return answer._replace(headers=told | answer.headers)

    def _settle(self) -> None:
        """Make the posts whose commit was late."""
        due = [item for item in self._late if item[0] <= self.clock()]
        self._late = [item for item in self._late if item[0] > self.clock()]
        for moment, body in due:
            answer = self.create(body)
            if answer.status == 201:  # it was made then, whenever somebody looks
                made = self.posts[int(answer.body["data"]["id"])]
                made.shown_at = moment + timedelta(seconds=self.own_lag_s)

    # --- reading

    def me(self) -> Answer:
        self._bill(ME)
        data = {"id": BOT_ID, "username": self.name, "name": "Imagine"}
        return Answer(200, {"data": data}, {})

    def mentions(self, account_id: str, query: Mapping[str, str]) -> Answer:
        rows = self.shown_mentions()
        reachable = sorted(rows, key=lambda post: post.id, reverse=True)[: self.reachable_count]
        return self._timeline(MENTIONS, account_id, query, reachable, least=5)

    def own_posts(self, account_id: str, query: Mapping[str, str]) -> Answer:
        rows = [post for post in self._shown_posts() if post.author == BOT_NAME]
        if self.hidden_looks > 0:
            self.hidden_looks -= 1
            rows = rows[:-1]
        return self._timeline(OWN_POSTS, account_id, query, rows, least=5)

    def search(self, query: Mapping[str, str]) -> Answer:
        tests = [self._search_test(word) for word in query.get("query", "").split()]
        if not tests or None in tests:
            return problem(400, "There were errors processing your request: query")
        oldest = self.clock() - timedelta(days=7)
        if int(query.get("since_id", 0)) and moment_of(int(query["since_id"])) < oldest:
            return problem(400, "'since_id' must be a tweet id created after 7 days ago")
        rows = [post for post in self._shown_posts() if moment_of(post.id) >= oldest]
        found = [post for post in rows if all(test is not None and test(post) for test in tests)]
        return self._timeline(SEARCH, BOT_ID, query, found, least=10)

    def _search_test(self, word: str) -> Callable[[StoredPost], bool] | None:
        """What a word of a query asks of a post; ``None`` for words that are not known here."""
        operator, _, value = word.rpartition(":")
        if operator == "from":
            return lambda post: post.author == value
        if operator == "in_reply_to_tweet_id":
            return lambda post: str(post.reply_to_id) == value
        return self._is_mention if word == f"@{BOT_NAME}" else None

    def lookup(self, post_id: str) -> Answer:
        answer = self.lookups(post_id, call=LOOKUP)
        found = answer.body.get("data")
        return answer._replace(body={"data": found[0]}) if found else answer

    def lookups(self, post_ids: str, *, call: str = LOOKUPS) -> Answer:
        """Posts by their ids, at most 100; those that cannot be seen are told as errors."""
        ids = post_ids.split(",")
        if not all(id_.isdigit() for id_ in ids) or len(ids) > 100:
            return problem(400, "The `ids` query parameter value is not valid")
        kept = [self.posts.get(int(id_)) for id_ in ids]
        shown = [post for post in kept if post is not None and self._is_visible(post)]
        body: dict[str, Any] = {}
        if shown:
            self._bill(call, [post.id for post in shown])
            body["data"] = [self._as_sent(post, ALWAYS_SENT, is_fresh=True) for post in shown]
        if len(shown) < len(ids):
            body["errors"] = [{"title": "Not Found Error"}] * (len(ids) - len(shown))
        return Answer(200, body, {})

    def refreshed(self, form: Mapping[str, Any]) -> Answer:
        """A token of OAuth 2.0 for a refresh token, which works once."""
        if form.get("grant_type") != "refresh_token" or form.get("refresh_token") != self.refresh:
            told = {"error": "invalid_request", "error_description": "the token was invalid"}
            return Answer(400, told, {})
        self._refresh_count += 1
        data = {"token_type": "bearer", "expires_in": 7200, "refresh_token": self.refresh}
        return Answer(200, data | {"access_token": f"a-{self._refresh_count}"}, {})

    @property
    def refresh(self) -> str:
        """The refresh token of OAuth 2.0 that works next."""
        return f"r-{self._refresh_count}"

    def usage(self) -> Answer:
        """How many posts were read."""
        count = sum(call in READS for _, call, _ in self._billed)
        data = {"project_id": "1", "project_cap": "3000000", "project_usage": str(count)}
        return Answer(200, {"data": data | {"cap_reset_day": 1}}, {})

    def _is_visible(self, post: StoredPost) -> bool:
        return not post.is_deleted and post.author not in self.protected | self.suspended

    def _shown_posts(self) -> list[StoredPost]:
        """Posts whose index has caught up; of an edited one the newest version."""
        hidden = self.protected | self.suspended
        newest: dict[int, StoredPost] = {}
        for post in self.posts.values():
            if post.shown_at <= self.clock() and post.author not in hidden:
                newest[post.root_id] = post
        return list(newest.values())

    def shown_mentions(self) -> list[StoredPost]:
        """What is to be read on the timeline of mentions."""
        return [post for post in self._shown_posts() if self._is_mention(post)]

    def _is_mention(self, post: StoredPost) -> bool:
        names = {mention["username"].casefold() for mention in post.mentions}
        is_meant = post.is_photo_tag or BOT_NAME in names or self._quotes_bot(post)
        return post.author != BOT_NAME and is_meant

    def _quotes_bot(self, post: StoredPost) -> bool:
        return post.quote_of_id is not None and self.posts[post.quote_of_id].author == BOT_NAME

    def _timeline(
        self,
        call: str,
        account_id: str,
        query: Mapping[str, str],
        rows: Iterable[StoredPost],
        *,
        least: int,
    ) -> Answer:
        """A page: deleted posts leave holes, so it may be short or empty and not the last."""
        size = int(query.get("max_results", 10))
        until = int(query.get("until_id", 1 << 63))
        token = query.get("pagination_token") or query.get("next_token")
        if account_id != BOT_ID or not least <= size <= 100:
            return problem(400, "The `max_results` or `id` query parameter value is not valid")
        if token is not None:
            until_id, expires_at = self._tokens.get(token, (0, self.clock()))
            if expires_at <= self.clock():
                return problem(400, "The `pagination_token` query parameter value is not valid")
            until = until_id
        since = int(query.get("since_id", 0))
        try:
            start, end = (_moment(query.get(name)) for name in ("start_time", "end_time"))
        except ValueError:
            return problem(400, "The `start_time` or `end_time` query parameter is not valid")
        rest = [
            post
            for post in rows
            if since < post.id < until
            and (start is None or moment_of(post.id) >= start)
            and (end is None or moment_of(post.id) < end)
        ]
        rest.sort(key=lambda post: post.id, reverse=True)
        return self._page(call, rest, size, until, query.get("tweet.fields", ""))

    def _page(self, call: str, rest: list[StoredPost], size: int, until: int, asked: str) -> Answer:
        shown = [post for post in rest[:size] if not post.is_deleted]
        meta: dict[str, Any] = {"result_count": len(shown)}
        if len(rest) > size:
            below = until if self.has_stuck_tokens else rest[size - 1].id
            meta["next_token"] = token = f"t-{below}"
            self._tokens[token] = (below, self.clock() + timedelta(seconds=self.token_life_s))
        if not shown:
            return Answer(200, {"meta": meta}, {})
        self._bill(call, [post.id for post in shown])
        meta |= {"newest_id": str(shown[0].id), "oldest_id": str(shown[-1].id)}
        fields = (ALWAYS_SENT | set(asked.split(","))) - self.withheld
        return Answer(
            200, {"data": [self._as_sent(post, fields) for post in shown], "meta": meta}, {}
        )

    def _as_sent(
        self, post: StoredPost, fields: set[str], *, is_fresh: bool = False
    ) -> dict[str, Any]:
        """A post with the fields that were asked for; an index may not know its newest version."""
        names = NEW_NAMES if self.uses_new_names else {}
        versions = [
            str(version.id)
            for version in self.posts.values()
            if version.root_id == post.root_id and (is_fresh or version.shown_at <= self.clock())
        ]
        whole = post.as_json(versions)
        return {names.get(name, name): value for name, value in whole.items() if name in fields}

    # --- writing

    def upload(self, picture: bytes, category: str) -> Answer:
        if len(picture) > MAX_PICTURE_BYTES:
            return problem(413, "Request Entity Too Large")
        if not picture.startswith(MAGIC) or category != "tweet_image":
            return problem(400, "media type unrecognized")
        media_id = str(1_900_000_000_000_000_000 + len(self.media))
        expires_at = self.clock() + timedelta(seconds=86_400)
        self.media[media_id] = StoredMedia(picture=picture, expires_at=expires_at)
        data = {"id": media_id, "media_key": f"3_{media_id}", "expires_after_secs": 86_400}
        width, height = size_of(picture)
        told = {"size": len(picture), "image": {"w": width, "h": height}}
        return Answer(200, {"data": data | told}, {})

    def describe(self, media_id: str, text: str, *, is_sensitive: bool = False) -> Answer:
        if media_id not in self.media or not 0 < len(text) <= 1000:
            return problem(400, "unknown media id, or alt text too long")
        self._bill(METADATA)
        self.media[media_id].alt_text = text
        self.media[media_id].is_sensitive = is_sensitive
        return Answer(200, {"data": {"id": media_id}}, {})

    def create(self, body: Mapping[str, Any]) -> Answer:
        media_ids: list[str] = body.get("media", {}).get("media_ids", [])
        to_id = int(body["reply"]["in_reply_to_tweet_id"])
        refusal = self._refusal(body["text"], to_id, media_ids)
        if refusal is not None:
            return refusal
        media = tuple(self.media[media_id] for media_id in media_ids)
        self._note_manners(body, media)
        parent = self.posts[to_id]
        if self.replies_to(str(to_id)):
            self.violations.append(f"a second reply to {parent.root_id}")
        self._bill(CREATE)
        if re.search(r"https?://", body["text"]):
            self.spend_micros[self._today] += WITH_A_LINK_MICROS
        post = self._add(
            BOT_NAME,
            body["text"],
            reply_to_id=to_id,
            reply_to_author_id=parent.author_id,
            conversation_id=parent.conversation_id,
            prefix=self._prefix(BOT_NAME, parent),
            media=media,
            made_with_ai=body.get("made_with_ai", False),
        )
        # The real X was seen to send this list with one empty string.
        data = {"id": str(post.id), "text": post.text, "edit_history_tweet_ids": [""]}
        return Answer(201, {"data": data}, {})

    def erase(self, post_id: str) -> Answer:
        post = self.posts.get(int(post_id))
        if post is None or post.is_deleted:
            return problem(404, "Not Found")
        if post.author != BOT_NAME:
            return problem(403, "You are not authorized to delete this post.")
        self._bill(DELETE)
        post.is_deleted = True
        return Answer(200, {"data": {"deleted": True}}, {})

    def _refusal(self, text: str, to_id: int, media_ids: list[str]) -> Answer | None:
        parent = self.posts.get(to_id)
        if parent is None or parent.is_deleted or parent.author in self.suspended:
            return problem(403, DELETED)
        is_summoned = parent.explicitly_names(BOT_NAME) or self._quotes_bot(parent)
        if not parent.explicitly_names(BOT_NAME):
            self.violations.append(f"a reply to {to_id}, whose author did not ask")
        is_old = any(
            post.root_id == parent.root_id and post.id > to_id for post in self.posts.values()
        )
        objections = {
            PROTECTED: parent.author in self.protected,
            BLOCKED: parent.author in self.blockers,
            NOT_MENTIONED: not is_summoned,
            RESTRICTED: parent.is_restricted,
            EDITED: is_old,
            DUPLICATE: self.forbids_duplicates
            and any(post.text == text for post in self.bot_posts()),
        }
        for words, holds in objections.items():
            if holds:
                return problem(403, words)
        return None if self._fits(text, media_ids) else problem(400, UNFIT)

    def _fits(self, text: str, media_ids: list[str]) -> bool:
        kept = {name for name, media in self.media.items() if media.expires_at > self.clock()}
        return weighted_length(text) <= 280 and len(media_ids) <= 4 and kept >= {*media_ids}

    def _note_manners(self, body: Mapping[str, Any], media: tuple[StoredMedia, ...]) -> None:
        if _UNWELCOME.search(body["text"]):
            self.violations.append(f"a link, a name or a tag in: {body['text']}")
        if any(item.alt_text is None for item in media):
            self.violations.append("a picture without alt text")
        if media and body.get("made_with_ai") is not True:
            self.violations.append("a picture that is not marked as made with AI")

    # --- money and posts

    @property
    def _today(self) -> str:
        return f"{self.clock():%Y-%m-%d}"

    def _bill(self, call: str, post_ids: Iterable[int] = ()) -> None:
        """Each post read is billed once in a UTC day, everything else each time."""
        ids = list(post_ids)
        if not ids and call in READS:
            return
        for post_id in ids or [-1]:
            key = (self._today, call, post_id)
            if post_id == -1 or key not in self._billed:
                self.spend_micros[self._today] += PRICES_MICROS[call]
                self._billed.add(key)

    def _add(
        self,
        author: str,
        text: str,
        *,
        root_id: int | None = None,
        conversation_id: int | None = None,
        lag_s: float | None = None,
        **more: Any,
    ) -> StoredPost:
        post_id = self._next_id()
        if lag_s is None:
            lag_s = self.own_lag_s if author == BOT_NAME else self.mention_lag_s
        post = StoredPost(
            id=post_id,
            root_id=root_id or post_id,
            author=author,
            author_id=self.user_id(author),
            text=text,
            conversation_id=conversation_id or post_id,
            shown_at=self.clock() + timedelta(seconds=lag_s),
            mentions=self._mentions_in(more.get("prefix", "") + text),
            **more,
        )
        self.posts[post_id] = post
        return post

    def _next_id(self) -> int:
        now_ms = int(self.clock().timestamp() * 1000)
        self._last_id = max(self._last_id + 1, (now_ms - EPOCH_MS) << 22)
        return self._last_id

    def _mentions_in(self, text: str) -> tuple[dict[str, Any], ...]:
        return tuple(
            {
                "start": found.start(),
                "end": found.end(),
                "username": found[1],
                "id": self.user_id(found[1]),
            }
            for found in _NAME.finditer(text)
        )


def _moment(text: str | None) -> datetime | None:
    """Read a moment as X wants it.

    Raises:
        ValueError: It is none, or says no zone.
    """
    return None if text is None else datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")


def problem(status: int, detail: str) -> Answer:
    body = {"title": "Problem", "type": "about:blank", "status": status, "detail": detail}
    return Answer(status, body, {})


def rate_limited(reset_at: datetime) -> Fault:
    headers = {"x-rate-limit-remaining": "0", "x-rate-limit-reset": f"{reset_at.timestamp():.0f}"}
    return Fault(kind="answer", status=429, detail="Too Many Requests", headers=headers)


def late(fault: Fault, seconds: float) -> Fault:
    """The same fault, whose work is done ``seconds`` later."""
    return replace(fault, is_committed=False, late_s=seconds)
