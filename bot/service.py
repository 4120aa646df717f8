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
from bot.feeder import ATTENDED, Feeder
from bot.jobs import (
    ClosingError,
    CrashedError,
    DeliveryError,
    DuplicateEventError,
    JobState,
    NotCancellableError,
    Platform,
    RefusedError,
    Scope,
    UnavailableError,
)
from bot.observer import Observers
from bot.outcomes import Quota, outcome_of, reason_of, revived
from bot.store import IllegalMoveError, StoreError
from bot.store.store import DEFAULT_WORKER, daily_rules
from bot.upkeep import purge_daily
from engine.api import MAX_SEED, DrawingFailedError, Drawn, Queued

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Iterator, Mapping

    from bot.feeder import Place
    from bot.jobs import Delivery, Gatekeeper, Job, JobId, Person, Progress, Submission
    from bot.observer import Observer
    from bot.store import CommunityRules, Rules, Standing, Store
    from engine.api import Engine

Sleep = Callable[[float], Awaitable[None]]

MAX_DELIVERY_ATTEMPTS: Final = 5
FIRST_PAUSE_S: Final = 2.0
PROGRESS_LIMIT_S: Final = 5.0
MAX_CRASHES: Final = 2
DEFAULT_ROOM: Final = 64

# A terminal's job stays unfinished when its command is killed; another command must not draw
# it, only clear away what was long forgotten.
FORGOTTEN_AFTER: Final = timedelta(hours=1)

_log = logging.getLogger(__name__)
_random = SystemRandom()

T = TypeVar("T")


