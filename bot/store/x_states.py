"""The nouns of the X tables, and how a mention may go from state to state.

::

    seen ─┬─► drawing ─┐                 ┌─► sent
          ├─► saying ──┼─► posting ──────┼─► rejected · gone
          │     ▲      │    │   ▲        └─► drawing · saying   (X took nothing: later)
          │     │      │    ▼   │
          │     └──────┤  unknown ───────►  sent · dead · drawing · saying (three looks: absent)
          ├─► erasing ─► done
          └─► ignored · done · opted out · expired · dead           (the last column is final)

``posting`` is committed before the reply leaves the machine, so whoever finds it after a
crash knows that the reply may be out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class MentionState(StrEnum):
    """Where a mention stands."""

    SEEN = "seen"
    """Stored; nobody has looked at what it wants."""
    DRAWING = "drawing"
    """The service has a job for it; pictures are to be posted."""
    SAYING = "saying"
    """A sentence without pictures is to be posted."""
    ERASING = "erasing"
    """A reply of ours is to be deleted."""
    POSTING = "posting"
    """An attempt was begun. Found after a crash, it may have worked."""
    UNKNOWN = "unknown"
    """An attempt ended without a clear answer; the account's own posts will tell."""
    SENT = "sent"
    DONE = "done"
    """A control word was obeyed without a reply."""
    IGNORED = "ignored"
    REJECTED = "rejected"
    """X will not take a reply to it."""
    GONE = "gone"
    """Its author deleted it."""
    OPTED_OUT = "opted_out"
    EXPIRED = "expired"
    DEAD = "dead"
    """Given up: the log says why."""


_S = MentionState

OPEN: Final = frozenset({_S.SEEN, _S.DRAWING, _S.SAYING, _S.ERASING, _S.POSTING, _S.UNKNOWN})
"""What waits for something; every other state is final."""

UNDER_WAY: Final = OPEN - {_S.SEEN}
WAITING_TO_POST: Final = frozenset({_S.DRAWING, _S.SAYING})
IN_DOUBT: Final = frozenset({_S.POSTING, _S.UNKNOWN})

LEGAL_MOVES: Final[Mapping[MentionState, frozenset[MentionState]]] = {
    _S.SEEN: frozenset(
        {_S.DRAWING, _S.SAYING, _S.ERASING, _S.SENT, _S.DONE, _S.IGNORED, _S.OPTED_OUT, _S.DEAD}
    ),
    _S.DRAWING: frozenset(
        {_S.SEEN, _S.SAYING, _S.POSTING, _S.SENT, _S.IGNORED, _S.OPTED_OUT, _S.EXPIRED, _S.DEAD}
    ),
    _S.SAYING: frozenset({_S.POSTING, _S.OPTED_OUT, _S.EXPIRED, _S.DEAD}),
    _S.ERASING: frozenset({_S.DONE, _S.EXPIRED, _S.DEAD}),
    _S.POSTING: frozenset(
        {_S.UNKNOWN, _S.SENT, _S.DRAWING, _S.SAYING, _S.REJECTED, _S.GONE, _S.DEAD}
    ),
    _S.UNKNOWN: frozenset({_S.SENT, _S.DRAWING, _S.SAYING, _S.DEAD}),
    **{state: frozenset[MentionState]() for state in MentionState if state not in OPEN},
}


class AttemptOutcome(StrEnum):
    """How an attempt to post ended; ``None`` in the table while it runs."""

    UNKNOWN = "unknown"
    SENT = "sent"
    REFUSED = "refused"
    """X said no: it is not out."""
    ABSENT = "absent"
    """It did not show up in three looks."""


LIVE_OUTCOMES: Final = (AttemptOutcome.UNKNOWN, AttemptOutcome.SENT)
"""With one of these, or running, an attempt forbids a second one (a unique index)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMention:
    """What a page of the mentions timeline says about one post.

    Attributes:
        root_id: Its first version, the same through all edits.
        latest_id: The version on the page.
        answers_id: The post that it replies to, if any.
        prompt: Its words without names and links.
        command: The control word that it consists of, if it does.
        ignored_because: A reason not to answer; ``None`` leaves it to be looked at.
    """

    root_id: int
    latest_id: int
    author_id: str
    conversation_id: str
    answers_id: int | None
    prompt: str
    command: str | None
    ignored_because: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to post a reply.

    Attributes:
        text: The very bytes that were posted: a later try repeats them.
        look_count: How often the own posts were searched for it in vain.
        doubted_at: When it was found that nobody knows whether it worked.
        next_look_at: When to search next.
    """

    number: int
    target_id: int
    text: str
    started_at: datetime
    look_count: int
    doubted_at: datetime | None
    next_look_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A picture that X keeps for a while."""

    id: str
    expires_at: datetime
    is_described: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MentionRecord:
    """A row of ``x_mentions`` and its live attempt.

    Attributes:
        sentence: What is said instead of pictures.
        erase_id: The reply of ours that is to be deleted.
        try_count: Attempts that led nowhere, of those that count towards giving up.
        round_count: How often it went back to the line because the engine was full.
        not_before: Nothing is tried before.
    """

    root_id: int
    latest_id: int
    author_id: str
    conversation_id: str
    answers_id: int | None
    state: MentionState
    reason: str | None
    prompt: str
    command: str | None
    sentence: str | None
    erase_id: int | None
    try_count: int
    round_count: int
    not_before: datetime | None
    media: Media | None
    reply_id: int | None
    seen_at: datetime
    attempt: Attempt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A walk down the timeline that is not finished: everything in ``(lo_id, hi_id]``.

    Attributes:
        hi_id: The newest id that the walk began with; 0 before its first page.
        next_until_id: The walk goes on below this id; ``None`` before its first page.
        read_count: Posts read so far.
        is_search: The timeline reaches no further down; the rest is searched for.
    """

    lo_id: int
    hi_id: int = 0
    next_until_id: int | None = None
    read_count: int = 0
    is_search: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How far the mentions were read.

    Attributes:
        cursor: Everything up to this id is stored; ``None`` before the very first look.
        floor: The newest mention when the bot first started: older ones are never answered.
        gap: What an earlier walk left.
    """

    cursor: int | None
    floor: int
    gap: Gap | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a call costs, in millionths of a dollar."""

    call: str
    unit_count: int
    unit_micros: int

    @property
    def micros(self) -> int:
        """All of it."""
        return self.unit_count * self.unit_micros


def sources_of(to: MentionState) -> list[MentionState]:
    """The states from which a mention may go to ``to``."""
    return [source for source, targets in LEGAL_MOVES.items() if to in targets]
