"""The parts joined as in the product, with a scripted engine instead of a model."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp
import pytest

from bot import app
from bot.jobs import OverQuotaError, Person, Platform
from bot.settings import Settings
from bot.store import Store
from bot.terminal import NoPicturesError
from engine.api import CheckpointError, DrawingFailedError, DrawRequest
from tests.support.bot_process import free_port
from tests.support.clock import Clock
from tests.support.scripted_engine import ScriptedEngine, solid_png
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

OFF = (
    "Loading the model; its first start takes a minute or two longer.",
    "Discord: off. To add it, set DISCORD_TOKEN in .env.",
    (
        "X: off. To add it, set X_API_KEY, X_API_SECRET, X_ACCESS_TOKEN and X_ACCESS_TOKEN_SECRET "
        "in .env."
    ),
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", web_port=free_port(), daily_pictures=10)


async def test_it_runs_until_it_is_cancelled_and_closes_everything(settings: Settings) -> None:
    engine, said = ScriptedEngine(), list[str]()
    running = asyncio.create_task(app.run(settings, announce=said.append, engine=engine))
    await until(lambda: len(said) == 4)

    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{settings.web_port}") as http,
        http.get("/healthz") as answer,
    ):
        assert await answer.json() == {"status": "ok"}
    assert said[1] == f"Page: http://127.0.0.1:{settings.web_port} (stop with Ctrl+C)"
    assert (said[0], *said[2:]) == OFF
    assert engine.is_started

    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert not engine.is_started
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_second_bot_on_the_same_data_is_refused(settings: Settings) -> None:
    with app.only_bot_in(settings.data_dir), pytest.raises(app.DataDirError) as caught:
        await app.run(settings, announce=lambda _: None, engine=ScriptedEngine())

    assert str(caught.value) == (
        f"Another bot is running with the folder {settings.data_dir}: stop it, or set DATA_DIR "
        "and WEB_PORT to others."
    )


async def test_a_data_folder_that_cannot_be_made_is_told_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(app.DataDirError) as caught:
        await app.migrate(Settings(data_dir=tmp_path / "file" / "data"))

    assert str(caught.value) == (
        f"The folder {tmp_path}/file/data cannot be used (Not a directory): set DATA_DIR to one "
        "you may write to."
    )


def test_an_incomplete_model_is_told_with_the_missing_files(tmp_path: Path) -> None:
    for name in ("dalle_bart", "vqgan"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").touch()
        (tmp_path / name / "flax_model.msgpack").touch()

    with pytest.raises(CheckpointError) as caught:
        app.check_checkpoint(tmp_path)

    assert str(caught.value) == (
        f"The model in {tmp_path} lacks clip/config.json, clip/flax_model.msgpack: set "
        "ENGINE_CHECKPOINT to a complete folder."
    )


async def draw(settings: Settings, engine: ScriptedEngine, output: Path, count: int = 4) -> None:
    request = DrawRequest(prompt="a green cube", picture_count=count, seed=7)
    await app.draw(settings, request, output, show=lambda _: None, engine=engine, clock=Clock())


async def left(settings: Settings) -> int | None:
    """What the person at this terminal may still ask for."""
    store = await Store.open(settings.store_url)
    person = Person(platform=Platform.TERMINAL, id=app.terminal.user_name())
    count = await store.allowance_left(person, now=Clock()(), allowance_count=10)
    await store.close()
    return count


async def test_a_drawing_in_the_terminal_is_a_file_and_costs_its_pictures(
    settings: Settings, tmp_path: Path
) -> None:
    await draw(settings, ScriptedEngine(), tmp_path / "cube.png")

    assert (tmp_path / "cube.png").read_bytes() == solid_png(90, 7, 200, side_px=48)
    assert await left(settings) == 6
    with pytest.raises(OverQuotaError):
        await draw(settings, ScriptedEngine(), tmp_path / "cube.png", count=7)


async def test_a_drawing_that_fails_costs_nothing(settings: Settings, tmp_path: Path) -> None:
    engine = ScriptedEngine()
    engine.errors.append(DrawingFailedError("broke"))

    with pytest.raises(NoPicturesError) as caught:
        await draw(settings, engine, tmp_path / "cube.png")

    assert str(caught.value) == (
        "The pictures could not be drawn. Please try again. Nothing was taken from your allowance."
    )
    assert await left(settings) == 10


async def test_a_drawing_that_cannot_be_written_costs_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    output = tmp_path / "gone" / "cube.png"

    with pytest.raises(NoPicturesError) as caught:
        await draw(settings, ScriptedEngine(), output)

    assert str(caught.value) == (
        f"{output} cannot be written (No such file or directory): choose another file with -o."
    )
    assert await left(settings) == 10


async def test_a_drawing_that_is_given_up_costs_nothing(settings: Settings, tmp_path: Path) -> None:
    engine = ScriptedEngine()
    engine.open.clear()
    drawing = asyncio.create_task(draw(settings, engine, tmp_path / "cube.png"))
    await until(lambda: len(engine.requests) == 1)

    drawing.cancel()
    with suppress(asyncio.CancelledError):
        await drawing

    assert await left(settings) == 10
    assert not engine.is_started
