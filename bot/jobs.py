"""The nouns that all parts of the bot share: persons, submissions, jobs, deliveries.

Plain data and two protocols; no SQL, no platform library, no engine internals.

The family of refusals, raised by ``Service.submit`` before anything is accepted::

    RefusedError                the request was not accepted; nothing was taken
    ├── OverQuotaError          the person's daily allowance does not cover it
    ├── DuplicateEventError     this very event was accepted before
    ├── UnavailableError        the database failed
    └── ClosingError            the process is shutting down

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

    from engine.api import Drawing, Drawn, DrawRequest, Queued

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
    FAILED = "failed"


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
    """

    person: Person
    event_id: str
    request: DrawRequest
    address: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The store's record of an accepted submission.

    Attributes:
        submission: With a seed: the same pictures are drawn after a restart.
        attempt_count: How often delivery was begun before this time. Above 0 an adapter
            must find out whether the earlier attempt arrived before it repeats it.
    """

    id: JobId
    submission: Submission
    state: JobState
    attempt_count: int
    accepted_at: datetime


class RefusedError(Exception):
    """The submission was not accepted; nothing was reserved or stored."""


class OverQuotaError(RefusedError):
    """The person's daily allowance does not cover the request.

    Attributes:
        allowance_count: Pictures a day.
        left_count: How many are left today, fewer than were asked for.
        reopens_at: When the allowance is full again (aware, UTC).
    """

    def __init__(self, *, allowance_count: int, left_count: int, reopens_at: datetime) -> None:
        super().__init__(f"{left_count} of {allowance_count} left until {reopens_at}")
        self.allowance_count = allowance_count
        self.left_count = left_count
        self.reopens_at = reopens_at


class DuplicateEventError(RefusedError):
    """This event was accepted before.

    Attributes:
        job: The job of its first delivery.
    """

    def __init__(self, job: Job) -> None:
        super().__init__(f"event {job.submission.event_id} is job {job.id}")
        self.job = job


class UnavailableError(RefusedError):
    """The database failed, so nothing can be accepted until its admin has seen to it."""


class ClosingError(RefusedError):
    """The process is shutting down and takes no new work."""


class DeliveryError(Exception):
    """The pictures could not be handed over this time."""


class UndeliverableError(DeliveryError):
    """The pictures can never be handed over: the place to put them is gone."""


class Delivery(Protocol):
    """How an adapter tells its people. Called by the service, one call per job at a time."""

    async def show_progress(self, job: Job, event: Queued | Drawing) -> None:
        """Say how far the job is. May be called often; must return quickly.

        What goes wrong here is the adapter's to log and never stops the job.
        """
        ...

    async def deliver(self, job: Job, drawn: Drawn) -> None:
        """Hand the pictures over; returns when they have arrived.

        Raises:
            DeliveryError: They did not arrive; the service decides what follows.
        """
        ...

    async def apologise(self, job: Job, error: Exception) -> None:
        """Tell the person that there will be no pictures, and why.

        Args:
            job: What was accepted.
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


class Cursors(Protocol):
    """Named strings that survive a restart; ``bot.store`` implements it."""

    async def read_cursor(self, name: str) -> str | None:
        """Return what was last written under ``name``, or ``None``."""
        ...

    async def write_cursor(self, name: str, value: str) -> None:
        """Keep ``value`` under ``name``; when this returns, it survives a crash."""
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