class Service:
    """Takes submissions from adapters and sees each through to its end.

    Args:
        store: Open; closed by whoever opened it, after ``close``.
        engine: Started by whoever built it before the first submission is drawn.
        rules: What nobody may exceed.
        daily_pictures: Instead of ``rules``: a person's pictures a day; 0 is no limit.
        gatekeeper: Reads the words of each submission; without one, all words pass.
        worker: The name of this process in the store: the next one of that name goes on
            with its jobs. Processes that run at the same time need different names.
        room: Pictures that may be with the engine at once; other jobs wait in the store.
        history_kept_for: How long finished jobs are kept; ``None`` is for ever.
        observer: Hears what becomes of requests.
        clock: Tells the present.
        sleep: Waits between two attempts to deliver.
    """

    def __init__(
        self,
        *,
        store: Store,
        engine: Engine,
        rules: Rules | None = None,
        daily_pictures: int = 0,
        gatekeeper: Gatekeeper | None = None,
        worker: str = DEFAULT_WORKER,
        room: int = DEFAULT_ROOM,
        history_kept_for: timedelta | None = None,
        observer: Observer | None = None,
        clock: Clock = utc_now,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._store = store
        self._engine = engine
        self._rules = rules or daily_rules(daily_pictures)
        self._gatekeeper = gatekeeper
        self._worker = worker
        self._kept_for = history_kept_for
        self._observer: Observer = observer or Observers()
        self._clock = clock
        self._sleep = sleep
        self._deliveries: dict[Platform, Delivery] = {}
        self._feeder = Feeder(store=store, worker=worker, room=room, begin=self._begin, sleep=sleep)
        self._accepting: set[asyncio.Task[Job]] = set()
        self._running: dict[JobId, asyncio.Task[None]] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._one_suspect_at_a_time = asyncio.Lock()
        self._is_closing = False

    def __repr__(self) -> str:
        closing = ", closing" if self._is_closing else ""
        return f"<Service {len(self._running)} jobs running{closing}>"

    def register(self, platform: Platform, delivery: Delivery) -> None:
        """Say who delivers to a platform: before ``start``, once for each adapter."""
        self._deliveries[platform] = delivery
        self._feeder.add(platform)

    async def start(self) -> None:
        """Carry on with the jobs that an earlier process left unfinished.

        Raises:
            StoreError: They cannot be read.
        """
        await self._clear_forgotten()
        for job in await self._store.taken(self._worker, self._deliveries.keys() - ATTENDED):
            _log.info("job resumed %s", _fields(job))
            submission = job.submission
            self._begin(
                job,
                self._feeder.place(submission.person.platform, submission.request.picture_count),
            )
        await self._feeder.start()
        purging = purge_daily(self._store, kept_for=self._kept_for, clock=self._clock)
        _own(self._background, purging, "purge")

    async def submit(self, submission: Submission) -> Job:
        """Accept a submission: quota taken and job stored in one transaction.

        When this returns, the job survives any crash, and drawing has begun in the
        background or waits for its turn; the outcome comes through the platform's
        ``Delivery``. A caller who is cancelled meanwhile has still submitted.

        Raises:
            RefusedError: Nothing was accepted; ``bot.sentences.explain`` says why.
        """
        if self._is_closing:
            raise ClosingError
        if submission.person.platform not in self._deliveries:
            raise LookupError(f"nobody is registered to deliver to {submission.person.platform}")
        name = f"accept {submission.person.platform} {submission.event_id}"
        return await asyncio.shield(_own(self._accepting, self._accept(submission), name))

    async def cancel(self, job_id: JobId, person: Person) -> Job:
        """Give up a job that its person no longer wants, and give the quota back.

        It may wait or be drawn just now. Its ``Delivery`` is not called any more.

        Raises:
            NotCancellableError: It is finished, being delivered, unknown or another's.
            UnavailableError: The database failed.
        """
        try:
            job = await self._store.cancel(job_id, person, now=self._clock())
        except StoreError as error:
            _log.error("job not cancelled job_id=%s error=%s", job_id, error)
            raise UnavailableError("the store failed") from error
        if job is None:
            raise NotCancellableError
        if running := self._running.get(job_id):
            running.cancel()
        _log.info("job cancelled %s %s", _fields(job), self._duration(job))
        self._observer.cancelled(job)
        return job

    async def allowance_left(self, person: Person) -> int | None:
        """How many pictures the person may still ask for today; ``None`` is no limit."""
        return (await self.standing(person))[Scope.PERSON].daily_left_count

    async def standing(
        self, person: Person, *, community: str | None = None, tiers: Collection[str] = ()
    ) -> Mapping[Scope, Standing]:
        """How much of each limit is left to somebody, here and now."""
        now = self._clock()
        own = (await self._store.house.house(now)).rules_of(person.platform, community)
        return await self._store.standing(
            person, rules=self._limits(own), now=now, community=community, tiers=tiers
        )

    async def close(self, grace_s: float) -> None:
        """Refuse new work, wait up to ``grace_s`` for running jobs and leave the rest.

        Jobs that are left stay in the store as they are: the next ``start`` resumes them.
        """
        if self._is_closing and not self._running and not self._accepting:
            return  # it was closed before
        self._is_closing = True
        await asyncio.gather(*self._accepting, return_exceptions=True)
        await self._feeder.close()
        if self._running:
            await asyncio.wait(self._running.values(), timeout=grace_s)
        left = [*self._running.values(), *self._background]
        for task in left:
            task.cancel()
        left_count = len(self._running)
        await asyncio.gather(*left, return_exceptions=True)
        with contextlib.suppress(StoreError):  # then the next start takes this end for a crash
            await self._store.release(self._worker)
        _log.info("service closed jobs_left=%d", left_count)

    async def _accept(self, submission: Submission) -> Job:
        place: Place | None = None
        try:
            submission, rules = await self._admit(submission)
            person, count = submission.person, submission.request.picture_count
            place = self._feeder.place_at_once(person.platform, count)
            worker = None if place is None else self._worker
            job = await self._store.accept(
                _with_seed(submission), now=self._clock(), rules=rules, worker=worker
            )
        except (RefusedError, StoreError) as error:
            if place is not None:
                self._feeder.leave(place)
            _log_refusal(submission, error)
            self._observer.refused(submission.person.platform, outcome_of(error).label)
            if isinstance(error, StoreError):  # adapters need not know that there is a store
                raise UnavailableError("the store failed") from error
            raise
        _log.info("job accepted %s", _fields(job))
        self._observer.accepted(job)
        if place is None:
            self._feeder.joined()
            _own(self._background, self._show_waiting(job), f"waiting {job.id}")
        else:
            self._begin(job, place)
        return job

    async def _admit(self, submission: Submission) -> tuple[Submission, Rules]:
        """Ask the rules of the house, then the gatekeeper; return the limits of the place.

        Raises:
            DuplicateEventError: It would be refused now, but was accepted before.
            RefusedError: It is not drawn.
        """
        now = self._clock()
        try:
            own = (await self._store.house.house(now)).check(submission, now)
            if self._gatekeeper is not None:
                submission = await self._gatekeeper.admit(submission, level=own.moderation)
        except RefusedError:
            platform, event_id = submission.person.platform, submission.event_id
            known = await self._store.archive.known(platform, event_id)
            if known is not None:  # whoever was accepted is answered by their job alone
                raise DuplicateEventError(known) from None
            raise
        return submission, self._limits(own)

    def _limits(self, own: CommunityRules) -> Rules:
        """What nobody may exceed in a community with these rules."""
        return self._rules.narrowed(daily_count=own.daily_pictures, jobs_count=own.jobs_at_once)

    def _begin(self, job: Job, place: Place) -> None:
        is_over = job.state is JobState.APOLOGISING
        flow = self._go_on_apologising(job) if is_over else self._carry_out(job, place)
        task = asyncio.create_task(flow, name=f"job {job.id}")
        self._running[job.id] = task
        task.add_done_callback(lambda _: self._leave(job, place))

    def _leave(self, job: Job, place: Place) -> None:
        del self._running[job.id]
        self._feeder.leave(place)

    async def _carry_out(self, job: Job, place: Place) -> None:
        """Draw, deliver, settle; or give back and apologise: the whole life of a job.

        Cancelled at any point it leaves the job to the next start.
        """
        delivery = self._deliveries[job.submission.person.platform]
        try:
            async with self._alone_if_suspect(job):
                job = await self._store.begin_drawing(job.id, self._worker)
                drawn = await self._draw(job, delivery)
            self._feeder.drawn(place)
            delivered_count = await self._deliver(job, drawn, delivery)
        except Exception as error:  # noqa: BLE001 - whatever one job raises, the others go on
            await self._end(job, error, delivery)
        else:
            await self._settle(job, drawn, delivered_count)

    def _alone_if_suspect(self, job: Job) -> contextlib.AbstractAsyncContextManager[object]:
        """Keep apart the jobs that were being drawn when the bot died.

        One of them may be what killed it. Drawn one at a time, it kills only itself.
        """
        return self._one_suspect_at_a_time if job.begun_count else contextlib.nullcontext()

    async def _draw(self, job: Job, delivery: Delivery) -> Drawn:
        if job.begun_count >= MAX_CRASHES:
            raise CrashedError(f"The bot died {job.begun_count} times while it drew this.")
        person = job.submission.person
        drawing = self._engine.draw(
            job.submission.request, requester=f"{person.platform}:{person.id}"
        )
        async with contextlib.aclosing(drawing) as events:
            async for event in events:
                if isinstance(event, Drawn):
                    return event
                await self._show_progress(job, event, delivery)
        raise DrawingFailedError("The engine ended without pictures.")

    async def _show_progress(self, job: Job, event: Progress, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(PROGRESS_LIMIT_S):
                await delivery.show_progress(job, event)
        except Exception as error:  # noqa: BLE001 - progress is a courtesy, pictures are not
            _log.warning("progress not shown %s error=%s", _fields(job), type(error).__name__)

    async def _show_waiting(self, job: Job) -> None:
        """Say how many pictures come first, as far as this can be known."""
        ahead_count = self._store.open_picture_count - job.submission.request.picture_count
        delivery = self._deliveries[job.submission.person.platform]
        await self._show_progress(job, Queued(pictures_ahead=max(0, ahead_count)), delivery)

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
                _log.warning("delivery delayed %s pause_s=%.1f", _fields(job), pause_s)
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
            _log.info("job delivered %s %s", _fields(job), self._duration(job))
            self._observer.delivered(
                job, drawn, picture_count=arrived_count, duration_s=self._duration_s(job)
            )

    async def _end(self, job: Job, error: Exception, delivery: Delivery) -> None:
        """Do what the table says about an error that ended a job, and tell the person."""
        if isinstance(error, IllegalMoveError) and error.source is JobState.CANCELLED:
            return  # by its person, who knows
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

    async def _go_on_apologising(self, job: Job) -> None:
        """Tell the person what an earlier process could not tell any more."""
        try:
            error = revived(*await self._store.failure(job.id))
            job = await self._store.begin_apology(job.id)
        except StoreError as store_error:
            self._log_end(job, store_error)
            return
        await self._apologise(job, error, self._deliveries[job.submission.person.platform])

    def _log_end(self, job: Job, error: Exception) -> None:
        outcome = outcome_of(error)
        stopped = f"job stopped {_fields(job)} {self._duration(job)} error={outcome.label}"
        is_grave = outcome.log_level >= logging.ERROR
        _log.log(outcome.log_level, stopped, exc_info=error if is_grave else None)

    async def _clear_forgotten(self) -> None:
        now = self._clock()
        for job in await self._store.unfinished(ATTENDED):
            if now - job.accepted_at > FORGOTTEN_AFTER:
                await self._store.abandon(job.id, reason="nobody waits for it", now=now)

    def _duration(self, job: Job) -> str:
        return f"duration_s={self._duration_s(job):.1f}"

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


def _log_unsaid(job: Job, error: Exception) -> None:
    is_expected = isinstance(error, DeliveryError)
    _log.warning("person not told %s", _fields(job), exc_info=None if is_expected else error)


def _fields(job: Job) -> str:
    return f"job_id={job.id} platform={job.submission.person.platform}"
