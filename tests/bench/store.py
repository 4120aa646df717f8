"""How many requests the store accepts, and how fast the fair order is with many waiting.

Run by ``make bench``. Requests arrive at a fixed pace, whether or not those before them have
been answered, and each is timed from its arrival until it is on the disk: this is what a
person waits before the bot acknowledges. The service runs as in life: limits for persons,
communities and the bot are checked, and an engine that takes 0.4 s for a request keeps its
room full, so that jobs are taken up, delivered and settled all the while.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import resource
import sqlite3
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.clock import utc_now
from bot.jobs import Person, Platform, Submission
from bot.service import Service
from bot.store import Limits, Rules, Store
from engine.api import DrawRequest, Priority
from tests.support.factories import database_url
from tests.support.scripted_engine import ScriptedEngine, drawn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from bot.jobs import Job, Progress
    from engine.api import DrawEvent, Drawn

PEOPLE: Final = 2_000
COMMUNITIES: Final = 50
RULES: Final = Rules(
    person=Limits(daily_count=10**6, burst_count=10**6, refill_s=1.0, jobs_count=10**6),
    community=Limits(daily_count=10**7, jobs_count=10**6),
    bot=Limits(jobs_count=10**6),
)
TOGETHER: Final = 200
TAKEN_COUNT: Final = 200


class PacedEngine(ScriptedEngine):
    """Draws each request in a fixed time; pictures are made once, not measured here."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn = drawn(DrawRequest(prompt="an avocado armchair", picture_count=4, seed=1))

    async def draw(
        self, request: DrawRequest, *, requester: str = "", priority: Priority = Priority.NORMAL
    ) -> AsyncGenerator[DrawEvent]:
        del request, requester, priority
        await asyncio.sleep(0.4)
        yield self._drawn


class SilentDelivery:
    """Takes everything at once."""

    def __init__(self) -> None:
        self.delivered_count = 0

    async def show_progress(self, job: Job, event: Progress) -> None:
        """Show nothing."""

    async def deliver(self, job: Job, drawn: Drawn) -> None:
        del job, drawn
        self.delivered_count += 1

    async def apologise(self, job: Job, error: Exception) -> None:
        raise AssertionError(f"{job.id}: {error}")

    async def postpone(self, job: Job) -> None:
        raise AssertionError(f"{job.id} was postponed")

    async def cancelled(self, job: Job) -> None:
        raise AssertionError(f"{job.id} was given up")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    what: str
    per_s: float
    median_ms: float
    p99_ms: float
    most_ms: float


def row_of(what: str, durations_s: Sequence[float], elapsed_s: float) -> Row:
    ordered = sorted(duration * 1_000 for duration in durations_s)
    return Row(
        what=what,
        per_s=len(ordered) / elapsed_s,
        median_ms=ordered[len(ordered) // 2],
        p99_ms=ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
        most_ms=ordered[-1],
    )


def wish(number: int) -> Submission:
    return Submission(
        person=Person(platform=Platform.DISCORD, id=f"person-{number % PEOPLE}"),
        event_id=f"event-{number}",
        request=DrawRequest(prompt="an avocado armchair", picture_count=4, seed=number),
        address={"channel_id": "1234567890", "token": "t" * 200},
        community=f"guild-{number % COMMUNITIES}",
    )


async def arrivals(service: Service, first: int, count: int, per_s: float) -> Row:
    """Submit at a fixed pace; time each from when it should have been submitted."""
    durations_s: list[float] = []
    begun_s = time.perf_counter()

    async def submit(number: int, due_s: float) -> None:
        await service.submit(wish(number))
        durations_s.append(time.perf_counter() - due_s)

    tasks: list[asyncio.Task[None]] = []
    for number in range(count):
        due_s = begun_s + number / per_s
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        tasks.append(asyncio.create_task(submit(first + number, due_s)))
    await asyncio.gather(*tasks)
    return row_of(f"accepted, {per_s:,.0f}/s asked for", durations_s, time.perf_counter() - begun_s)


async def measure_accepting(url: str, per_s: float, seconds: float) -> tuple[Row, int]:
    store = await Store.open(url)
    delivery = SilentDelivery()
    service = Service(store=store, engine=PacedEngine(), rules=RULES)
    service.register(Platform.DISCORD, delivery)
    await service.start()
    await arrivals(service, 0, int(per_s), per_s)  # a second to get going
    row = await arrivals(service, 10**6, int(per_s * seconds), per_s)
    await service.close(0)
    await store.close()
    return row, delivery.delivered_count


async def measure_waiting(url: str, per_s: float, seconds: float, count: int) -> list[Row]:
    """Let many jobs wait, then accept, take up and start as if there were none."""
    store = await Store.open(url)
    rows = [await fill(store, count)]
    rows.append(await measure_taking_up(store))
    begun_s = time.perf_counter()
    service = Service(store=store, engine=PacedEngine(), rules=RULES)
    service.register(Platform.DISCORD, SilentDelivery())
    await service.start()
    started = row_of("... start", [time.perf_counter() - begun_s], time.perf_counter() - begun_s)
    accepted = await arrivals(service, 2 * 10**6, int(per_s * seconds), per_s)
    await service.close(0)
    await store.close()
    return [*rows, started, replace(accepted, what=f"... {accepted.what}")]


async def fill(store: Store, count: int) -> Row:
    """Accept as fast as possible, two hundred at a time."""
    durations_s: list[float] = []

    async def accept(number: int) -> None:
        begun_s = time.perf_counter()
        await store.accept(wish(number), now=utc_now(), rules=RULES)
        durations_s.append(time.perf_counter() - begun_s)

    begun_s = time.perf_counter()
    for first in range(0, count, TOGETHER):
        await asyncio.gather(*(accept(3 * 10**6 + first + n) for n in range(TOGETHER)))
    elapsed_s = time.perf_counter() - begun_s
    return row_of(f"{count:,} accepted, {TOGETHER} at a time", durations_s, elapsed_s)


async def measure_taking_up(store: Store) -> Row:
    durations_s: list[float] = []
    for _ in range(TAKEN_COUNT):
        begun_s = time.perf_counter()
        (job,) = await store.take_up([Platform.DISCORD], worker="bench", room=1)
        durations_s.append(time.perf_counter() - begun_s)
        await store.abandon(job.id, now=utc_now())
    return row_of("... taken up one by one, in fair order", durations_s, sum(durations_s))


def show(rows: Sequence[Row]) -> None:
    for row in rows:
        numbers = (row.median_ms, row.p99_ms, row.most_ms)
        cells = " | ".join(f"{number:,.1f} ms" for number in numbers)
        print(f"| {row.what} | {row.per_s:,.0f}/s | {cells} |", flush=True)


async def main(url: str | None, per_s: float, seconds: float, waiting_count: int) -> None:
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}\n")
    print("| what | pace | median | 99 of 100 | most |\n|---|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        first = url or database_url(Path(folder, "first"))
        row, delivered_count = await measure_accepting(first, per_s, seconds)
        show([row])
        second = url or database_url(Path(folder, "second"))
        show(await measure_waiting(second, per_s, seconds, waiting_count))
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{delivered_count} jobs were delivered meanwhile; {memory_mb:.0f} MiB at most.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="of an empty database; without it, SQLite files of its own")
    parser.add_argument("--per-second", type=float, default=500.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--waiting", type=int, default=100_000)
    chosen = parser.parse_args()
    asyncio.run(main(chosen.url, chosen.per_second, chosen.seconds, chosen.waiting))
