"""The nouns that all parts of the bot share: persons, submissions, jobs, deliveries.

Plain data and two protocols; no SQL, no platform library, no engine internals.

The family of refusals, raised by ``Service.submit`` before anything is accepted::

    RefusedError                the request was not accepted; nothing was taken
    ├── OverQuotaError          a day's allowance does not cover it
    │   ├── OverBurstError      ... too many pictures in a short time
    │   └── TooManyJobsError    ... too many jobs wait or are drawn already
    ├── DuplicateEventError     this very event was accepted before
    ├── BlockedError            an admin has blocked this person
    ├── PausedError             drawing is paused, here or everywhere
    ├── PlaceRefusedError       not in this channel
    ├── ModeratedError          the words are not drawn
    ├── UnavailableError        the database failed
    ├── ClosingError            the process is shutting down
    ├── NotCancellableError     by ``Service.cancel``: there is nothing (left) to cancel
    ├── UnknownPictureError     by ``bot.studio``: nothing of that picture is kept (any more)
    └── InvalidRuleError        by ``bot.desk``: an admin asked for a rule that cannot be

raised by the service on behalf of a job that was accepted::

    CrashedError                the bot died twice while it drew this job

and raised by a ``Delivery``::

    DeliveryError               the pictures could not be handed over; try again later
    └── UndeliverableError      ... and never will be (message gone, no permission)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NewType, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from engine.api import Drawing, Drawn, DrawRequest, Preview, Queued

    Progress = Queued | Drawing | Preview
    """What a ``Delivery`` is shown before the pictures are there."""

JobId = NewType("JobId", str)

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class Platform(StrEnum):
    """Where a person meets the bot."""

    DISCORD = "discord"
    X = "x"
    WEB = "web"
    TERMINAL = "terminal"


class JobState(StrEnum):
    """Where a job stands. The legal moves are ``bot.store.jobs.LEGAL_MOVES``."""

    ACCEPTED = "accepted"
    DRAWING = "drawing"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    APOLOGISING = "apologising"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Scope(StrEnum):
    """Whom a limit holds for."""

    PERSON = "person"
    COMMUNITY = "community"
    BOT = "bot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who asks: an id that is unique on its platform."""

    platform: Platform
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What an adapter makes of a platform event, and nothing else.

    Attributes:
        person: Who asks, and whose quota pays.
        event_id: The platform's id of the event (interaction, post): a second delivery
            of the same event is recognised by it.
        request: What to draw.
        address: Where the answer goes; only the adapter reads it. It is stored with the
            job so that an answer finds its way after a restart.
        community: The platform's id of the place that many share (a guild), whose limits
            count too; ``None`` where somebody is alone with the bot.
        tiers: Names of the tiers that the person has here and now, for instance by a role.
            They are not stored; ``"unlimited"`` is free of every limit.
        channel: The platform's id of the part of the community that it was asked in; of a
            thread, the channel that it belongs to. Rules of the community name channels.
        origin: The job whose picture or words it goes on with: a variation, the same again,
            or other words.
        is_soft: Whether its words call for a stricter look at the pictures, which are then
            shown only to those who uncover them. The ``Gatekeeper`` sets it.
    """

    person: Person
    event_id: str
    request: DrawRequest
    address: Mapping[str, Json] = field(default_factory=dict[str, Json])
    community: str | None = None
    tiers: frozenset[str] = frozenset()
    channel: str | None = None
    origin: JobId | None = None
    is_soft: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The store's record of an accepted submission.

    Attributes:
        submission: With a seed: the same pictures are drawn after a restart.
        attempt_count: How often delivery was begun before this time. Above 0 an adapter
            must find out whether the earlier attempt arrived before it repeats it.
        begun_count: How often drawing was begun before this time and did not end.
    """

    id: JobId
    submission: Submission
    state: JobState
    attempt_count: int
    accepted_at: datetime
    begun_count: int = 0


class RefusedError(Exception):
    """The submission was not accepted; nothing was reserved or stored."""


class OverQuotaError(RefusedError):
    """A limit does not cover the request; this class itself: a day's allowance.

    Attributes:
        scope: Whose limit it is.
        allowance_count: The limit: pictures a day (this class), pictures at once
            (``OverBurstError``) or jobs (``TooManyJobsError``).
        left_count: How many of them are left now, fewer than were asked for.
        reopens_at: When the request, or the whole allowance of a day, fits again (aware,
            UTC); ``None`` where that depends on when other jobs are done.
    """

    def __init__(
        self,
        *,
        allowance_count: int,
        left_count: int,
        reopens_at: datetime | None,
        scope: Scope = Scope.PERSON,
    ) -> None:
        super().__init__(f"{scope}: {left_count} of {allowance_count} left until {reopens_at}")
        self.scope = scope
        self.allowance_count = allowance_count
        self.left_count = left_count
        self.reopens_at = reopens_at


class OverBurstError(OverQuotaError):
    """Too many pictures in a short time; they come back one by one."""


class TooManyJobsError(OverQuotaError):
    """As many jobs as are allowed wait or are being drawn already."""


class DuplicateEventError(RefusedError):
    """This event was accepted before.

    Attributes:
        job: The job of its first delivery.
    """

    def __init__(self, job: Job) -> None:
        super().__init__(f"event {job.submission.event_id} is job {job.id}")
        self.job = job


class BlockedError(RefusedError):
    """An admin has blocked this person.

    Attributes:
        until: When that ends (aware); ``None`` is never.
        is_everywhere: Whether it holds for the whole bot, not only in this community.
    """

    def __init__(self, *, until: datetime | None, is_everywhere: bool = True) -> None:
        super().__init__(f"blocked until {until}")
        self.until = until
        self.is_everywhere = is_everywhere


