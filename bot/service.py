"""The one way in for every platform: who is let in, and who carries on after a restart.

What follows for a job that was accepted is ``bot.flow``. Nothing here knows a platform's ways.

The store is the truth. Whatever happens to this process, a job that was accepted is found
unfinished at the next start and goes through the same flow again, with the same seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bot.clock import Clock, utc_now
from bot.feeder import ATTENDED, Feeder
from bot.flow import Flow, fields_of
from bot.jobs import (
    ClosingError,
    DuplicateEventError,
    JobState,
    NotCancellableError,
    Platform,
    RefusedError,
    Scope,
    UnavailableError,
)
from bot.observer import Observers
from bot.outcomes import outcome_of
from bot.store import StoreError
from bot.store.store import DEFAULT_WORKER, daily_rules
from bot.studio import new_seed
from bot.tasks import Tasks
from bot.upkeep import purge_daily
from engine.api import Queued

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bot.feeder import Place
    from bot.flow import Sleep
    from bot.jobs import Delivery, Gatekeeper, Job, JobId, Person, Submission
    from bot.observer import Observer
    from bot.store import CommunityRules, Rules, Standing, Store
    from engine.api import Engine

DEFAULT_ROOM: Final = 64

# A terminal's job stays unfinished when its command is killed; another command must not draw
# it, only clear away what was long forgotten.
FORGOTTEN_AFTER: Final = timedelta(hours=1)

_log = logging.getLogger(__name__)


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
        self._rules = rules or daily_rules(daily_pictures)
        self._gatekeeper = gatekeeper
        self._worker = worker
        self._kept_for = history_kept_for
        self._observer: Observer = observer or Observers()
        self._clock = clock
        self._flow = Flow(
            store=store,
            engine=engine,
            worker=worker,
            observer=self._observer,
            clock=clock,
            sleep=sleep,
        )
        self._deliveries: dict[Platform, Delivery] = {}
        self._feeder = Feeder(store=store, worker=worker, room=room, begin=self._begin, sleep=sleep)
        self._accepting: set[asyncio.Task[Job]] = set()
        self._running: dict[JobId, asyncio.Task[None]] = {}
        self._background = Tasks()
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
            _log.info("job resumed %s", fields_of(job))
            submission = job.submission
            self._begin(
                job,
                self._feeder.place(submission.person.platform, submission.request.picture_count),
            )
        await self._feeder.start()
        purging = purge_daily(self._store, kept_for=self._kept_for, clock=self._clock)
        self._background.start(purging, name="purge")

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
        accepting = asyncio.create_task(
            self._accept(submission),
            name=f"accept {submission.person.platform} {submission.event_id}",
        )
        self._accepting.add(accepting)
        accepting.add_done_callback(self._accepting.discard)
        return await asyncio.shield(accepting)

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
        _log.info("job cancelled %s %s", fields_of(job), self._flow.duration(job))
        self._observer.cancelled(job)
        return job

    async def revoke(self, job_id: JobId, person: Person) -> Job:
        """Give up a job of somebody else, give the quota back, and tell its person.

        Raises:
            NotCancellableError: It is finished, being delivered, unknown or not that person's.
            UnavailableError: The database failed.
        """
        job = await self.cancel(job_id, person)
        if delivery := self._deliveries.get(person.platform):
            await self._flow.tell_cancelled(job, delivery)
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
        left = list(self._running.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._background.close()
        with contextlib.suppress(StoreError):  # then the next start takes this end for a crash
            await self._store.release(self._worker)
        _log.info("service closed jobs_left=%d", len(left))

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
        _log.info("job accepted %s", fields_of(job))
        self._observer.accepted(job)
        if place is None:
            self._feeder.joined()
            self._background.start(self._show_waiting(job), name=f"waiting {job.id}")
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
        delivery = self._deliveries[job.submission.person.platform]
        if job.state is JobState.APOLOGISING:
            flow = self._flow.go_on_apologising(job, delivery)
        else:
            flow = self._flow.carry_out(job, delivery, on_drawn=lambda: self._feeder.drawn(place))
        task = asyncio.create_task(flow, name=f"job {job.id}")
        self._running[job.id] = task
        task.add_done_callback(lambda _: self._leave(job, place))

    def _leave(self, job: Job, place: Place) -> None:
        del self._running[job.id]
        self._feeder.leave(place)

    async def _show_waiting(self, job: Job) -> None:
        """Say how many pictures come first, as far as this can be known."""
        ahead_count = self._store.open_picture_count - job.submission.request.picture_count
        delivery = self._deliveries[job.submission.person.platform]
        await self._flow.show_progress(job, Queued(pictures_ahead=max(0, ahead_count)), delivery)

    async def _clear_forgotten(self) -> None:
        now = self._clock()
        for job in await self._store.unfinished(ATTENDED):
            if now - job.accepted_at > FORGOTTEN_AFTER:
                await self._store.abandon(job.id, reason="nobody waits for it", now=now)


def _with_seed(submission: Submission) -> Submission:
    """Choose a seed where the person chose none: from now on the pictures are fixed."""
    if submission.request.seed is not None:
        return submission
    return replace(submission, request=replace(submission.request, seed=new_seed()))


def _log_refusal(submission: Submission, error: Exception) -> None:
    outcome, platform = outcome_of(error), submission.person.platform
    is_grave = outcome.log_level >= logging.ERROR
    refused = f"job refused platform={platform} error={outcome.label}"
    _log.log(outcome.log_level, refused, exc_info=error if is_grave else None)
