"""Is this post a request, and what does it ask for? Pure functions over a post's fields.

When A answers B who had answered the bot, X itself puts ``@bot @B`` in front of A's text
and lists the bot among the mentions, although A never called it. Only a mention in the
part that A wrote is a request. ``display_text_range`` says where that part begins::

    text                "@bot @bob thanks, nice"        "@bob @bot a cat"
    display_text_range  [10, 22]                        [5, 15]
    mentions of @bot    start 0, before 10: implicit    start 5, not before 5: a request

The hidden part holds nothing but ASCII names and spaces, so its length is the same number
in code points, UTF-16 units and escaped HTML; offsets are used for nothing else.

A mention that is nothing but a control word ("stop", "start", "delete", "help") is obeyed.
"stop" and "delete" are also obeyed in a plain answer to the bot, where X hides its name.

Two dialects of field names are read: the one of ``tweet.fields`` and, since August 2026,
the one of ``post.fields`` (``edit_history_post_ids``, ``referenced_posts``, ``note_post``).
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bot.store.x_states import NewMention

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.x.api import Account, Post

_HIDDEN_PART = re.compile(r"(?:@\w{1,15}\s+)*", re.ASCII)
_NAME = re.compile(r"(?<![\w@])@\w{1,15}", re.ASCII)
_LINK = re.compile(r"https?://\S+")
# Control characters and halves of surrogate pairs, which not every database can store.
_UNSTORABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class UnreadablePostError(Exception):
    """X left out a field without which a post may be misread."""


class Control(StrEnum):
    """Words that are obeyed instead of drawn, when a mention consists of nothing else."""

    STOP = "stop"
    START = "start"
    DELETE = "delete"
    HELP = "help"


# Said in an answer to the bot, these need no name: X hides it there, and "stop" must be
# obeyed wherever it is heard. Neither is answered, so nobody has to be summoned.
_OBEYED_UNCALLED = (Control.STOP, Control.DELETE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    text: str
    visible_from: int
    mentions: Sequence[Mapping[str, Any]]

    @property
    def visible(self) -> str:
        return self.text[self.visible_from :]


def read_mention(
    post: Post, me: Account, *, ignored_ids: frozenset[str] = frozenset()
) -> NewMention:
    """Say what ``post`` is to the bot; ``ignored_because`` if it is not meant for it.

    Args:
        post: As X sends it, in either dialect.
        me: The bot's account.
        ignored_ids: Accounts that are not answered, such as other bots.

    Raises:
        UnreadablePostError: A field that decides this is missing.
    """
    author_id = str(_need(post, "author_id"))
    versions = _need(post, "edit_history_tweet_ids", "edit_history_post_ids")
    body = _body(post, me)
    _require_references(post, body)
    prompt = _prompt(body.visible)
    command = _control(prompt)
    return NewMention(
        root_id=int(versions[0]),
        latest_id=max(int(versions[-1]), int(post["id"])),
        author_id=author_id,
        conversation_id=str(post.get("conversation_id") or versions[0]),
        answers_id=next(iter(reply_target_ids(post)), None),
        prompt=prompt,
        command=command,
        ignored_because=(
            "known_bot" if author_id in ignored_ids else _objection(post, body, me, command)
        ),
    )


def _objection(post: Post, body: _Body, me: Account, command: Control | None) -> str | None:
    """Say why a post is not meant for the bot, if it is not."""
    if str(post["author_id"]) == me.id:
        return "self"
    if "retweeted" in _reference_types(post):
        return "retweet"
    if any(_is_visible_call(mention, body, me) for mention in body.mentions):
        return None
    is_for_me = str(post.get("in_reply_to_user_id")) == me.id
    return None if is_for_me and command in _OBEYED_UNCALLED else "implicit"


def _control(prompt: str) -> Control | None:
    word = prompt.casefold().strip(" .!?\"'“”*")
    return Control(word) if word in set(Control) else None


def _require_references(post: Post, body: _Body) -> None:
    """See that what a hidden part proves to be an answer says what it answers."""
    if body.visible_from and not _references(post):
        raise UnreadablePostError("referenced_tweets or referenced_posts")


def newest_version(post: Post) -> int:
    """Return the id of the newest version of a post.

    Raises:
        UnreadablePostError: It does not say which versions there are.
    """
    versions = _need(post, "edit_history_tweet_ids", "edit_history_post_ids")
    return max(int(version) for version in versions)


def reply_target_ids(post: Post) -> frozenset[int]:
    """Return the ids of the posts that ``post`` is a reply to (one, or none)."""
    return frozenset(
        int(reference["id"])
        for reference in _references(post)
        if reference.get("type") == "replied_to"
    )


def _body(post: Post, me: Account) -> _Body:
    long_post = post.get("note_tweet") or post.get("note_post")
    if long_post:  # the range belongs to the shortened text
        text = str(_need(long_post, "text"))
        visible_from = _hidden_length(text) if _is_reply(post) else 0
        entities = _entities(long_post, text, me)
    else:
        text = str(_need(post, "text"))
        visible_from = _visible_from(text, int(_need(post, "display_text_range")[0]))
        entities = _entities(post, text, me)
    return _Body(text=text, visible_from=visible_from, mentions=entities.get("mentions", ()))


def _visible_from(text: str, start: int) -> int:
    """Return ``start``, unless what lies before it cannot be the hidden part."""
    return start if _HIDDEN_PART.fullmatch(text[:start]) else _hidden_length(text)


def _hidden_length(text: str) -> int:
    found = _HIDDEN_PART.match(text)
    return found.end() if found else 0


def _entities(holder: Mapping[str, Any], text: str, me: Account) -> Mapping[str, Any]:
    """Return the entities, which X leaves out of a text that has none."""
    if "entities" not in holder and f"@{me.username}".casefold() in text.casefold():
        raise UnreadablePostError("entities")
    return holder.get("entities", {})


def _is_visible_call(mention: Mapping[str, Any], body: _Body, me: Account) -> bool:
    names_me = (
        str(mention.get("id")) == me.id
        or str(mention.get("username")).casefold() == me.username.casefold()
    )
    return names_me and int(mention["start"]) >= body.visible_from


def _is_reply(post: Post) -> bool:
    return "in_reply_to_user_id" in post or "replied_to" in _reference_types(post)


def _reference_types(post: Post) -> set[str]:
    return {str(reference.get("type")) for reference in _references(post)}


def _references(post: Post) -> Sequence[Mapping[str, Any]]:
    return post.get("referenced_tweets") or post.get("referenced_posts") or ()


def _need(holder: Mapping[str, Any], *names: str) -> Any:
    """Return the first field of these names that is there and not empty."""
    for name in names:
        if holder.get(name):
            return holder[name]
    raise UnreadablePostError(" or ".join(names))


def _prompt(visible: str) -> str:
    words = _UNSTORABLE.sub(" ", _NAME.sub(" ", _LINK.sub(" ", html.unescape(visible))))
    return unicodedata.normalize("NFC", " ".join(words.split()))
