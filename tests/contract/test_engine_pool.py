"""Several engine processes as one."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from engine.api import (
    CheckpointError,
    DrawingFailedError,
    Drawn,
    DrawRequest,
    EngineClosedError,
    SamplingOptions,
)
from engine.client import EngineProcess
from engine.devices import devices_of
from engine.pool import EnginePool
from tests.support import arithmetic_runner
from tests.support.arithmetic_runner import expected_tokens
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DEADLINE_S = 30.0


class House:
    """A pool of two processes, each with a switchboard of its own."""

    def __init__(self, folder: Path) -> None:
        self.folders = [folder / "a", folder / "b"]
        for each in self.folders:
            each.mkdir()
        self.members = [
            EngineProcess(
                checkpoint_dir=each,
                slot_count=4,
                device=device,
                restart_delay_s=0.01,
                runner_loader=arithmetic_runner.LOADER,
            )
            for each, device in zip(self.folders, devices_of(["cpu", "cpu"]), strict=True)
        ]
        self.pool = EnginePool(self.members)

    def hold(self) -> None:
        for each in self.folders:
            (each / "hold").touch()

    def go_on(self) -> None:
        for each in self.folders:
            (each / "hold").unlink()

    def ask(self, prompt: str, count: int) -> asyncio.Task[Drawn]:
        return asyncio.create_task(self.drawn(prompt, count))

    async def drawn(self, prompt: str, count: int) -> Drawn:
        request = DrawRequest(prompt=prompt, picture_count=count, seed=7)
        last = [event async for event in self.pool.draw(request)][-1]
        assert isinstance(last, Drawn)
        return last

    @property
    def loads(self) -> list[int]:
        return [member.picture_count for member in self.members]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.pool.start()
    yield house
    await house.pool.close()


async def is_as_expected(task: asyncio.Task[Drawn], prompt: str, count: int) -> bool:
    drawn = await asyncio.wait_for(task, DEADLINE_S)
    return {picture.index: picture.tokens for picture in drawn.pictures} == {
        index: expected_tokens(prompt, 7, index, SamplingOptions()) for index in range(count)
    }


def kill(member: EngineProcess) -> None:
    assert member.process_id is not None
    os.kill(member.process_id, signal.SIGKILL)


async def test_each_request_goes_where_the_least_is_to_do(house: House) -> None:
    house.hold()
    tasks: list[asyncio.Task[Drawn]] = []
    loads: list[list[int]] = []

    for count in (9, 2, 3, 5, 1):
        tasks.append(house.ask("a cat", count))
        await asyncio.sleep(0)
        loads.append(house.loads)

    assert loads == [[9, 0], [9, 2], [9, 5], [9, 10], [10, 10]]
    house.go_on()
    await asyncio.gather(*tasks)
    assert house.loads == [0, 0]


async def test_both_draw_the_same_pictures(house: House) -> None:
    house.hold()
    tasks = [house.ask("a cat", 3), house.ask("a cat", 3)]
    await asyncio.sleep(0)
    assert house.loads == [3, 3]

    house.go_on()
    first, second = await asyncio.gather(*tasks)

    assert first.pictures == second.pictures


async def test_when_one_is_killed_in_mid_drawing_everything_is_drawn(house: House) -> None:
    house.hold()
    asked = [(f"prompt {number}", 1 + number % 4) for number in range(8)]
    tasks = [house.ask(*each) for each in asked]
    await until(lambda: min(house.loads) > 0)

    kill(house.members[0])
    house.go_on()

    assert all([await is_as_expected(t, *a) for t, a in zip(tasks, asked, strict=True)])
    assert repr(house.members[0]) == "<EngineProcess ready, 0 requests, 1 restarts>"
    assert repr(house.members[1]) == "<EngineProcess ready, 0 requests, 0 restarts>"


async def test_when_one_cannot_be_started_again_the_other_draws_for_it(house: House) -> None:
    house.hold()
    asked = [("first", 4), ("second", 4)]
    tasks = [house.ask(*each) for each in asked]
    await until(lambda: house.loads == [4, 4])
    (house.folders[0] / "broken").touch()

    kill(house.members[0])
    house.go_on()

    assert all([await is_as_expected(t, *a) for t, a in zip(tasks, asked, strict=True)])
    later = house.ask("later", 1)
    assert await is_as_expected(later, "later", 1)


async def test_what_kills_two_processes_is_not_given_to_a_third(house: House) -> None:
    with pytest.raises(DrawingFailedError, match="broke twice over this request"):
        await house.drawn("kill always", 2)

    assert repr(house.members[1]) == "<EngineProcess ready, 0 requests, 0 restarts>"


async def test_errands_go_to_a_member_that_draws(house: House) -> None:
    picture = (await house.drawn("a cat", 1)).pictures[0]
    (house.folders[0] / "broken").touch()
    kill(house.members[0])

    assert await house.pool.encode(picture.png) == picture.tokens
    assert (await house.pool.upscale(picture.png)).startswith(b"\x89PNG")
    request = DrawRequest(prompt="a cat", picture_count=1, seed=7)
    assert await house.pool.render(request, picture.index, picture.tokens) == picture.png


async def test_the_stats_are_those_of_all(house: House) -> None:
    tasks = [house.ask("a cat", 4), house.ask("a dog", 4)]
    await asyncio.gather(*tasks)

    stats, each = await house.pool.stats(), [await m.stats() for m in house.members]

    assert (stats.slot_count, stats.compile_count, stats.text_cache_hits) == (8, 6, 4)
    assert stats.memory_bytes == pytest.approx(sum(s.memory_bytes for s in each), rel=0.05)
    assert stats.chunk_s is not None
    assert min(s.chunk_s or 0 for s in each) <= stats.chunk_s <= max(s.chunk_s or 0 for s in each)
    assert stats.device_bytes is None


async def test_if_one_cannot_start_the_pool_does_not(tmp_path: Path) -> None:
    house = House(tmp_path)
    (house.folders[1] / "broken").touch()

    with pytest.raises(CheckpointError, match="is broken"):
        await house.pool.start()

    assert [member.process_id for member in house.members] == [None, None]


async def test_a_closed_pool_draws_nothing(house: House) -> None:
    house.hold()
    asking = house.ask("a cat", 1)
    await until(lambda: house.loads == [1, 0])

    await house.pool.close()

    with pytest.raises(EngineClosedError):
        await asking
    with pytest.raises(EngineClosedError, match=r"^The engine is not running\.$"):
        await house.drawn("too late", 1)
