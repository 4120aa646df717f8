"""What the documents say about backups and cancelling, done beside the bot as it is put together.

The engine is scripted: what matters is the database, which is real.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import pytest

from bot import app
from bot.settings import Settings, read_settings
from tests.support.bot_process import free_port
from tests.support.checkout import Checkout
from tests.support.scripted_engine import ScriptedEngine
from tests.support.shown_commands import run_by, runs
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from tests.support.postgres import PostgresServer

ANNOUNCED: Final = 4
GIVEN_UP: Final = (
    "This one was given up before it was drawn. Nothing was taken from your allowance."
)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A folder with a ``.env``, in which commands are typed."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"WEB_PORT={free_port()}\n", "utf-8")
    return Checkout(tmp_path)


@asynccontextmanager
async def running(engine: ScriptedEngine) -> AsyncGenerator[aiohttp.ClientSession]:
    """The bot with the settings of this folder, from its start to its end in order."""
    settings, said = read_settings(), list[str]()
    bot = asyncio.create_task(app.run(settings, announce=said.append, engine=engine))
    await until(lambda: bot.done() or len(said) == ANNOUNCED)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{settings.web_port}") as page:
        try:
            yield page
        finally:
            bot.cancel()
            with suppress(asyncio.CancelledError):
                await bot


async def ask(page: aiohttp.ClientSession, prompt: str) -> str:
    async with page.post("/api/draw", json={"prompt": prompt, "pictures": 1}) as answer:
        assert answer.status == 202, await answer.text()
        return (await answer.json())["job_id"]


async def last_view(page: aiohttp.ClientSession, job_id: str) -> dict[str, Any]:
    """What an open page is told at last."""
    async with page.get(f"/api/jobs/{job_id}/events") as stream:
        lines = [line async for line in stream.content if line.startswith(b"data: ")]
    return json.loads(lines[-1].removeprefix(b"data: "))


async def drawn(page: aiohttp.ClientSession, prompt: str) -> str:
    """Ask for a picture and wait until it is there."""
    job_id = await ask(page, prompt)
    assert (await last_view(page, job_id))["state"] == "done"
    return job_id


async def history(page: aiohttp.ClientSession) -> list[str]:
    """The jobs that the database knows, newest first."""
    async with page.get("/api/history") as answer:
        return [job["job_id"] for job in (await answer.json())["jobs"]]


def stand_in_for_sqlite3(checkout: Checkout) -> None:
    """A program that does the same with Python's own copy of the library."""
    program = checkout.folder / "programs" / "sqlite3"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport sqlite3, sys\n"
        "sqlite3.connect(sys.argv[1], isolation_level=None).execute(sys.argv[2])\n",
        "utf-8",
    )
    program.chmod(0o755)
    checkout.variables["PATH"] = f"{program.parent}:{checkout.environment['PATH']}"


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed here: {', '.join(missing)}")


@runs(
    "mkdir -p backup",
    "sqlite3 data/imagine.db \"VACUUM INTO 'backup/imagine-$(date +%F).db'\"",
    "sqlite3 data/imagine.db \"VACUUM INTO 'backup/before-upgrade.db'\"",
    "mkdir -p aside",
    "mv data/imagine.db* aside/",
    "cp backup/imagine-2026-11-24.db data/imagine.db",
)
async def test_a_backup_of_sqlite_made_beside_the_bot_brings_back_what_there_was(
    checkout: Checkout, request: pytest.FixtureRequest
) -> None:
    mkdir, backup, upgrade, aside, move, restore = run_by(request.function)
    if shutil.which("sqlite3") is None:
        stand_in_for_sqlite3(checkout)
    async with running(ScriptedEngine()) as page:
        kept = await drawn(page, "a green cube")
        await asyncio.to_thread(checkout.run, mkdir)
        await asyncio.to_thread(checkout.run, backup)
        lost = await drawn(page, "a red circle")
        assert await history(page) == [lost, kept]
        await asyncio.to_thread(checkout.run, upgrade)
    (made,) = (checkout.folder / "backup").glob("imagine-*.db")

    for line in (aside, move):
        checkout.run(line)
    assert list((checkout.folder / "data").glob("imagine.db*")) == []
    checkout.run(restore, {"imagine-2026-11-24.db": made.name})

    async with running(ScriptedEngine()) as page:
        assert await history(page) == [kept]
        new = await drawn(page, "a yellow star")
        assert await history(page) == [new, kept]
    assert set(run_by(request.function)) <= checkout.ran


@needs("pg_dump", "pg_restore")
@runs(
    "pg_dump --format=custom --file=imagine-$(date +%F).dump imagine",
    "pg_restore --clean --if-exists --dbname=imagine imagine-2026-11-24.dump",
)
async def test_a_backup_of_postgresql_made_beside_the_bot_brings_back_what_there_was(
    checkout: Checkout,
    request: pytest.FixtureRequest,
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dump, restore = run_by(request.function)
    postgres.execute("CREATE DATABASE imagine")
    with (checkout.folder / ".env").open("a", encoding="utf-8") as env:
        env.write(f"DATABASE_URL={postgres.url('imagine')}\n")
    monkeypatch.setenv("PGHOST", str(postgres.folder))
    monkeypatch.setenv("PGUSER", "postgres")
    monkeypatch.setenv("PATH", f"{postgres.programs}:{os.environ['PATH']}")

    async with running(ScriptedEngine()) as page:
        kept = await drawn(page, "a green cube")
        await asyncio.to_thread(checkout.run, dump)
        lost = await drawn(page, "a red circle")
        assert await history(page) == [lost, kept]
    (made,) = checkout.folder.glob("imagine-*.dump")
    checkout.run(restore, {"imagine-2026-11-24.dump": made.name})

    async with running(ScriptedEngine()) as page:
        assert await history(page) == [kept]
        new = await drawn(page, "a yellow star")
        assert await history(page) == [new, kept]
    postgres.execute("DROP DATABASE imagine")
    assert set(run_by(request.function)) <= checkout.ran


@runs("imagine admin cancel REQUEST")
async def test_what_the_terminal_cancels_while_it_is_drawn_is_not_delivered(
    checkout: Checkout, request: pytest.FixtureRequest
) -> None:
    (cancel,) = run_by(request.function)
    engine = ScriptedEngine()
    engine.open.clear()
    async with running(engine) as page:
        job_id = await ask(page, "a green cube")
        await until(lambda: len(engine.requests) == 1)
        ending = asyncio.create_task(last_view(page, job_id))

        await asyncio.to_thread(checkout.imagine, cancel, {"REQUEST": job_id})
        engine.open.set()
        told = await ending

        assert (told["state"], told["sentence"]) == ("cancelled", GIVEN_UP)
        async with page.get(f"/pictures/{job_id}/01.png") as picture:
            assert picture.status == 404
    assert set(run_by(request.function)) <= checkout.ran
