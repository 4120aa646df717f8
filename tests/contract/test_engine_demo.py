"""The engine process with the model that ships: the same pictures whatever happens around.

All tests share one engine, whose first start compiles everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
from typing import TYPE_CHECKING, NamedTuple

import pytest
import pytest_asyncio

from engine.api import DEMO_CHECKPOINT, Drawing, Drawn, DrawRequest, Engine, Preview, Queued
from engine.client import EngineProcess
from engine.devices import devices_of
from engine.pool import EnginePool
from tests.support.ticking import shortest_longest_block_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(400),
    pytest.mark.alone,
]

LIMIT_MS = 50.0
REQUEST = DrawRequest(prompt="a red circle on a blue background", picture_count=3, seed=7)


class Started(NamedTuple):
    engine: EngineProcess
    cache_dir: Path
    longest_block_ms: float


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Started]:
    engines: list[tuple[EngineProcess, Path]] = []

    async def start_cold() -> None:
        for engine, _ in engines:
            await engine.close()
        cache_dir = tmp_path_factory.mktemp("cold")
        engine = EngineProcess(checkpoint_dir=DEMO_CHECKPOINT, slot_count=4, cache_dir=cache_dir)
        engines.append((engine, cache_dir))
        await engine.start()

    longest_block_ms = await shortest_longest_block_ms(start_cold, limit_ms=LIMIT_MS)
    yield Started(*engines[-1], longest_block_ms)
    await engines[-1][0].close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(started: Started) -> Drawn:
    return await drawn(started.engine, REQUEST)


async def drawn(engine: Engine, request: DrawRequest) -> Drawn:
    async with asyncio.timeout(120):
        last = [event async for event in engine.draw(request)][-1]
    assert isinstance(last, Drawn)
    return last


def tokens_of(drawn: Drawn) -> dict[int, tuple[int, ...]]:
    return {picture.index: picture.tokens for picture in drawn.pictures}


def other(number: int, picture_count: int) -> DrawRequest:
    return DrawRequest(prompt=f"{number} green cubes", picture_count=picture_count, seed=number)


async def test_the_event_loop_is_not_blocked_while_the_engine_compiles(started: Started) -> None:
    assert started.longest_block_ms < LIMIT_MS


async def test_the_event_loop_is_not_blocked_while_the_engine_draws(started: Started) -> None:
    request = dataclasses.replace(REQUEST, picture_count=16, preview=True)

    longest_ms = await shortest_longest_block_ms(
        lambda: drawn(started.engine, request), limit_ms=LIMIT_MS
    )

    assert longest_ms < LIMIT_MS


async def test_among_others_in_any_slot_the_pictures_are_the_same(
    started: Started, alone: Drawn
) -> None:
    crowd = [asyncio.create_task(drawn(started.engine, other(n, 1 + n % 4))) for n in range(3)]

    first = asyncio.create_task(drawn(started.engine, REQUEST))
    second = asyncio.create_task(drawn(started.engine, REQUEST))
    await asyncio.gather(*crowd)

    assert (await first).pictures == (await second).pictures == alone.pictures


async def test_after_a_kill_in_mid_drawing_the_pictures_are_the_same(
    started: Started, alone: Drawn
) -> None:
    engine = started.engine
    events = engine.draw(REQUEST)
    waiting = asyncio.create_task(drawn(engine, other(1, 4)))
    async with contextlib.aclosing(events):
        while not isinstance(await anext(events), Drawing):
            pass
        assert engine.process_id is not None
        os.kill(engine.process_id, signal.SIGKILL)
        last = [event async for event in events][-1]

    assert isinstance(last, Drawn)
    assert last.pictures == alone.pictures
    assert (await waiting).pictures == (await drawn(engine, other(1, 4))).pictures


async def test_a_prefix_of_its_own_tokens_gives_the_same_picture(
    started: Started, alone: Drawn
) -> None:
    picture = alone.pictures[0]
    half = picture.tokens[: len(picture.tokens) // 2]

    completed = await drawn(started.engine, dataclasses.replace(REQUEST, keep=half))

    again = next(p for p in completed.pictures if p.index == picture.index)
    assert again.tokens == picture.tokens
    assert all(p.tokens[: len(half)] == half for p in completed.pictures)


async def test_previews_of_the_demo_model_come_in_time(started: Started, alone: Drawn) -> None:
    events = [
        event async for event in started.engine.draw(dataclasses.replace(REQUEST, preview=True))
    ]

    previews = [event for event in events if isinstance(event, Preview)]
    assert previews
    assert all(0.25 <= preview.fraction < 1 for preview in previews)
    last = events[-1]
    assert isinstance(last, Drawn)
    assert last.pictures == alone.pictures


async def test_a_picture_drawn_again_from_its_tokens_equals_the_file_byte_by_byte(
    started: Started, alone: Drawn
) -> None:
    again = [await started.engine.render(REQUEST, p.index, p.tokens) for p in alone.pictures]

    assert again == [picture.png for picture in alone.pictures]


async def test_a_picture_is_read_into_tokens_that_begin_a_picture(
    started: Started, alone: Drawn
) -> None:
    tokens = await started.engine.encode(alone.pictures[0].png)

    assert len(tokens) == len(alone.pictures[0].tokens)
    upper = tokens[: len(tokens) // 2]
    completed = await drawn(started.engine, dataclasses.replace(REQUEST, keep=upper))
    assert all(picture.tokens[: len(upper)] == upper for picture in completed.pictures)


async def test_nothing_is_compiled_after_the_start(started: Started) -> None:
    before = await started.engine.stats()

    await asyncio.gather(*(drawn(started.engine, other(n, 1 + n)) for n in range(4)))

    after = await started.engine.stats()
    assert after.compile_count == before.compile_count > 0
    assert after.text_cache_misses > 0


async def test_two_processes_on_the_processor_draw_the_same_and_one_may_be_killed(
    started: Started, alone: Drawn
) -> None:
    members = [
        EngineProcess(
            checkpoint_dir=DEMO_CHECKPOINT,
            slot_count=4,
            cache_dir=started.cache_dir,
            device=device,
        )
        for device in devices_of(["cpu", "cpu"])
    ]
    pool = EnginePool(members)
    await pool.start()
    try:
        asked = [asyncio.create_task(drawn(pool, REQUEST)) for _ in range(4)]
        await asyncio.sleep(0)
        assert [member.picture_count for member in members] == [6, 6]
        killed = members[0].process_id
        assert killed is not None
        async for event in pool.draw(other(9, 1)):
            if not isinstance(event, Queued):
                break
        os.kill(killed, signal.SIGKILL)

        tokens = [tokens_of(await task) for task in asked]
    finally:
        await pool.close()

    # With other cores, and so other threads, sums may be rounded otherwise: the scores and
    # a shade of a pixel may differ. The tokens do not.
    assert tokens == [tokens_of(alone)] * 4
