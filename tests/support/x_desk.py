"""The service as the X adapter sees it, with a memory that survives the death of a process.

Keeps the promises of ``bot.service.Service`` (an event makes one job; unfinished jobs are
delivered again after a restart; a failed delivery is repeated, then the job is given back and
apologised for) without a database, so that thousands of histories can be run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from bot.jobs import (
    DeliveryError,
    DuplicateEventError,
    Job,
    JobId,
    JobState,
    OverQuotaError,
    UndeliverableError,
)
from bot.store import StoreError
from engine.api import Verdict
from tests.support.scripted_engine import drawn
from tests.support.wary_engine import judged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from datetime import datetime

    from bot.jobs import Delivery, Person, Submission
    from engine.api import Drawn, DrawRequest

RETRIES = 4
RETRY_PAUSE_S = 4.0


@dataclass(slots=True)
class Ledger:
    """What survives: jobs by event, and the errors that the next drawings end with.

    ``stumble`` may refuse a submission; ``is_soft`` says that the gatekeeper softens all others;
    ``verdicts`` are what the picture check says of candidates.
    """

    allowance_count: int = 1_000_000
    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    errors: deque[Exception] = field(default_factory=deque[Exception])
    stumble: Callable[[Submission], Exception | None] = lambda _: None
    is_soft: bool = False
    verdicts: Mapping[int, Verdict] = field(default_factory=dict[int, Verdict])
    used: dict[tuple[str, object], int] = field(default_factory=dict[tuple[str, object], int])

    @property
    def prompts(self) -> list[str]:
        return [job.submission.request.prompt for job in self.jobs.values()]


class Desk:
    """A ``Submitter``. One life of it; the ledger goes on.

    Args:
        ledger: What earlier lives left.
        clock: Tells the time.
        sleep: Waits.
        point: Awaited around each change of the ledger: the process may die there.
        draw_s: How long a drawing takes.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        point: Callable[[], Awaitable[None]] | None = None,
        draw_s: float = 1.0,
    ) -> None:
        self.ledger = ledger
        self.delivery: Delivery | None = None
        self.failures: list[Exception] = []
        self.is_open = asyncio.Event()
        self.is_open.set()
        self._clock = clock
        self._sleep = sleep
        self._point = point or _pass
        self._draw_s = draw_s
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_idle(self) -> bool:
        return not self._tasks

    def start(self) -> None:
        """Take up what an earlier life left."""
        for job in list(self.ledger.jobs.values()):
            if job.state is JobState.ACCEPTED:
                self._begin(self._carry_out(job))

    async def submit(self, submission: Submission) -> Job:
        await self._point()
        if (error := self.ledger.stumble(submission)) is not None:
            raise error
        if submission.event_id in self.ledger.jobs:
            raise DuplicateEventError(self.ledger.jobs[submission.event_id])
        self._take(submission)
        request = replace(submission.request, seed=7)
        job = Job(
            id=JobId(f"job-{submission.event_id}"),
            submission=replace(submission, request=request, is_soft=self.ledger.is_soft),
            state=JobState.ACCEPTED,
            attempt_count=0,
            accepted_at=self._clock(),
        )
        self.ledger.jobs[submission.event_id] = job
        await self._point()
        self._begin(self._carry_out(job))
        return job

    async def allowance_left(self, person: Person) -> int | None:
        return self.ledger.allowance_count - self.ledger.used.get(self._key(person.id), 0)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _key(self, person_id: str) -> tuple[str, object]:
        return person_id, self._clock().date()

    def _take(self, submission: Submission) -> None:
        key, count = self._key(submission.person.id), submission.request.picture_count
        used = self.ledger.used.get(key, 0)
        if self.ledger.allowance_count - used < count:
            midnight = self._clock().astimezone(UTC).replace(hour=0, minute=0, second=0)
            raise OverQuotaError(
                allowance_count=self.ledger.allowance_count,
                left_count=self.ledger.allowance_count - used,
                reopens_at=midnight.replace(microsecond=0) + timedelta(days=1),
            )
        self.ledger.used[key] = used + count

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="desk")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, job: Job) -> None:
        assert self.delivery is not None
        try:
            await self._draw()
            await self._deliver(job)
        except StoreError:
            return  # the job waits for the next start
        except Exception as error:  # noqa: BLE001 (as the service does)
            self.failures.append(error)
            await self._end(job, JobState.FAILED)
            try:
                await self.delivery.apologise(job, error)
            except (DeliveryError, StoreError) as again:
                self.failures.append(again)
        else:
            await self._end(job, JobState.DELIVERED)

    async def _draw(self) -> None:
        await self.is_open.wait()
        await self._sleep(self._draw_s)
        if self.ledger.errors:
            raise self.ledger.errors.popleft()

    async def _deliver(self, job: Job) -> None:
        assert self.delivery is not None
        for retry in range(RETRIES + 1):
            counted = self.ledger.jobs[job.submission.event_id]
            attempt_count = counted.attempt_count
            await self._keep(replace(counted, attempt_count=attempt_count + 1))
            try:
                await self.delivery.deliver(
                    replace(counted, attempt_count=attempt_count),
                    judged(picture(job.submission.request), self.ledger.verdicts),
                )
            except UndeliverableError:
                raise
            except DeliveryError:
                if retry == RETRIES:
                    raise
                await self._sleep(RETRY_PAUSE_S)
            else:
                return

    async def _end(self, job: Job, state: JobState) -> None:
        await self._keep(replace(self.ledger.jobs[job.submission.event_id], state=state))

    async def _keep(self, job: Job) -> None:
        await self._point()
        self.ledger.jobs[job.submission.event_id] = job
        await self._point()


_pictures: dict[int, Drawn] = {}


def picture(request: DrawRequest) -> Drawn:
    """The picture of any request with as many: drawn once."""
    if request.picture_count not in _pictures:
        _pictures[request.picture_count] = drawn(request)
    return _pictures[request.picture_count]


async def _pass() -> None:
    """Let the process live on."""
