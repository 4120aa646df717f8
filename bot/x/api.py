"""What the adapter needs of X, without tweepy: nine calls, plain data, four errors.

The family of errors::

    XApiError                   anything a call can raise
    ├── PausedError             nothing was done; the same call may succeed after a while
    │   └── CredentialsError    ... once somebody has repaired the keys or the account
    ├── DeclinedError           nothing was done, and the same call never will be
    └── UnknownOutcomeError     a post was or was not created; only a look can tell

``UnknownOutcomeError`` comes from ``reply`` alone. All other calls do no harm when they
are repeated, so their doubtful ends are ``PausedError`` with a short pause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from datetime import datetime

Post = Mapping[str, Any]
"""A post as X sends it; ``bot.x.mentions`` knows both dialects of its fields."""

# Source: X API OpenAPI 2.167 (media upload and metadata), docs "Media best practices".
MAX_PICTURE_BYTES = 5_000_000
MAX_ALT_TEXT_CHARS = 1_000

# Source: X API OpenAPI 2.167, ``max_results`` of the timelines (5 to 100) and of recent
# search (10 to 100; small here, because what it finds costs five times as much).
PAGE_SIZE = 100
SEARCH_PAGE_SIZE = 20


class XApiError(Exception):
    """Anything a call to X can raise."""


class PausedError(XApiError):
    """X takes no calls of this kind for a while; nothing was done.

    Attributes:
        retry_at: When to try again (aware, UTC).
        is_for_all: Calls of every kind are affected (no credit is left).
        is_growing: X did not say for how long: the next pause is longer.
    """

    def __init__(
        self,
        why: str,
        *,
        retry_at: datetime,
        is_for_all: bool = False,
        is_growing: bool = False,
    ) -> None:
        super().__init__(why)
        self.retry_at = retry_at
        self.is_for_all = is_for_all
        self.is_growing = is_growing


class CredentialsError(PausedError):
    """X does not accept the keys, or the account may not post."""


class DeclineReason(StrEnum):
    """Why X will never do what was asked."""

    NOT_SUMMONED = "not_summoned"
    GONE = "gone"
    RESTRICTED = "restricted"
    BLOCKED = "blocked"
    EDITED = "edited"
    NOT_PERMITTED = "not_permitted"
    """A 403 without a reason; it was seen to go away after hours."""
    OTHER = "other"


class DeclinedError(XApiError):
    """X said no for good; nothing was done.

    Attributes:
        reason: What kind of no it was.
    """

    def __init__(self, why: str, *, reason: DeclineReason = DeclineReason.OTHER) -> None:
        super().__init__(why)
        self.reason = reason


class UnknownOutcomeError(XApiError):
    """The reply may be posted or not: the answer of X was lost or made no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account the keys belong to; ``username`` is without the at sign."""

    id: str
    username: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which posts are asked for: ids above ``since_id`` and below ``until_id``.

    Attributes:
        since_id: 0 is no limit.
        until_id: ``None`` is no limit.
        page_token: From an empty page that promises more; nothing else needs tokens, since
            they expire and ids do not.
    """

    since_id: int = 0
    until_id: int | None = None
    page_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some posts, newest first.

    Attributes:
        next_token: There may be older ones.
        limit_count: Calls of this kind that X allows in 15 minutes, if it said so.
    """

    posts: tuple[Post, ...]
    next_token: str | None
    limit_count: int | None = None


class XApi(Protocol):
    """The port. Every call may raise ``XApiError`` and nothing else."""

    async def who_am_i(self) -> Account:
        """Return the account that the keys belong to."""
        ...

    async def mentions(self, account_id: str, span: Span) -> Page:
        """Return posts that name the account; at most the 800 newest can be reached."""
        ...

    async def search(self, username: str, span: Span) -> Page:
        """Return posts of the last 7 days that name the account."""
        ...

    async def own_posts(self, account_id: str, span: Span) -> Page:
        """Return posts and replies of the account itself."""
        ...

    async def post(self, post_id: int) -> Post:
        """Return one post with the ids of all its versions."""
        ...

    async def upload_picture(self, picture: bytes) -> str:
        """Store a picture at X for a day and return its media id."""
        ...

    async def describe_picture(
        self, media_id: str, alt_text: str, *, is_sensitive: bool = False
    ) -> None:
        """Give an uploaded picture its text for people who cannot see it.

        Args:
            media_id: Which picture.
            alt_text: What it shows.
            is_sensitive: X hides it until somebody wants to see it.
        """
        ...

    async def reply(self, text: str, *, to_id: int, media_id: str | None) -> int:
        """Post a reply and return its id.

        Raises:
            UnknownOutcomeError: It may be out: look before repeating it.
        """
        ...

    async def erase(self, post_id: int) -> None:
        """Delete a post of the account; one that is gone already is no error."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
