"""The process dies at every point of the flow, and the next one finishes what was accepted.

A ``Fuse`` stands between the service and everything it awaits. At its ``burns_at``-th point
it stops whoever passes, for ever, as a power cut would; then a new service starts on the
same database, and the platform sends the same event again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import pytest

from bot.jobs import DeliveryError, DuplicateEventError, JobState, Platform
from bot.service import Service
from bot.store import Store
from engine.api import DrawingFailedError, Priority
from tests.support.clock import Clock
from tests.support.factories import database_url, person, submission
from tests.support.scripted_engine import ScriptedEngine
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from pathlib import Path

    from bot.jobs import Job, JobId, Progress, Submission
    from bot.store.house_records import HouseRecords
    from engine.api import DrawEvent, Drawn, DrawRequest

ALLOWANCE = 9
NEVER = 1_000


class Fuse:
    """Counts the points that a process passes, and lets nobody pass the last."""

    def __init__(self, burns_at: int) -> None:
        self._burns_at = burns_at
        self._passed_count = 0
        self.is_burned = False

    async def point(self) -> None:
        self._passed_count += 1
        if self._passed_count >= self._burns_at:
            self.is_burned = True
            await asyncio.Event().wait()


class FusedStore:
    """A store with a point before and after each transaction, and so are its parts."""

    def __init__(self, store: Store | HouseRecords, fuse: Fuse) -> None:
        self._store = store
        self._fuse = fuse

    def __getattr__(self, name: str) -> FusedStore | Callable[..., Any]:
        if name == "house" and isinstance(self._store, Store):
            return FusedStore(self._store.house, self._fuse)

        async def use_case(*args: object, **named: object) -> object:
            await self._fuse.point()
            result = await getattr(self._store, name)(*args, **named)
            await self._fuse.point()
            return result

        return use_case


class FusedEngine(ScriptedEngine):
    """An engine with a point before each event."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self._fuse = fuse

    async def draw(
        self, request: DrawRequest, *, requester: str = "", priority: Priority = Priority.NORMAL
    ) -> AsyncGenerator[DrawEvent]:
        async for event in super().draw(request, requester=requester, priority=priority):
            await self._fuse.point()
            yield event


@dataclass(slots=True)
class Wall:
    """What people see. Nothing on it can be replaced: what is posted twice stands there twice.

    ``lost_answer_count`` of the coming posts appear, but nobody learns that they did.
    """

    posts: list[tuple[JobId, str]] = field(default_factory=list[tuple["JobId", str]])
    lost_answer_count: int = 0

    def of(self, job_id: JobId) -> list[str]:
        return [what for poster, what in self.posts if poster == job_id]


class FusedDelivery:
    """Posts on the wall; looks there first if, and only if, the job says that it was tried."""

    def __init__(self, wall: Wall, fuse: Fuse) -> None:
        self._wall = wall
        self._fuse = fuse

    async def show_progress(self, job: Job, event: Progress) -> None:
        del job, event
        await self._fuse.point()

    async def deliver(self, job: Job, drawn: Drawn) -> None:
        del drawn
        await self._post(job, "pictures")

    async def apologise(self, job: Job, error: Exception) -> None:
        del error
        await self._post(job, "apology")

    async def postpone(self, job: Job) -> None:
        del job
        await self._fuse.point()

    async def cancelled(self, job: Job) -> None:
        del job
        await self._fuse.point()

    async def _post(self, job: Job, what: str) -> None:
        await self._fuse.point()
        if job.attempt_count > 0 and self._wall.of(job.id):
            return
        self._wall.posts.append((job.id, what))
        await self._fuse.point()
        if self._wall.lost_answer_count:
            self._wall.lost_answer_count -= 1
            raise DeliveryError("no answer")


