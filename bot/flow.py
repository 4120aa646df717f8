"""The life of one job after it was accepted: draw, deliver, settle; or give back, apologise.

Every step is noted in the store before or after it, so that whatever happens to the process
in between, the next one knows where to go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from random import SystemRandom
from typing import TYPE_CHECKING, Final

from bot.jobs import CrashedError, DeliveryError, JobState
from bot.observer import Showing, showings_of
from bot.outcomes import Quota, outcome_of, reason_of, revived
from bot.store import IllegalMoveError, StoreError
from engine.api import DrawingFailedError, Drawn, PicturesWithheldError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.clock import Clock
    from bot.jobs import Delivery, Job, Progress
    from bot.observer import Observer
    from bot.store import Store
    from engine.api import Engine

Sleep = Callable[[float], Awaitable[None]]

MAX_DELIVERY_ATTEMPTS: Final = 5
FIRST_PAUSE_S: Final = 2.0
PROGRESS_LIMIT_S: Final = 5.0
MAX_CRASHES: Final = 2

_log = logging.getLogger(__name__)
_random = SystemRandom()


class Flow:
    """Sees accepted jobs through to their end, many at a time.

    Args:
        store: Where each step is noted.
        engine: Draws.
        worker: The name of this process in the store.
        observer: Hears what becomes of jobs.
        clock: Tells the present.
        sleep: Waits between two attempts to deliver.
    """

    def __init__(
        self,
        *,
        store: Store,
        engine: Engine,
        worker: str,
        observer: Observer,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self._store = store
        self._engine = engine
        self._worker = worker
        self._observer = observer
        self._clock = clock
        self._sleep = sleep
        self._one_suspect_at_a_time = asyncio.Lock()

    async def carry_out(
        self, job: Job, delivery: Delivery, *, on_drawn: Callable[[], None]
    ) -> None:
        """Draw, deliver, settle; or give back and apologise: the whole life of a job.

        Cancelled at any point it leaves the job to the next start. ``on_drawn`` is told when
        the engine has done its part.
        """
        try:
            async with self._alone_if_suspect(job):
                job = await self._store.begin_drawing(job.id, self._worker)
                drawn = await self._looked_at(job, delivery)
            on_drawn()
            delivered_count = await self._deliver(job, drawn, delivery)
        except Exception as error:  # noqa: BLE001 - whatever one job raises, the others go on
            await self._end(job, error, delivery)
        else:
            await self._settle(job, drawn, delivered_count)

    async def go_on_apologising(self, job: Job, delivery: Delivery) -> None:
        """Tell the person what an earlier process could not tell any more."""
        try:
            error = revived(*await self._store.failure(job.id))
            job = await self._store.begin_apology(job.id)
        except StoreError as store_error:
            self._log_end(job, store_error)
            return
        await self._apologise(job, error, delivery)

    def duration(self, job: Job) -> str:
        """How old the job is, as a field of a line of the log."""
        return f"duration_s={self._duration_s(job):.1f}"

    def _alone_if_suspect(self, job: Job) -> contextlib.AbstractAsyncContextManager[object]:
        """Keep apart the jobs that were being drawn when the bot died.

        One of them may be what killed it. Drawn one at a time, it kills only itself.
        """
        return self._one_suspect_at_a_time if job.begun_count else contextlib.nullcontext()

    async def _looked_at(self, job: Job, delivery: Delivery) -> Drawn:
        """Draw, and tell how many of the pictures may be shown."""
        try:
            drawn = await self._draw(job, delivery)
        except PicturesWithheldError:
            count = job.submission.request.picture_count
            self._observer.looked_at(job, {Showing.WITHHELD: count})
            raise
        self._observer.looked_at(job, showings_of(job, drawn))
        return drawn

    async def _draw(self, job: Job, delivery: Delivery) -> Drawn:
        # What was drawn before and may have arrived is not what kills the bot, and whoever has
        # the pictures is not told that there are none.
        if job.begun_count >= MAX_CRASHES and job.attempt_count == 0:
            raise CrashedError(f"The bot died {job.begun_count} times while it drew this.")
        person = job.submission.person
        drawing = self._engine.draw(
            job.submission.request, requester=f"{person.platform}:{person.id}"
        )
        async with contextlib.aclosing(drawing) as events:
            async for event in events:
                if isinstance(event, Drawn):
                    return event
                await self.show_progress(job, event, delivery)
        raise DrawingFailedError("The engine ended without pictures.")

    async def show_progress(self, job: Job, event: Progress, delivery: Delivery) -> None:
        """Tell the person how far the job is; a courtesy that may fail."""
        try:
            async with asyncio.timeout(PROGRESS_LIMIT_S):
                await delivery.show_progress(job, event)
        except Exception as error:  # noqa: BLE001 - progress is a courtesy, pictures are not
            _log.warning("progress not shown %s error=%s", fields_of(job), type(error).__name__)

    async def tell_cancelled(self, job: Job, delivery: Delivery) -> None:
        """Tell the person that somebody else gave the job up; whoever did need not wait long."""
        try:
            async with asyncio.timeout(PROGRESS_LIMIT_S):
                await delivery.cancelled(job)
        except Exception as error:  # noqa: BLE001 - as above
            _log_unsaid(job, error)

    async def _deliver(self, job: Job, drawn: Drawn, delivery: Delivery) -> int | None:
        """Deliver, again after a pause if it fails; each attempt is counted before it is made."""
        pauses_s = retry_pauses_s()
        while True:
            job = await self._store.begin_delivery(job.id)
            try:
                return await delivery.deliver(job, drawn)
            except DeliveryError as error:
                if not outcome_of(error).is_retried or (pause_s := next(pauses_s, None)) is None:
                    raise
                _log.warning("delivery delayed %s pause_s=%.1f", fields_of(job), pause_s)
                await self._sleep(pause_s)

    async def _settle(self, job: Job, drawn: Drawn, delivered_count: int | None) -> None:
        arrived_count = len(drawn.pictures) if delivered_count is None else delivered_count
        try:
            await self._store.settle(
                job.id,
                now=self._clock(),
                delivered_count=arrived_count,
                pictures=drawn.pictures,
            )
        except StoreError as error:
            # The person has the pictures. The next start finds the attempt counted, and the
            # adapter sees whether it arrived.
            self._log_end(job, error)
        else:
            _log.info("job delivered %s %s", fields_of(job), self.duration(job))
            self._observer.delivered(
                job, drawn, picture_count=arrived_count, duration_s=self._duration_s(job)
            )

    async def _end(self, job: Job, error: Exception, delivery: Delivery) -> None:
        """Do what the table says about an error that ended a job, and tell the person."""
        if isinstance(error, IllegalMoveError) and error.source is JobState.CANCELLED:
            await self.tell_cancelled(job, delivery)  # by a command beside this process
            return
        self._log_end(job, error)
        self._observer.failed(job, outcome_of(error).label)
        owed = await self._gave_back(job, error)
        if owed is not None:
            await self._apologise(owed, error, delivery)
            return
        try:
            await delivery.postpone(job)
        except Exception as again:  # noqa: BLE001 - as above
            _log_unsaid(job, again)

    async def _gave_back(self, job: Job, error: Exception) -> Job | None:
        """Give the quota back if the table says so; the job that is owed an apology thereby."""
        outcome = outcome_of(error)
        if outcome.quota is not Quota.GIVEN_BACK:
            return None
        try:
            return await self._store.give_back(
                job.id, reason=reason_of(error), label=outcome.label, now=self._clock()
            )
        except StoreError as store_error:
            self._log_end(job, store_error)
            return None

    async def _apologise(self, job: Job, error: Exception, delivery: Delivery) -> None:
        """Tell the person, again after a pause if that fails; then the job is over.

        Each attempt is counted before it is made, the first by ``give_back``. Where the
        database fails, the next start goes on.
        """
        pauses_s = retry_pauses_s()
        try:
            while (pause_s := await self._apologised(job, error, delivery, pauses_s)) is not None:
                await self._sleep(pause_s)
                job = await self._store.begin_apology(job.id)
            await self._store.abandon(job.id, now=self._clock())
        except StoreError as store_error:
            self._log_end(job, store_error)

    async def _apologised(
        self, job: Job, error: Exception, delivery: Delivery, pauses_s: Iterator[float]
    ) -> float | None:
        """Apologise once; the pause after which to try again, or ``None`` if that is all."""
        try:
            await delivery.apologise(job, error)
        except Exception as again:  # noqa: BLE001 - as above
            _log_unsaid(job, again)
            return next(pauses_s, None) if outcome_of(again).is_retried else None
        return None

    def _log_end(self, job: Job, error: Exception) -> None:
        outcome = outcome_of(error)
        stopped = f"job stopped {fields_of(job)} {self.duration(job)} error={outcome.label}"
        is_grave = outcome.log_level >= logging.ERROR
        _log.log(outcome.log_level, stopped, exc_info=error if is_grave else None)

    def _duration_s(self, job: Job) -> float:
        return (self._clock() - job.accepted_at).total_seconds()


def retry_pauses_s() -> Iterator[float]:
    """The pauses between attempts to deliver: doubling, with jitter from a half to the whole.

    Bots that failed together must not all come back together. The whole pauses are
    2, 4, 8 and 16 s: a short fault is outlasted, and a person still waits.
    """
    for retry in range(MAX_DELIVERY_ATTEMPTS - 1):
        whole_s = FIRST_PAUSE_S * 2**retry
        yield _random.uniform(whole_s / 2, whole_s)


def _log_unsaid(job: Job, error: Exception) -> None:
    is_expected = isinstance(error, DeliveryError)
    _log.warning("person not told %s", fields_of(job), exc_info=None if is_expected else error)


def fields_of(job: Job) -> str:
    """The fields that name a job in every line of the log."""
    return f"job_id={job.id} platform={job.submission.person.platform}"