class PausedError(RefusedError):
    """An admin has paused drawing. What was accepted before is still drawn.

    Attributes:
        is_everywhere: Whether the whole bot is paused, not only this community.
    """

    def __init__(self, *, is_everywhere: bool = True) -> None:
        super().__init__("paused")
        self.is_everywhere = is_everywhere


class PlaceRefusedError(RefusedError):
    """The community lets people ask for pictures only in other channels.

    Attributes:
        channels: Their ids on the platform.
    """

    def __init__(self, channels: tuple[str, ...]) -> None:
        super().__init__(f"only in {len(channels)} other channels")
        self.channels = channels


class ModeratedError(RefusedError):
    """The words ask for something that is not drawn.

    Attributes:
        code: Which rule says so, such as ``"sexual_minor"``.
        is_grave: Whether it asked for harm, so that answering in public would spread it.
    """

    def __init__(self, code: str, *, is_grave: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.is_grave = is_grave


class UnavailableError(RefusedError):
    """The database failed, so nothing can be accepted until its admin has seen to it."""


class ClosingError(RefusedError):
    """The process is shutting down and takes no new work."""


class NotCancellableError(RefusedError):
    """The job is finished, on its way to the person, unknown, or somebody else's."""


class UnknownPictureError(RefusedError):
    """Nothing of that job or picture is kept: it was purged or erased, or never was."""


class InvalidRuleError(RefusedError):
    """An admin asked for a rule that cannot be; ``str(error)`` is the sentence that says why."""


class CrashedError(Exception):
    """The bot died twice while it drew this job: drawing it again could go on for ever."""


class DeliveryError(Exception):
    """The pictures could not be handed over this time."""


class UndeliverableError(DeliveryError):
    """The pictures can never be handed over: the place to put them is gone."""


class Delivery(Protocol):
    """How an adapter tells its people. Called by the service, one call per job at a time."""

    async def show_progress(self, job: Job, event: Progress) -> None:
        """Say how far the job is. May be called often; must return quickly.

        A ``Preview`` comes only for requests that asked for it; it may be ignored. What goes
        wrong here is the adapter's to log and never stops the job.
        """
        ...

    async def deliver(self, job: Job, drawn: Drawn) -> int | None:
        """Hand the pictures over; returns when they have arrived.

        Returns:
            How many arrived, where some could not be shown: only those are paid for.
            ``None`` is all of them.

        Raises:
            DeliveryError: They did not arrive; the service decides what follows.
        """
        ...

    async def apologise(self, job: Job, error: Exception) -> None:
        """Tell the person that there will be no pictures, and why.

        Args:
            job: What was accepted. As with ``deliver``, an ``attempt_count`` above 0 says
                that something may have arrived before.
            error: What ended it; ``bot.sentences.explain`` puts it into words.

        Raises:
            DeliveryError: Not even that arrived.
        """
        ...

    async def postpone(self, job: Job) -> None:
        """Tell the person that the job stands still until the next start of the process.

        Said when the database fails under a running job, which then stays unfinished.

        Raises:
            DeliveryError: It did not arrive.
        """
        ...

    async def cancelled(self, job: Job) -> None:
        """Tell the person that the job was given up by somebody else: an admin, or at an erasure.

        Raises:
            DeliveryError: It did not arrive.
        """
        ...


class Cursors(Protocol):
    """Named strings that survive a restart; ``bot.store`` implements it."""

    async def read_cursor(self, name: str) -> str | None:
        """Return what was last written under ``name``, or ``None``."""
        ...

    async def write_cursor(self, name: str, value: str) -> None:
        """Keep ``value`` under ``name``; when this returns, it survives a crash."""
        ...


class Gatekeeper(Protocol):
    """Reads the words of a submission before anything is taken for it."""

    async def admit(self, submission: Submission, *, level: str | None) -> Submission:
        """Return the submission, marked ``is_soft`` where its pictures need a closer look.

        Args:
            submission: What is asked for.
            level: How strictly its community wants to be guarded; ``None`` leaves it to the
                platform.

        Raises:
            ModeratedError: It is not drawn.
            StoreError: What must be remembered of that could not be noted.
        """
        ...


class Submitter(Protocol):
    """The part of the service that adapters see."""

    async def submit(self, submission: Submission) -> Job:
        """Accept a submission: quota reserved and job stored in one transaction.

        When this returns, the job survives any crash, and drawing has begun in the
        background; the outcome comes through the platform's ``Delivery``.

        Raises:
            RefusedError: Nothing was accepted; ``bot.sentences.explain`` says why.
        """
        ...

    async def allowance_left(self, person: Person) -> int | None:
        """How many pictures the person may still ask for today; ``None`` is no limit."""
        ...


class Canceller(Protocol):
    """The part of the service that a cancel button sees."""

    async def cancel(self, job_id: JobId, person: Person) -> Job:
        """Give up a job that its person no longer wants, and give the quota back.

        Raises:
            NotCancellableError: It is finished, being delivered, unknown or another's.
            UnavailableError: The database failed.
        """
        ...


class Revoker(Protocol):
    """The part of the service that admins see."""

    async def revoke(self, job_id: JobId, person: Person) -> Job:
        """Give up a job of somebody else, give the quota back, and tell its person.

        Raises:
            NotCancellableError: It is finished, being delivered, unknown or not that person's.
            UnavailableError: The database failed.
        """
        ...
