"""The parts joined as in the product, with a scripted engine instead of a model."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp
import pytest
from pydantic import SecretStr

from bot import app
from bot.discord.errors import DiscordStartError
from bot.jobs import OverQuotaError, Person, Platform
from bot.settings import Settings
from bot.store import Store
from bot.terminal import NoPicturesError
from bot.x.adapter import XKeysError
from engine.api import CheckpointError, DrawingFailedError, DrawRequest
from tests.support.bot_process import free_port
from tests.support.broken_database import forbid_state
from tests.support.clock import Clock
from tests.support.discord_server import DiscordServer
from tests.support.factories import submission
from tests.support.scripted_engine import ScriptedEngine, solid_png
from tests.support.waiting import until
from tests.support.x_server import XServer
from tests.support.x_world import ME, Fault

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

HEALTHY = 200
X_ADDRESS = {"mention_id": "5", "root_id": "5", "author_id": "7"}
OFF = (
    "Loading the model; the first start also compiles it.",
    'Discord: off. To add it, set DISCORD_TOKEN in .env (README, "Add Discord").',
    'X: off. To add it, put its four keys into .env (README, "Add X").',
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


@asynccontextmanager
async def running(settings: Settings) -> AsyncGenerator[list[str]]:
    """Run the bot until it has said all that it says at its start."""
    said = list[str]()
    bot = asyncio.create_task(app.run(settings, announce=said.append, engine=ScriptedEngine()))
    await until(lambda: bot.done() or len(said) == 4)
    yield said
    bot.cancel()
    with suppress(asyncio.CancelledError):
        await bot


async def health(settings: Settings) -> tuple[int, object]:
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{settings.web_port}") as http,
        http.get("/healthz") as answer,
    ):
        return answer.status, await answer.json()


def with_x(settings: Settings, x: XServer) -> Settings:
    keys = {name.lower(): SecretStr(value) for name, value in x.environment().items()}
    return settings.model_copy(update={**keys, "x_api_base": x.url, "x_poll_interval_s": 0.1})


def with_discord(settings: Settings, discord: DiscordServer) -> Settings:
    update = {
        "discord_token": SecretStr(discord.token),
        "discord_api_base": discord.api_base,
        "discord_gateway_url": discord.gateway_url,
    }
    return settings.model_copy(update=update)


async def test_a_platform_that_cannot_be_reached_keeps_nothing_else_down(
    settings: Settings,
) -> None:
    async with XServer() as x:
        x.world.fail(ME, Fault(kind="html", status=502))
        async with running(with_x(settings, x)) as said:
            assert said[3] == (
                "X: not reached yet. The bot keeps trying; check this machine's network connection."
            )
            assert await health(settings) == (503, {"status": "waiting", "for": ["x"]})


async def test_it_is_healthy_once_every_platform_is_listened_to(settings: Settings) -> None:
    async with XServer() as x, running(with_x(settings, x)) as said:
        assert said[3] == "X: mentions are answered."
        async with asyncio.timeout(10):
            while (await health(settings))[0] != HEALTHY:  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(0.01)


async def test_wrong_keys_are_told_at_once_even_if_jobs_wait_for_them(settings: Settings) -> None:
    settings.data_dir.mkdir()
    store = await Store.open(settings.store_url)
    asked = submission(by=Person(platform=Platform.X, id="7"), address=X_ADDRESS)
    await store.accept(asked, now=datetime.now(UTC), allowance_count=9)

    async with XServer() as x:
        wrong = {"x_api_secret": SecretStr("mistyped")}
        with pytest.raises(XKeysError):
            async with asyncio.timeout(app.GRACE_S / 2):
                await app.run(
                    with_x(settings, x).model_copy(update=wrong),
                    announce=lambda _: None,
                    engine=ScriptedEngine(),
                )

    (waiting,) = await store.unfinished([Platform.X])
    await store.close()
    assert waiting.attempt_count <= 1


class LoadingEngine(ScriptedEngine):
    """Never has its model loaded."""

    async def start(self) -> None:
        await super().start()
        await asyncio.Event().wait()


async def test_a_wrong_token_or_key_is_told_while_the_engine_still_loads(
    settings: Settings,
) -> None:
    async with DiscordServer() as discord, XServer() as x:
        told: list[BaseException] = []
        for wrong in (
            with_discord(settings, discord).model_copy(update={"discord_token": SecretStr("no")}),
            with_x(settings, x).model_copy(update={"x_api_secret": SecretStr("mistyped")}),
        ):
            engine = LoadingEngine()
            with pytest.raises((DiscordStartError, XKeysError)) as caught:
                await app.run(wrong, announce=lambda _: None, engine=engine)
            told.append(caught.value)
            assert not engine.is_started

    assert [type(error) for error in told] == [DiscordStartError, XKeysError]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_model_that_cannot_be_loaded_is_told_although_platforms_are_waited_for(
    settings: Settings,
) -> None:
    class BrokenEngine(ScriptedEngine):
        async def start(self) -> None:
            raise CheckpointError("The model is damaged.")

    async with XServer() as x:
        x.world.fail(ME, Fault(kind="hang"))
        with pytest.raises(CheckpointError, match="damaged"):
            await app.run(with_x(settings, x), announce=lambda _: None, engine=BrokenEngine())

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


def test_one_device_is_one_engine_process_and_several_are_a_pool(settings: Settings) -> None:
    def engine_of(devices: str) -> str:
        return repr(app.engine_of(settings.model_copy(update={"engine_devices": devices})))

    one = "<EngineProcess stopped, 0 requests, 0 restarts>"
    assert [engine_of("auto"), engine_of("cpu")] == [one, one]
    assert engine_of("cpu,gpu:0") == f"<EnginePool {one}, {one}>"


def test_the_process_of_the_bot_loads_no_jax() -> None:
    look = "import sys, bot.app, bot.cli; print([m for m in sys.modules if m.startswith('jax')])"

    looked = subprocess.run(  # noqa: S603 # our own interpreter
        [sys.executable, "-c", look], capture_output=True, check=True
    )

    assert looked.stdout.strip() == b"[]"


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


async def test_a_drawing_whose_database_fails_ends_with_a_sentence(
    settings: Settings, tmp_path: Path
) -> None:
    await app.migrate(settings)
    forbid_state(settings.data_dir / "imagine.db", "delivering")

    with pytest.raises(NoPicturesError) as caught:
        await draw(settings, ScriptedEngine(), tmp_path / "cube.png")

    assert str(caught.value) == (
        "The database failed before the pictures were done. See why with imagine check, then draw "
        "again; what was taken from your allowance comes back within a day."
    )


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
