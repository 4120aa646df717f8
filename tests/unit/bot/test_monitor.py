from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bot.minutes import read_minutes
from bot.monitor import LOOK_EVERY_S, LOOKS_PER_SAVE, Monitor
from bot.vitals import Vitals
from engine.api import EngineStats
from tests.support.clock import Clock
from tests.support.factories import a_job
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path


class Reader:
    """Sees one more busy slot at each look; after ``count`` looks it waits."""

    def __init__(self, clock: Clock, count: int) -> None:
        self.look_count = 0
        self._clock = clock
        self._count = count

    async def read(self) -> Vitals:
        if self.look_count == self._count:
            await asyncio.Event().wait()
        self.look_count += 1
        return Vitals(at=self._clock(), engine=EngineStats(busy_slot_count=self.look_count))


async def test_it_looks_again_and_again_and_writes_what_it_saw(tmp_path: Path) -> None:
    clock, history = Clock(), tmp_path / "minutes.json"
    reader = Reader(clock, LOOKS_PER_SAVE + 1)
    monitor = Monitor(clock=clock, history=history, sleep=clock.sleep)

    monitor.start(reader)
    await until(lambda: reader.look_count == LOOKS_PER_SAVE + 1)

    looks_per_minute = 60 // int(LOOK_EVERY_S)
    saved = read_minutes(history)
    assert [minute.busy_slot_count for minute in saved] == [
        looks_per_minute * (number + 1) for number in range(LOOKS_PER_SAVE // looks_per_minute)
    ]
    await monitor.close()
    assert read_minutes(history)[-1].busy_slot_count == LOOKS_PER_SAVE + 1


async def test_a_restart_goes_on_with_what_was_seen(tmp_path: Path) -> None:
    clock, history = Clock(), tmp_path / "minutes.json"
    first = Monitor(clock=clock, history=history, sleep=clock.sleep)
    first.start(Reader(clock, 0))
    first.observer.accepted(a_job())
    await first.close()

    second = Monitor(clock=clock, history=history)
    second.observer.accepted(a_job())

    assert second.minutes.last(1)[0].accepted_count == 2


async def test_a_disk_that_cannot_be_written_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    monitor = Monitor(clock=clock, history=tmp_path / "gone" / "minutes.json")
    monitor.start(Reader(clock, 0))

    await monitor.close()

    assert caplog.messages == [
        "history of the admin page not written error=No such file or directory"
    ]


async def test_before_its_start_nothing_can_be_seen(tmp_path: Path) -> None:
    monitor = Monitor(clock=Clock(), history=tmp_path / "minutes.json")

    with pytest.raises(RuntimeError):
        await monitor.look()
    await monitor.close()
    assert not (tmp_path / "minutes.json").exists()
