"""The one flow of a request: accept, draw, deliver, settle. Knows no platform's ways.

The store is the truth. Whatever happens to this process, a job that was accepted is found
unfinished at the next start and goes through the same flow again, with the same seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bot.clock import Clock, utc_now
from bot.jobs import ClosingError, DeliveryError, Platform, RefusedError, UnavailableError
from bot.outcomes import Quota, outcome_of
from bot.store import StoreError
from engine.api import MAX_SEED, DrawingFailedError, Drawn, Preview

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from bot.jobs import Delivery, Job, Person, Submission
    from bot.store import Store
    from engine.api import Drawing, Engine, Queued

Sleep = Callable[[float], Awaitable[None]]

MAX_DELIVERY_ATTEMPTS: Final = 5
FIRST_PAUSE_S: Final = 2.0
PROGRESS_LIMIT_S: Final = 5.0

# Somebody at a terminal waits as long as their command runs; another start of it must not
# draw the jobs of one that still runs beside it, only clear away what was long forgotten.
ATTENDED: Final = frozenset({Platform.TERMINAL})
FORGOTTEN_AFTER: Final = timedelta(hours=1)

_log = logging.getLogger(__name__)
_random = SystemRandom()

T = TypeVar("T")


class Service:
    """Takes submissions from adapters and sees each through to its end.

    Args:
        store: Open; closed by whoever opened it, after ``close``.
        engine: Started by whoever built it before the first submission is drawn.
        daily_pictures: Pictures a day for each person and platform; 0 is no limit.
        clock: Tells the present.
        sleep: Waits between two attempts to deliver.
    """

    def __init__(
        self,
        *,
        store: Store,
        engine: Engine,
        daily_pictures: int,
        clock: Clock = utc_now,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._store = store
        self._engine = engine
        self._daily_pictures = daily_pictures
        self._clock = clock
        self._sleep = sleep
        self._deliveries: dict[Platform, Delivery] = {}
        self._accepting: set[asyncio.Task[Job]] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._is_closing = False

    def __repr__(self) -> str:
        closing = ", closing" if self._is_closing else ""
        return f"<Service {len(self._running)} jobs running{closing}>"

    def register(self, platform: Platform, delivery: Delivery) -> None:
        """Say who delivers to a platform: before ``start``, once for each adapter."""
        self._deliveries[platform] = delivery

    async def start(self) -> None:
        """Carry on with the jobs that an earlier process left unfinished.

        Raises:
            StoreError: They cannot be read.
        """
        await self._clear_forgotten()
        for job in await self._store.unfinished(self._deliveries.keys() - ATTENDED):
            _log.info("job resumed %s", _fields(job))
            self._begin(job)

    async def submit(self, submission: Submission) -> Job:
        """Accept a submission: quota taken and job stored in one transaction.

        When this returns, the job survives any crash, and drawing has begun in the
        background; the outcome comes through the platform's ``Delivery``. A caller who is
        cancelled meanwhile has still submitted.

        Raises:
            RefusedError: Nothing was accepted; ``bot.sentences.explain`` says why.
        """
        if self._is_closing:
            raise ClosingError
        if submission.person.platform not in self._deliveries:
            raise LookupError(f"nobody is registered to deliver to {submission.person.platform}")
        name = f"accept {submission.person.platform} {submission.event_id}"
        return await asyncio.shield(_own(self._accepting, self._accept(submission), name))

    async def allowance_left(self, person: Person) -> int | None:
        """How many pictures the person may still ask for today; ``None`` is no limit."""
        return await self._store.allowance_left(
            person, now=self._clock(), allowance_count=self._daily_pictures
        )

    async def close(self, grace_s: float) -> None:
        """Refuse new work, wait up to ``grace_s`` for running jobs and leave the rest.

        Jobs that are left stay in the store as they are: the next ``start`` resumes them.
        """
        if self._is_closing and not self._running and not self._accepting:
            return  # it was closed before
        self._is_closing = True
        await asyncio.gather(*self._accepting, return_exceptions=True)
        if self._running:
            await asyncio.wait(self._running, timeout=grace_s)
        left = list(self._running)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        _log.info("service closed jobs_left=%d", len(left))

    async def _accept(self, submission: Submission) -> Job:
        try:
            job = await self._store.accept(
                _with_seed(submission), now=self._clock(), allowance_count=self._daily_pictures
            )
        except (RefusedError, StoreError) as error:
            _log_refusal(submission, error)
            if isinstance(error, StoreError):  # adapters need not know that there is a store
                raise UnavailableError("the store failed") from error
            raise
        _log.info("job accepted %s", _fields(job))
        self._begin(job)
        return job

    def _begin(self, job: Job) -> None:
        _own(self._running, self._carry_out(job), f"job {job.id}")

    async def _carry_out(self, job: Job) -> None:
        """Draw, deliver, settle; or give back and apologise: the whole life of a job.

        Cancelled at any point it leaves the job to the next start.
        """
        delivery = self._deliveries[job.submission.person.platform]
        try:
            job = await self._store.begin_drawing(job.id)
            drawn = await self._draw(job, delivery)
            await self._deliver(job, drawn, delivery)
        except Exception as error:  # noqa: BLE001 - whatever one job raises, the others go on
            await self._end(job, error, delivery)
        else:
            await self._settle(job)

    async def _draw(self, job: Job, delivery: Delivery) -> Drawn:
        person = job.submission.person
        drawing = self._engine.draw(
            job.submission.request, requester=f"{person.platform}:{person.id}"
        )
        async with contextlib.aclosing(drawing) as events:
            async for event in events:
                if isinstance(event, Drawn):
                    return event
                if not isinstance(event, Preview):  # which no platform shows yet
                    await self._show_progress(job, event, delivery)
        raise DrawingFailedError("The engine ended without pictures.")

    async def _show_progress(self, job: Job, event: Queued | Drawing, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(PROGRESS_LIMIT_S):
                await delivery.show_progress(job, event)
        except Exception as error:  # noqa: BLE001 - progress is a courtesy, pictures are not
            _log.warning("progress not shown %s error=%s", _fields(job), type(error).__name__)

    async def _deliver(self, job: Job, drawn: Drawn, delivery: Delivery) -> None:
        """Deliver, again after a pause if it fails; each attempt is counted before it is made."""
        pauses_s = retry_pauses_s()
        while True:
            job = await self._store.begin_delivery(job.id)
            try:
                return await delivery.deliver(job, drawn)
            except DeliveryError as error:
                if not outcome_of(error).is_retried or (pause_s := next(pauses_s, None)) is None:
                    raise
                _log.warning("delivery delayed %s pause_s=%.1f", _fields(job), pause_s)
                await self._sleep(pause_s)

    async def _settle(self, job: Job) -> None:
        try:
            await self._store.settle(job.id, now=self._clock())
        except StoreError as error:
            # The person has the pictures. The next start finds the attempt counted, and the
            # adapter sees whether it arrived.
            self._log_end(job, error)
        else:
            _log.info("job delivered %s %s", _fields(job), self._duration(job))

    async def _end(self, job: Job, error: Exception, delivery: Delivery) -> None:
        """Do what the table says about an error that ended a job, and tell the person."""
        self._log_end(job, error)
        is_over = await self._gave_back(job, error)
        try:
            await (delivery.apologise(job, error) if is_over else delivery.postpone(job))
        except Exception as again:  # noqa: BLE001 - as above
            is_expected = isinstance(again, DeliveryError)
            _log.warning("no apology %s", _fields(job), exc_info=None if is_expected else again)

    async def _gave_back(self, job: Job, error: Exception) -> bool:
        """Give the quota back if the table says so; whether the job is over thereby."""
        if outcome_of(error).quota is not Quota.GIVEN_BACK:
            return False
        try:
            await self._store.give_back(job.id, reason=_reason(error), now=self._clock())
        except StoreError as store_error:
            self._log_end(job, store_error)
            return False
        return True

    def _log_end(self, job: Job, error: Exception) -> None:
        outcome = outcome_of(error)
        stopped = f"job stopped {_fields(job)} {self._duration(job)} error={outcome.label}"
        is_grave = outcome.log_level >= logging.ERROR
        _log.log(outcome.log_level, stopped, exc_info=error if is_grave else None)

    async def _clear_forgotten(self) -> None:
        now = self._clock()
        for job in await self._store.unfinished(ATTENDED):
            if now - job.accepted_at > FORGOTTEN_AFTER:
                await self._store.give_back(job.id, reason="nobody waits for it", now=now)

    def _duration(self, job: Job) -> str:
        return f"duration_s={(self._clock() - job.accepted_at).total_seconds():.1f}"


def retry_pauses_s() -> Iterator[float]:
    """The pauses between attempts to deliver: doubling, with jitter from a half to the whole.

    Bots that failed together must not all come back together. The whole pauses are
    2, 4, 8 and 16 s: a short fault is outlasted, and a person still waits.
    """
    for retry in range(MAX_DELIVERY_ATTEMPTS - 1):
        whole_s = FIRST_PAUSE_S * 2**retry
        yield _random.uniform(whole_s / 2, whole_s)


def _own(tasks: set[asyncio.Task[T]], work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Run ``work`` as a task that stays in ``tasks`` until it is done."""
    task = asyncio.create_task(work, name=name)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


def _with_seed(submission: Submission) -> Submission:
    """Choose a seed where the person chose none: from now on the pictures are fixed."""
    if submission.request.seed is not None:
        return submission
    seed = _random.randint(0, MAX_SEED)
    return replace(submission, request=replace(submission.request, seed=seed))


def _log_refusal(submission: Submission, error: Exception) -> None:
    outcome, platform = outcome_of(error), submission.person.platform
    is_grave = outcome.log_level >= logging.ERROR
    refused = f"job refused platform={platform} error={outcome.label}"
    _log.log(outcome.log_level, refused, exc_info=error if is_grave else None)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _fields(job: Job) -> str:
    return f"job_id={job.id} platform={job.submission.person.platform}"
