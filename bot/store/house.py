"""The rules of the house: what admins decide, and what people choose for themselves.

Plain data, and one decision without effects: whether somebody is drawn for here and now.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bot.jobs import (
    BlockedError,
    InvalidRuleError,
    PausedError,
    PlaceRefusedError,
)
from bot.store.quotas import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from bot.jobs import JobId, Person, Platform, Scope, Submission

MODERATION_LEVELS: Final = ("relaxed", "standard", "strict")
MAX_CHANNELS: Final = 100
MAX_ROLES: Final = 100
MAX_LIMIT: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What somebody has chosen for all their requests; ``None`` is what everybody gets.

    Attributes:
        picture_count: Pictures of a request that does not say how many.
        style: The name of a preset.
        language: The code of the language to be spoken to in, such as ``"de"``.
        may_dm: Whether pictures that cannot be shown where they were asked for may be sent
            to the person alone.
        spoiler: Whether pictures are hidden until somebody uncovers them.
    """

    picture_count: int | None = None
    style: str | None = None
    language: str | None = None
    may_dm: bool = False
    spoiler: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunityRules:
    """What the admins of a community have decided for it.

    Attributes:
        channels: Ids of the channels where pictures may be asked for; none is everywhere.
        role_tiers: For the id of a role, the tier of those who have it.
        moderation: How strictly words and pictures are looked at, one of
            ``MODERATION_LEVELS``; ``None`` is as everywhere on the platform.
        language: The code of the language that is spoken here; ``None`` is each person's.
        is_paused: Whether nothing may be asked for now.
        daily_pictures: For all people here together; it can only be narrower than what the
            bot allows. ``None`` is what the bot allows.
        jobs_at_once: The same for open jobs.

    Raises:
        InvalidRuleError: It cannot be so.
    """

    channels: tuple[str, ...] = ()
    role_tiers: Mapping[str, str] = field(default_factory=dict[str, str])
    moderation: str | None = None
    language: str | None = None
    is_paused: bool = False
    daily_pictures: int | None = None
    jobs_at_once: int | None = None

    def __post_init__(self) -> None:
        """Refuse what would make no sense, or would free people of the bot's own limits."""
        if self.moderation not in (None, *MODERATION_LEVELS):
            raise InvalidRuleError("The moderation level must be relaxed, standard or strict.")
        if UNLIMITED in self.role_tiers.values():
            raise InvalidRuleError("No role can be free of all limits: choose another tier.")
        if len(self.channels) > MAX_CHANNELS or len(self.role_tiers) > MAX_ROLES:
            raise InvalidRuleError("That is too many: 100 channels and 100 roles can have a rule.")
        for count in (self.daily_pictures, self.jobs_at_once):
            if count is not None and not 0 < count <= MAX_LIMIT:
                raise InvalidRuleError("A limit must be above 0; to let nothing through, pause.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Somebody who is not drawn for.

    Attributes:
        person: Who.
        community: Where; ``None`` is everywhere.
        until: When it ends (aware); ``None`` is never.
        reason: For admins.
        by: Which admin.
        at: When it began.
    """

    person: Person
    community: str | None
    until: datetime | None
    reason: str
    by: str
    at: datetime

    def holds(self, now: datetime) -> bool:
        """Whether it has not ended."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Somebody's word that pictures should not be.

    Attributes:
        id: Its own.
        job_id: Whose pictures; the job may have been purged since.
        person: Who says so; ``None`` once they had what is known of them erased.
        owner: Who asked for the pictures.
        community: Where.
        reason: In their words.
        at: When (aware).
        closed_at: When an admin had seen to it; ``None`` while it is open.
        closed_by: Which admin.
    """

    id: int
    job_id: JobId
    person: Person | None
    owner: Person
    community: str | None
    reason: str
    at: datetime
    closed_at: datetime | None
    closed_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """A request that was refused for its words.

    Attributes:
        person: Whose.
        event_id: Which event: delivered twice, it is one strike.
        community: Where.
        code: By which rule.
        prompt_hash: Tells whether the same words come again; the words are not kept.
        at: When (aware).
    """

    person: Person
    event_id: str
    community: str | None
    code: str
    prompt_hash: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StrikeLimit:
    """When strikes lead to a block.

    Attributes:
        count: So many strikes ...
        within: ... in such a time ...
        block_for: ... block a person everywhere for so long.
    """

    count: int
    within: timedelta
    block_for: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """What followed from a strike.

    Attributes:
        is_new: False for a second delivery of the same event, which changes nothing.
        blocked_until: When the block that it led to ends (aware); ``None`` if it led to none.
    """

    is_new: bool
    blocked_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StrikeTally:
    """The strikes of one person, as far as they are kept.

    Attributes:
        strike_count: How many.
        last_at: When the newest was (aware).
        codes: By which rules, in alphabetical order.
    """

    person: Person
    strike_count: int
    last_at: datetime
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A tier that somebody has for good.

    Attributes:
        platform: Where.
        scope: ``PERSON`` or ``COMMUNITY``.
        of: Their id.
        tier: Its name; ``None`` is none (any more).
    """

    platform: Platform
    scope: Scope
    of: str
    tier: str | None


class Act(StrEnum):
    """What admins do, in the audit log."""

    SET_COMMUNITY = "set_community"
    BLOCK = "block"
    UNBLOCK = "unblock"
    GRANT = "grant"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    CLOSE_REPORT = "close_report"
    REMOVE_PICTURES = "remove_pictures"
    EXPORT = "export"
    ERASE = "erase"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A line of the audit log.

    Attributes:
        at: When (aware).
        by: Which admin, as the adapter names them: ``"discord:1234"``, ``"terminal"``.
        act: What, an ``Act`` or a word of the one who notes it.
        subject: About whom: ``"person/discord/7"``, ``"community/discord/42"`` or ``"bot"``.
        detail: What was decided, in a few words.
        id: Counts up; the database gives it.
    """

    at: datetime
    by: str
    act: str
    subject: str = "bot"
    detail: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunityStats:
    """What was asked for in a community since some moment.

    Attributes:
        request_count: Accepted requests.
        picture_count: Delivered pictures.
        people_count: Who asked.
        failed_count: Requests that came to nothing through our fault.
        cancelled_count: Requests that their people gave up.
    """

    request_count: int = 0
    picture_count: int = 0
    people_count: int = 0
    failed_count: int = 0
    cancelled_count: int = 0


_NO_RULES: Final = CommunityRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """All that decides whether somebody is drawn for, before any limit is looked at.

    Attributes:
        is_paused: Whether the whole bot is.
        communities: Rules by platform and community.
        blocks: By person and community, ``None`` being everywhere.
    """

    is_paused: bool = False
    communities: Mapping[tuple[Platform, str], CommunityRules] = field(
        default_factory=dict["tuple[Platform, str]", CommunityRules]
    )
    blocks: Mapping[tuple[Person, str | None], Block] = field(
        default_factory=dict["tuple[Person, str | None]", Block]
    )

    def rules_of(self, platform: Platform, community: str | None) -> CommunityRules:
        """The rules of a place; of none in particular where nobody has decided anything."""
        if community is None:
            return _NO_RULES
        return self.communities.get((platform, community), _NO_RULES)

    def check(self, submission: Submission, now: datetime) -> CommunityRules:
        """Let a submission pass, and tell the rules of its place.

        Raises:
            PausedError: The bot or the community is paused.
            BlockedError: The person is blocked.
            PlaceRefusedError: It was asked in the wrong channel.
        """
        if self.is_paused:
            raise PausedError
        person, community = submission.person, submission.community
        for place in dict.fromkeys((None, community)):
            block = self.blocks.get((person, place))
            if block is not None and block.holds(now):
                raise BlockedError(until=block.until, is_everywhere=place is None)
        rules = self.rules_of(person.platform, community)
        if rules.is_paused:
            raise PausedError(is_everywhere=False)
        if rules.channels and submission.channel not in rules.channels:
            raise PlaceRefusedError(rules.channels)
        return rules
