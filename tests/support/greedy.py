"""A process that wants as much as it can get from a database that others use too."""

from __future__ import annotations

import asyncio
import json
import sys

from bot.clock import utc_now
from bot.jobs import DuplicateEventError, OverQuotaError, Platform
from bot.store import Limits, Rules, Store
from tests.support.factories import person, submission

PEOPLE = 4
REQUESTS = 100
AT_ONCE = 4
RULES = Rules(
    person=Limits(daily_count=30, jobs_count=12),
    community=Limits(daily_count=70),
    bot=Limits(daily_count=90, jobs_count=40),
)


async def main(url: str, name: str) -> None:
    """Wait for a line of input, ask for everything at once, and print what was granted."""
    store = await Store.open(url)
    print("ready", flush=True)  # noqa: T201 - read by the test
    await asyncio.to_thread(sys.stdin.readline)
    granted: list[str | None] = []
    for first in range(0, REQUESTS, AT_ONCE):  # so many at once would all fit one transaction
        granted += await asyncio.gather(
            *(_granted(store, name, number) for number in range(first, first + AT_ONCE))
        )
        await asyncio.sleep(0.01)  # SQLite lets whoever was just there in again first
    taken = [
        job.id
        for _ in range(20)
        for job in await store.take_up([Platform.DISCORD], worker=name, room=3)
    ]
    await store.close()
    print(json.dumps({"granted": [id_ for id_ in granted if id_], "taken": taken}), flush=True)  # noqa: T201


async def _granted(store: Store, name: str, number: int) -> str | None:
    """Every third event comes to both processes, as an event that is delivered twice."""
    event_id = f"both-{number}" if number % 3 == 0 else f"{name}-{number}"
    wanted = submission(
        by=person(f"p{number % PEOPLE}"),
        event_id=event_id,
        picture_count=1 + number % 4,
        community=f"g{number % 2}",
    )
    try:
        return (await store.accept(wanted, now=utc_now(), rules=RULES)).id
    except (OverQuotaError, DuplicateEventError):
        return None


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
