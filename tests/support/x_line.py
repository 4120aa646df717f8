"""What the X adapter stands on in its own tests: time, cursors and a service that is not there."""

from __future__ import annotations

import asyncio
import heapq
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bot.jobs import (
    DeliveryError,
    DuplicateEventError,
    Job,
    JobId,
    JobState,
    OverQuotaError,
)
from bot.x.adapter import XAdapter
from bot.x.config import XConfig
from tests.support.scripted_engine import drawn
from tests.support.x_server import ACCESS_TOKEN, ACCESS_TOKEN_SECRET, API_KEY, API_SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from bot.jobs import Delivery, Person, Submission
    from tests.support.x_server import XServer

NOON = datetime(2026, 6, 9, 12, 0, tzinfo=UTC)
DEADLINE_S = 60.0


class SteppedTime:
    """Time that jumps from one sleeper's end to the next, and only while ``until`` runs."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._count = 0

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._count += 1
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + timedelta(seconds=seconds), self._count, end))
        await end

    def step(self) -> None:
        if self._sleepers:
            due, _, end = heapq.heappop(self._sleepers)
            self.now = max(self.now, due)
            if not end.done():
                end.set_result(None)

    async def until(self, condition: Callable[[], object]) -> None:
        """Let time pass until ``condition`` holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.002)
                self.step()

    async def for_hours(self, hours: float) -> None:
        end = self.now + timedelta(hours=hours)
        await self.until(lambda: self.now >= end)


class MemoryCursors:
    """Survives a "restart" of the adapter when it is handed to the next one."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    async def read_cursor(self, name: str) -> str | None:
        return self.values.get(name)

    async def write_cursor(self, name: str, value: str) -> None:
        self.values[name] = value


class Desk:
    """A ``Submitter`` that draws at once and delivers once; ``is_open`` holds drawings back."""

    def __init__(self, time: SteppedTime, *, allowance_count: int = 10_000) -> None:
        self._time = time
        self._allowance_count = allowance_count
        self._used: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.jobs: dict[str, Job] = {}
        self.failures: list[DeliveryError] = []
        self.delivery: Delivery | None = None
        self.is_open = asyncio.Event()
        self.is_open.set()

    @property
    def prompts(self) -> list[str]:
        return [job.submission.request.prompt for job in self.jobs.values()]

    async def submit(self, submission: Submission) -> Job:
        if submission.event_id in self.jobs:
            raise DuplicateEventError(self.jobs[submission.event_id])
        self._take(submission)
        request = replace(submission.request, seed=7)
        job = Job(
            id=JobId(f"job-{submission.event_id}"),
            submission=replace(submission, request=request),
            state=JobState.ACCEPTED,
            attempt_count=0,
            accepted_at=self._time(),
        )
        self.jobs[submission.event_id] = job
        self._begin(job)
        return job

    async def allowance_left(self, person: Person) -> int | None:
        return self._allowance_count - self._used.get(person.id, 0)

    def resume(self, *, attempt_count: int) -> None:
        """Do what the service does after a restart."""
        for job in self.jobs.values():
            if job.state is JobState.ACCEPTED:
                self._begin(replace(job, attempt_count=attempt_count))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self, submission: Submission) -> None:
        person_id, count = submission.person.id, submission.request.picture_count
        left = self._allowance_count - self._used.get(person_id, 0)
        if left < count:
            midnight = self._time().replace(hour=0, minute=0, second=0, microsecond=0)
            raise OverQuotaError(
                allowance_count=self._allowance_count,
                left_count=left,
                reopens_at=midnight + timedelta(days=1),
            )
        self._used[person_id] = self._used.get(person_id, 0) + count

    def _begin(self, job: Job) -> None:
        task = asyncio.create_task(self._deliver(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, job: Job) -> None:
        await self.is_open.wait()
        assert self.delivery is not None
        try:
            await self.delivery.deliver(job, drawn(job.submission.request))
        except DeliveryError as error:
            self.failures.append(error)
        else:
            done = replace(job, state=JobState.DELIVERED)
            self.jobs[job.submission.event_id] = done


def x_config(server: XServer, **changes: object) -> XConfig:
    config = XConfig(
        api_key=API_KEY,
        api_secret=API_SECRET,
        access_token=ACCESS_TOKEN,
        access_token_secret=ACCESS_TOKEN_SECRET,
        api_base=server.url,
    )
    return replace(config, **changes)  # pyright: ignore[reportArgumentType] (a test's words)


@asynccontextmanager
async def running_adapter(
    server: XServer,
    desk: Desk,
    cursors: MemoryCursors,
    time: SteppedTime,
    **changes: object,
) -> AsyncGenerator[XAdapter]:
    """An adapter that has read the mentions once, so that what follows is new to it."""
    adapter = XAdapter(x_config(server, **changes), desk, cursors, clock=time, sleep=time.sleep)
    desk.delivery = adapter
    try:
        await adapter.start()
        await time.until(lambda: "x.mentions" in cursors.values)
        yield adapter
    finally:
        await adapter.close()
        await desk.close()
