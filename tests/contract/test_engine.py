"""What every ``Engine`` promises, shown on each of them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from engine.api import Drawing, Drawn, DrawRequest, Engine, Queued
from engine.client import EngineProcess
from tests.support import arithmetic_runner
from tests.support.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(params=["scripted", "process"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    engine: Engine = (
        ScriptedEngine()
        if request.param == "scripted"
        else EngineProcess(
            checkpoint_dir=tmp_path, slot_count=4, runner_loader=arithmetic_runner.LOADER
        )
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.close)
        await engine.start()
        yield engine


async def test_the_last_event_is_the_drawing_and_the_others_say_how_far_it_is(
    engine: Engine,
) -> None:
    *before, last = [e async for e in engine.draw(DrawRequest(prompt="a cat", seed=1))]

    assert isinstance(last, Drawn)
    places = [event for event in before if isinstance(event, Queued)]
    fractions = [event.fraction for event in before if isinstance(event, Drawing)]
    assert before[: len(places)] == places
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] <= 1


async def test_as_many_pictures_come_as_were_asked_for_best_first(engine: Engine) -> None:
    events = [e async for e in engine.draw(DrawRequest(prompt="a cat", seed=1, picture_count=5))]

    drawn = events[-1]
    assert isinstance(drawn, Drawn)
    assert sorted(picture.index for picture in drawn.pictures) == [0, 1, 2, 3, 4]
    scores = [picture.score for picture in drawn.pictures]
    assert scores == sorted(scores, reverse=True)
    assert drawn.seed == 1


async def test_the_same_request_gives_the_same_files(engine: Engine) -> None:
    request = DrawRequest(prompt="a cat", seed=1, picture_count=3)

    first, second = [[e async for e in engine.draw(request)][-1] for _ in range(2)]

    assert isinstance(first, Drawn)
    assert isinstance(second, Drawn)
    assert (first.pictures, first.grid_png) == (second.pictures, second.grid_png)
