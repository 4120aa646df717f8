from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bot.discord.progress import Progress
from bot.jobs import JobId

if TYPE_CHECKING:
    import pytest

JOB = JobId("job")


class Message:
    """Takes edits; each begins at once and ends when ``gate`` is open."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.shown: list[str] = []
        self.gate = asyncio.Event()
        self.changed = asyncio.Event()

    async def edit(self, text: str) -> None:
        self.begun.append(text)
        self.changed.set()
        await self.gate.wait()
        self.shown.append(text)
        self.changed.set()

    async def until(self, count: int) -> None:
        while len(self.shown) < count:
            self.changed.clear()
            await self.changed.wait()


async def test_only_the_newest_text_is_shown_after_an_edit() -> None:
    message, progress = Message(), Progress[str](interval_s=0)
    progress.show(JOB, "1 %", message.edit)
    await message.changed.wait()
    progress.show(JOB, "2 %", message.edit)
    progress.show(JOB, "3 %", message.edit)
    message.gate.set()
    await message.until(2)
    await progress.close()

    assert message.shown == ["1 %", "3 %"]


async def test_no_second_edit_begins_within_the_interval() -> None:
    message, progress = Message(), Progress[str](interval_s=3_600)
    message.gate.set()
    progress.show(JOB, "1 %", message.edit)
    await message.until(1)
    progress.show(JOB, "2 %", message.edit)
    await progress.stop(JOB)

    assert message.begun == ["1 %"]


async def test_stopping_lets_an_edit_arrive_that_is_on_its_way() -> None:
    message, progress = Message(), Progress[str](interval_s=0)
    progress.show(JOB, "1 %", message.edit)
    await message.changed.wait()
    stopping = asyncio.create_task(progress.stop(JOB))
    message.gate.set()
    await stopping

    assert message.shown == ["1 %"]
    assert repr(progress) == "<Progress of 0 jobs>"


async def test_stopping_what_was_never_shown_is_harmless() -> None:
    progress = Progress[str](interval_s=0)

    await progress.stop(JOB)

    assert repr(progress) == "<Progress of 0 jobs>"


async def test_an_edit_that_fails_ends_the_progress_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    failed = asyncio.Event()
    progress = Progress[str](interval_s=0)

    async def edit(text: str) -> None:
        failed.set()
        raise OSError(text)

    progress.show(JOB, "1 %", edit)
    await failed.wait()
    progress.show(JOB, "2 %", edit)
    await progress.stop(JOB)

    assert [record.message for record in caplog.records] == ["progress not shown: error=OSError"]


async def test_the_last_that_is_shown_is_the_farewell() -> None:
    message, progress = Message(), Progress[str](interval_s=0)
    message.gate.set()
    progress.show(JOB, "1 %", message.edit, farewell="later, elsewhere", farewell_in_s=0)
    while "later, elsewhere" not in message.shown:
        await message.until(len(message.shown) + 1)
    progress.show(JOB, "2 %", message.edit)
    await asyncio.sleep(0)
    await progress.close()

    assert message.begun[-1] == message.shown[-1] == "later, elsewhere"


async def test_what_ends_before_says_no_farewell() -> None:
    message, progress = Message(), Progress[str](interval_s=0)
    message.gate.set()
    progress.show(JOB, "1 %", message.edit, farewell="later", farewell_in_s=3_600)
    await message.until(1)
    await progress.stop(JOB)

    assert message.shown == ["1 %"]
    assert progress.newest(JOB) is None


async def test_what_is_to_be_shown_is_known_before_it_is() -> None:
    message, progress = Message(), Progress[str](interval_s=3_600)
    progress.show(JOB, "1 %", message.edit)
    progress.show(JOB, "2 %", message.edit)
    newest = progress.newest(JOB)
    await progress.close()

    assert newest == "2 %"
