"""What every ``Engine`` promises, shown on each of them."""

from __future__ import annotations

import dataclasses
import io
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from engine.api import (
    Drawing,
    Drawn,
    DrawRequest,
    Engine,
    InvalidRequestError,
    Preview,
    Priority,
    Queued,
)
from engine.client import EngineProcess
from engine.pool import EnginePool
from tests.support import arithmetic_runner
from tests.support.scripted_engine import ScriptedEngine, solid_png

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(params=["scripted", "process", "pool"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    engine: Engine
    match request.param:
        case "scripted":
            engine = ScriptedEngine()
        case "process":
            engine = new_process(tmp_path)
        case _:
            engine = EnginePool([new_process(tmp_path), new_process(tmp_path)])
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.close)
        await engine.start()
        yield engine


def new_process(folder: Path) -> EngineProcess:
    return EngineProcess(
        checkpoint_dir=folder, slot_count=4, runner_loader=arithmetic_runner.LOADER
    )


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


async def test_requester_and_priority_change_no_picture(engine: Engine) -> None:
    request = DrawRequest(prompt="a cat", seed=1, picture_count=2)

    plain = [e async for e in engine.draw(request)][-1]
    other = [e async for e in engine.draw(request, requester="ada", priority=Priority.HIGH)][-1]

    assert isinstance(plain, Drawn)
    assert isinstance(other, Drawn)
    assert plain.pictures == other.pictures


async def test_previews_come_before_the_pictures_and_only_if_asked_for(engine: Engine) -> None:
    request = DrawRequest(prompt="a cat", seed=1, picture_count=2)

    without = [e async for e in engine.draw(request)]
    previews = [
        e
        async for e in engine.draw(dataclasses.replace(request, preview=True))
        if isinstance(e, Preview)
    ]

    assert not [event for event in without if isinstance(event, Preview)]
    assert [preview.fraction for preview in previews] == sorted({p.fraction for p in previews})
    for preview in previews:
        with Image.open(io.BytesIO(preview.picture)) as image:
            assert image.format == "WEBP"


async def test_a_picture_is_enlarged_four_times(engine: Engine) -> None:
    enlarged = await engine.upscale(solid_png(90, 7, 200, side_px=8))

    with Image.open(io.BytesIO(enlarged)) as image:
        assert image.size == (32, 32)


async def test_a_picture_becomes_tokens_to_start_from(engine: Engine) -> None:
    tokens = await engine.encode(solid_png(90, 7, 200, side_px=8))

    request = DrawRequest(prompt="a cat", seed=1, picture_count=1, keep=tokens[:10])
    completed = [e async for e in engine.draw(request)][-1]
    assert isinstance(completed, Drawn)
    assert completed.pictures[0].tokens[:10] == tokens[:10]


async def test_a_picture_drawn_again_from_its_tokens_is_the_same_file(engine: Engine) -> None:
    request = DrawRequest(prompt="a cat", seed=1, picture_count=3)
    drawn = [e async for e in engine.draw(request)][-1]
    assert isinstance(drawn, Drawn)

    again = [await engine.render(request, p.index, p.tokens) for p in drawn.pictures]

    assert again == [picture.png for picture in drawn.pictures]


async def test_tokens_that_are_no_picture_are_not_rendered(engine: Engine) -> None:
    with pytest.raises(InvalidRequestError):
        await engine.render(DrawRequest(prompt="a cat", seed=1), 0, (1, 2, 3))


async def test_a_file_that_is_no_picture_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidRequestError):
        await engine.encode(b"no picture")


async def test_the_stats_of_an_engine_at_rest_say_that_it_rests(engine: Engine) -> None:
    assert [e async for e in engine.draw(DrawRequest(prompt="a cat", seed=1, picture_count=1))]

    stats = await engine.stats()

    assert stats.slot_count > 0
    assert (stats.busy_slot_count, stats.waiting_picture_count, stats.restart_count) == (0, 0, 0)