class Process:
    """One life of the service."""

    def __init__(self, store: Store, wall: Wall, *, burns_at: int = NEVER) -> None:
        self.fuse = Fuse(burns_at)
        self.engine = FusedEngine(self.fuse)
        clock = Clock()
        self.service = Service(
            store=cast("Store", FusedStore(store, self.fuse)),
            engine=self.engine,
            daily_pictures=ALLOWANCE,
            clock=clock,
            sleep=clock.sleep,
        )
        self.service.register(Platform.DISCORD, FusedDelivery(wall, self.fuse))
        self._submitting: asyncio.Task[Job] | None = None

    async def live(self, wanted: Submission) -> None:
        """Submit and go on until everything is done or the process dies."""
        submitting = asyncio.create_task(self.service.submit(wanted), name="submit")
        self._submitting = submitting
        await until(lambda: self.fuse.is_burned or (submitting.done() and self._is_idle))
        if submitting.done() and (error := submitting.exception()):
            assert isinstance(error, DuplicateEventError)

    @property
    def _is_idle(self) -> bool:
        return repr(self.service) == "<Service 0 jobs running>"


class World:
    """The database, and all processes that lived on it.

    The dead ones are kept: a task that waits for ever and that nobody knows is collected.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._processes: list[Process] = []

    def process(self, wall: Wall, *, burns_at: int = NEVER) -> Process:
        self._processes.append(Process(self.store, wall, burns_at=burns_at))
        return self._processes[-1]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(await Store.open(database_url(tmp_path)))
    yield world
    dead = [t for t in asyncio.all_tasks() if t.get_name().startswith(("submit", "accept", "job"))]
    for task in dead:
        task.cancel()
    await asyncio.gather(*dead, return_exceptions=True)
    await world.store.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What a crash left, after the next process had its time."""

    state: JobState
    posts: list[str]
    left_count: int | None


async def ends_of_crashes(
    world: World, *, error: DrawingFailedError | None = None, lost_answer_count: int = 0
) -> list[End]:
    """Crash at the first point, then at the second, and so on until nothing crashes."""
    ends: list[End] = []
    for burns_at in count(1):
        wall = Wall(lost_answer_count=lost_answer_count)
        wanted = submission(by=person(f"person-{burns_at}"), picture_count=3)
        first = world.process(wall, burns_at=burns_at)
        first.engine.errors.extend([error] if error else [])
        await first.live(wanted)
        if not first.fuse.is_burned:
            break
        second = world.process(wall)
        await second.service.start()
        await second.live(wanted)
        ends.append(await end_of(world.store, wall, wanted))
    return ends


async def end_of(store: Store, wall: Wall, wanted: Submission) -> End:
    now = Clock()()
    with pytest.raises(DuplicateEventError) as known:
        await store.accept(wanted, now=now, allowance_count=ALLOWANCE)
    job = known.value.job
    left = await store.allowance_left(wanted.person, now=now, allowance_count=ALLOWANCE)
    return End(state=job.state, posts=wall.of(job.id), left_count=left)


DELIVERED = End(state=JobState.DELIVERED, posts=["pictures"], left_count=6)
FAILED = End(state=JobState.FAILED, posts=["apology"], left_count=9)


async def test_a_crash_anywhere_ends_in_one_delivery_and_one_payment(world: World) -> None:
    ends = await ends_of_crashes(world)

    assert len(ends) == 19
    assert all(end == DELIVERED for end in ends), ends


async def test_a_crash_anywhere_around_a_delivery_in_doubt_ends_in_one_delivery(
    world: World,
) -> None:
    ends = await ends_of_crashes(world, lost_answer_count=1)

    assert len(ends) == 22
    assert all(end == DELIVERED for end in ends), ends


async def test_a_crash_anywhere_around_a_failure_ends_in_pictures_or_in_the_quota_given_back(
    world: World,
) -> None:
    ends = await ends_of_crashes(world, error=DrawingFailedError("It broke."))

    given_back_from = ends.index(FAILED)
    assert len(ends) == 16
    assert all(end == DELIVERED for end in ends[:given_back_from]), ends
    assert all(end == FAILED for end in ends[given_back_from:]), ends


async def test_a_crash_anywhere_around_an_apology_in_doubt_ends_in_one_apology(
    world: World,
) -> None:
    ends = await ends_of_crashes(world, error=DrawingFailedError("It broke."), lost_answer_count=1)

    assert all(end in (DELIVERED, FAILED) for end in ends), ends
    assert ends[-1] == FAILED
