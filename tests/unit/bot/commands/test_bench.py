from __future__ import annotations

import pytest

from bot.benchmark import LOAD, Measured, measure
from bot.commands.bench import bench
from engine.api import DrawingFailedError
from tests.support.scripted_engine import ScriptedEngine


async def test_it_measures_a_start_requests_alone_and_a_load() -> None:
    engine = ScriptedEngine()

    rows = [row async for row in measure(engine, run_count=2)]

    assert [row.what for row in rows] == [
        "start",
        "1 picture",
        "4 pictures",
        "9 pictures",
        "40 requests at once, 190 pictures",
    ]
    assert [len(row.seconds) for row in rows] == [1, 2, 2, 2, 1]
    assert [row.picture_count for row in rows] == [0, 2, 8, 18, 190]
    drawn = [request.picture_count for request in engine.requests]
    assert drawn == [1, 1, 1, 4, 4, 9, 9, *LOAD]
    assert len(set(engine.requesters[-40:])) == 40, "forty people, or one would be held back"


def test_the_middle_run_and_the_pictures_of_a_minute_are_told() -> None:
    measured = Measured(what="4 pictures", seconds=(1.0, 5.0, 2.0), picture_count=12)

    assert measured.median_s == 2.0
    assert measured.pictures_per_min == 90.0


async def test_it_prints_a_row_each_and_closes_the_engine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = ScriptedEngine()

    await bench(engine, run_count=1, has_load=False)

    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["what", "median", "pictures", "a", "minute"]
    assert [row.split("  ")[0] for row in rows] == [
        "start",
        "1 picture",
        "4 pictures",
        "9 pictures",
    ]
    assert not engine.is_started


async def test_a_model_that_cannot_draw_ends_it_and_closes_the_engine() -> None:
    engine = ScriptedEngine()
    engine.errors.append(DrawingFailedError("It broke."))

    with pytest.raises(DrawingFailedError):
        await bench(engine, run_count=1, has_load=False)

    assert not engine.is_started
