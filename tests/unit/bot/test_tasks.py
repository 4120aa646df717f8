"""An owner of background tasks logs what they fail with, and ends them all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bot.tasks import Tasks
from tests.support.waiting import until

if TYPE_CHECKING:
    import pytest


async def test_a_task_that_fails_is_logged_by_its_name_and_forgotten(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> None:
        raise OSError("the disk is full")

    tasks = Tasks()
    tasks.start(fail(), name="purge")
    await until(lambda: repr(tasks) == "<Tasks 0 running>")

    (record,) = caplog.records
    assert record.getMessage() == "task failed name=purge"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], OSError)


async def test_at_the_end_all_tasks_are_cancelled_and_awaited() -> None:
    ended: list[str] = []

    async def wait(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    tasks = Tasks()
    for name in ("one", "two"):
        tasks.start(wait(name), name=name)
    await asyncio.sleep(0)
    assert repr(tasks) == "<Tasks 2 running>"

    await tasks.close()

    assert sorted(ended) == ["one", "two"]
    assert repr(tasks) == "<Tasks 0 running>"
