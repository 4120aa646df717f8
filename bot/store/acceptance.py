"""Accepts many submissions in one transaction, each by its own merits.

A commit waits for the disk, and that takes as long for one job as for a hundred. So whoever
wants a job accepted while a transaction is under way waits for the next one, together with
all others who do: *group commit*. Within it, each is looked at in the order of its arrival,
sees what those before it have taken, and is accepted or refused for itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, insert, select
from sqlalchemy.exc import InterfaceError, OperationalError

from bot.jobs import DuplicateEventError, RefusedError
from bot.store.errors import StoreError
from bot.store.ledger import Ledger
from bot.store.rows import accounts_of, job_of, values_of
from bot.store.tables import jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.jobs import Job
    from bot.store.database import Database
    from bot.store.quotas import Rules

MAX_TOGETHER: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A submission that wants to be a job.

    Attributes:
        job: What it will be.
        rules: The limits that it must not exceed.
        worker: The process that takes it up at once; ``None`` lets it wait in its line.
    """

    job: Job
    rules: Rules
    worker: str | None


class Acceptance:
    """The line of wishes before the database. Safe for all callers of one event loop.

    Attributes:
        open_picture_count: Pictures of everybody that were still to come when a job was
            accepted here last, its own among them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wishes: deque[tuple[Wish, asyncio.Future[Job]]] = deque()
        self._granting: asyncio.Task[None] | None = None
        self.open_picture_count = 0

    async def accept(self, wish: Wish) -> Job:
        """Make a job of a wish; when this returns, it is on the disk.

        Whoever is cancelled meanwhile may have been accepted.

        Raises:
            RefusedError: It was not accepted, and nothing was taken.
            StoreError: The database failed; nothing was taken.
        """
        answer: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        self._wishes.append((wish, answer))
        if self._granting is None:
            self._granting = asyncio.create_task(self._grant_all(), name="store: accept")
        return await answer

    async def close(self) -> None:
        """Let what has arrived be answered."""
        while self._granting is not None:
            await asyncio.wait([self._granting])

    async def _grant_all(self) -> None:
        try:
            while self._wishes:
                count = min(MAX_TOGETHER, len(self._wishes))
                await self._grant([self._wishes.popleft() for _ in range(count)])
        finally:
            self._granting = None

    async def _grant(self, together: list[tuple[Wish, asyncio.Future[Job]]]) -> None:
        """Answer these wishes. What breaks the transaction of many is looked at one by one."""
        wishes = [wish for wish, _ in together]
        try:
            outcomes, self.open_picture_count = await self._database.write(
                lambda c: accept_all(c, wishes)
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            if len(together) > 1 and not _is_of_all(error):
                for one in together:
                    await self._grant([one])
                return
            outcomes = [error] * len(together)
        for (_, answer), outcome in zip(together, outcomes, strict=True):
            _answer(answer, outcome)


def _is_of_all(error: Exception) -> bool:
    """Whether the database failed, and not over something that one wish holds."""
    causes = (OperationalError, InterfaceError, OSError)
    return isinstance(error, StoreError) and isinstance(error.__cause__, causes)


def _answer(answer: asyncio.Future[Job], outcome: Job | Exception) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):  # nobody waits for it any more
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)


async def accept_all(
    connection: AsyncConnection, wishes: Sequence[Wish]
) -> tuple[list[Job | Exception], int]:
    """Accept or refuse each wish, in order; write all that was accepted.

    Returns:
        What became of each, and how many pictures of everybody are to come then.
    """
    ledger = await Ledger.open(connection)
    known = await _known(connection, wishes)
    await ledger.load(
        id_ for wish in wishes for id_ in accounts_of(*_who_and_where(wish.job)).values()
    )
    rows: list[dict[str, Any]] = []
    outcomes: list[Job | Exception] = []
    for wish in wishes:
        try:
            rows.append(_accept(ledger, known, wish))
        except RefusedError as refusal:
            outcomes.append(refusal)
        else:
            outcomes.append(wish.job)
    if rows:
        await connection.execute(insert(jobs), rows)
        await ledger.write()
    return outcomes, ledger.open_picture_count


def _accept(ledger: Ledger, known: dict[tuple[str, str], Job], wish: Wish) -> dict[str, Any]:
    job = wish.job
    event = (job.submission.person.platform, job.submission.event_id)
    if event in known:
        raise DuplicateEventError(known[event])
    turn = ledger.take(job.submission, wish.rules, job.accepted_at, is_to_wait=wish.worker is None)
    known[event] = job
    return values_of(job, worker=wish.worker, turn=turn)


async def _known(connection: AsyncConnection, wishes: Sequence[Wish]) -> dict[tuple[str, str], Job]:
    """The events among these that are jobs already."""
    events: defaultdict[str, list[str]] = defaultdict(list)
    for wish in wishes:
        events[wish.job.submission.person.platform].append(wish.job.submission.event_id)
    known: dict[tuple[str, str], Job] = {}
    for platform, event_ids in events.items():
        found = await connection.execute(KNOWN, {"platform": platform, "event_ids": event_ids})
        known |= {(platform, row.event_id): job_of(row) for row in found}
    return known


KNOWN: Final = select(jobs).where(
    jobs.c.platform == bindparam("platform"),
    jobs.c.event_id.in_(bindparam("event_ids", expanding=True)),
)
"""The jobs that the events ``event_ids`` of a platform became first."""


def _who_and_where(job: Job) -> tuple[Any, str | None]:
    return job.submission.person, job.submission.community
