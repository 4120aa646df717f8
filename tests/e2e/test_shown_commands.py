"""Somebody who has only the documents types what they show.

Which command is run by which test, and which cannot be run here and why:
``tests/support/shown_commands.py``; that none is forgotten: ``tests/unit/test_shown_commands.py``.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from huggingface_hub import constants as hub_constants

from bot.checkpoints import complete_folder_of
from bot.settings import Settings, read_settings
from engine.pictures import read_info
from engine.sources import released
from tests.support.checkout import ROOT, Checkout, MadeRun
from tests.support.hub_server import FakeHub, serve
from tests.support.scripted_engine import ScriptedEngine
from tests.support.shown_commands import run_by, runs
from tests.support.tiny import tiny_checkpoint
from tests.support.turns import compiled_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.sources.hub import HubPart

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

SHOWN_ADDRESS: Final = "http://127.0.0.1:8080"
HERE: Final = "web/127.0.0.1"
FOLLOWS_WITHIN_S: Final = 60.0  # two seconds, on a machine that has time
OFF: Final = (
    'Discord: off. To add it, set DISCORD_TOKEN in .env (README, "Add Discord").\n'
    'X: off. To add it, put its four keys into .env (README, "Add X").\n'
)


@pytest.fixture(scope="module")
def readme(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The checkout of somebody who follows the README."""
    checkout = Checkout(tmp_path_factory.mktemp("readme"))
    (checkout.folder / "data").mkdir()
    (checkout.folder / "data" / "compiled").symlink_to(compiled_dir(tmp_path_factory))
    return checkout


@pytest.fixture(scope="module")
def bot(readme: Checkout) -> Iterator[MadeRun]:
    """The bot that ``make run`` started there, for all stories that need one."""
    readme.run("cp .env.example .env")
    with readme.made_run() as running:
        yield running
    assert running.output.count("Stopped.\n") == 1
    assert "Traceback" not in running.output


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout of a test's own."""
    return Checkout(tmp_path)


@pytest.fixture
def beside(
    bot: MadeRun, readme: Checkout, typing_in: Callable[[Checkout], Checkout]
) -> tuple[MadeRun, Checkout]:
    """A running bot and a second terminal in the same folder."""
    return bot, typing_in(readme)


@pytest.fixture
def typing_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Checkout], Checkout]:
    """Go into a checkout, with none of our variables set."""

    def go(checkout: Checkout) -> Checkout:
        for name in Settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.chdir(checkout.folder)
        return checkout

    return go


def ask(bot: MadeRun, path: str, **body: object) -> tuple[int, dict[str, Any]]:
    """What the page answers; a POST if there is a body."""
    data = json.dumps(body).encode() if body else None
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{bot.base_url}{path}", data, headers)  # noqa: S310 # ours
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 # ours
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def wait_for(condition: Callable[[], bool]) -> None:
    """Look until it holds; at most as long as a busy machine may take."""
    deadline = time.monotonic() + FOLLOWS_WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "the running bot does not follow"
        time.sleep(0.5)  # each look may be a picture that is drawn


def finished(bot: MadeRun, job_id: str) -> dict[str, Any]:
    """A job at its end."""

    def look() -> dict[str, Any]:
        return ask(bot, f"/api/jobs/{job_id}")[1]

    wait_for(lambda: look()["state"] not in {"queued", "drawing"})
    return look()


@runs(
    "make run",
    "imagine run",
    "cp .env.example .env",
    "curl -s http://127.0.0.1:8080/api/draw -H 'Content-Type: application/json' "
    '-d \'{"prompt": "a green cube", "pictures": 4, "seed": 7}\'',
    ".venv/bin/imagine check",
)
def test_a_newcomer_has_pictures_with_the_commands_of_the_readme(
    beside: tuple[MadeRun, Checkout],
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    bot, here = beside
    (curl,) = (line for line in run_by(request.function) if line.startswith("curl "))
    assert f"Page: {bot.base_url} (stop with Ctrl+C)\n{OFF}" in bot.output

    if shutil.which("curl") is None:
        pytest.skip("curl is not installed here")
    accepted = json.loads(here.run(curl, {SHOWN_ADDRESS: bot.base_url}))

    done = finished(bot, accepted["job_id"])
    assert (done["state"], done["seed"], len(done["pictures"])) == ("done", 7, 4)
    with urllib.request.urlopen(f"{bot.base_url}{done['pictures'][0]['url']}") as picture:  # noqa: S310
        said = read_info(picture.read())
    assert said is not None
    assert (said.prompt, said.seed, said.model) == ("a green cube", 7, "demo")

    here.imagine(".venv/bin/imagine check")

    told = capsys.readouterr()
    looked_at = ("settings", "database", "weights", "device", "discord", "x", "disk", "clock")
    assert [line.split()[:2] for line in told.out.splitlines()] == [
        [name, "ok" if line.split()[1] == "ok" else "ok:"]
        for name, line in zip(looked_at, told.out.splitlines(), strict=True)
    ]
    assert told.err == ""


@runs("imagine admin pause", "imagine admin resume", "imagine admin stats", "imagine admin audit")
def test_a_running_bot_pauses_and_goes_on_when_the_terminal_says_so(
    beside: tuple[MadeRun, Checkout], capsys: pytest.CaptureFixture[str]
) -> None:
    bot, here = beside

    def answer() -> tuple[int, dict[str, Any]]:
        return ask(bot, "/api/draw", prompt="a red circle", pictures=1)

    here.imagine("imagine admin pause")
    wait_for(lambda: answer()[0] == 503)
    assert answer()[1]["error"].startswith("Drawing is paused by an admin.")
    assert ask(bot, "/api/admin/now")[1]["now"]["is_paused"] is True
    assert ask(bot, "/readyz") == (200, {"status": "ok"}), "it still answers people"
    capsys.readouterr()
    here.imagine("imagine admin stats")
    assert capsys.readouterr().out.startswith("Paused: nothing is accepted.")

    here.imagine("imagine admin resume")
    wait_for(lambda: answer()[0] == 202)
    assert ask(bot, "/api/admin/now")[1]["now"]["is_paused"] is False

    capsys.readouterr()
    here.imagine("imagine admin audit")
    told = capsys.readouterr().out.splitlines()
    assert any(" pause " in line for line in told)
    acts = [entry["act"] for entry in ask(bot, "/api/admin/audit")[1]["entries"]]
    assert acts.index("resume") < acts.index("pause"), "newest first, on the page as well"


@runs(
    "imagine admin block discord/123456789 --hours 24 --reason spam",
    "imagine admin unblock discord/123456789",
    "imagine admin grant discord/123456789 unlimited",
    "imagine admin limits",
    "imagine admin limits discord/987654321 --daily 500 --jobs 20",
    "imagine admin reports",
)
def test_a_running_bot_obeys_blocks_grants_and_limits_of_the_terminal(
    beside: tuple[MadeRun, Checkout],
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    bot, here = beside
    block, unblock, grant, *_ = run_by(request.function)
    me = {"discord/123456789": HERE}

    def status() -> int:
        return ask(bot, "/api/draw", prompt="a red circle", pictures=1)[0]

    here.imagine(block, me)
    wait_for(lambda: status() == 403)
    here.imagine(unblock, me)
    wait_for(lambda: status() == 202)

    assert ask(bot, "/api/allowance")[1]["left"] is not None
    here.imagine(grant, me)
    wait_for(lambda: ask(bot, "/api/allowance")[1]["left"] is None)
    here.imagine(grant, {**me, "unlimited": "none"})
    wait_for(lambda: ask(bot, "/api/allowance")[1]["left"] is not None)

    here.imagine("imagine admin limits discord/987654321 --daily 500 --jobs 20")
    capsys.readouterr()
    here.imagine("imagine admin limits")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["discord/987654321", "500", "20"] in rows
    changed = {
        "platform": "discord",
        "community": "987654321",
        "is_paused": False,
        "daily_pictures": 500,
        "jobs_at_once": 20,
    }
    wait_for(lambda: ask(bot, "/api/admin/house")[1]["communities"] == [changed])
    here.imagine("imagine admin reports")


@runs(
    "imagine admin export discord/123456789 -o export.json",
    "imagine admin purge",
    "imagine admin delete discord/123456789",
)
def test_a_running_bot_forgets_what_the_terminal_deletes(
    beside: tuple[MadeRun, Checkout],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    bot, here = beside
    export, purge, delete = run_by(request.function)
    me = {"discord/123456789": HERE}
    accepted = ask(bot, "/api/draw", prompt="a yellow star", pictures=1)[1]
    done = finished(bot, accepted["job_id"])
    picture = done["pictures"][0]["url"]

    here.imagine(export, me)
    exported = json.loads((here.folder / "export.json").read_text("utf-8"))
    assert "a yellow star" in [job["prompt"] for job in exported["jobs"]]

    here.imagine(purge)
    assert ask(bot, f"/api/jobs/{accepted['job_id']}")[1] == done, "it is not old enough"

    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    here.imagine(delete, me)
    assert "[y/N]" in capsys.readouterr().out
    assert ask(bot, f"/api/jobs/{accepted['job_id']}")[0] == 404
    assert ask(bot, picture)[0] == 404
    assert ask(bot, "/api/history")[1]["jobs"] == []


def scripted(_settings: Settings) -> ScriptedEngine:
    """An engine without a model: how fast one draws is not the question here."""
    return ScriptedEngine()


@runs(
    ".venv/bin/imagine fetch mini",
    "imagine fetch mega",
    "echo ENGINE_CHECKPOINT=mini >> .env",
    "imagine bench",
)
def test_weights_are_fetched_from_a_hub_set_and_measured(
    checkout: Checkout,
    typing_in: Callable[[Checkout], Checkout],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here = typing_in(checkout)
    folder = tiny_checkpoint(tmp_path_factory.mktemp("tiny"))
    hub = FakeHub({})

    def pinned(part: HubPart) -> HubPart:
        files = hub.repos.setdefault(part.repo, {})
        files |= {name: (folder / part.folder / name).read_bytes() for name in part.files}
        return replace(
            part, sha256={name: hashlib.sha256(files[name]).hexdigest() for name in part.sha256}
        )

    for name, parts in released.RELEASED.items():
        monkeypatch.setitem(released.RELEASED, name, tuple(map(pinned, parts)))
    with serve(hub):
        for name in ("HUGGINGFACE_CO_URL_TEMPLATE", "ENDPOINT"):  # HF_ENDPOINT, read at import
            at_hub = getattr(hub_constants, name).replace(hub_constants.ENDPOINT, hub.url)
            monkeypatch.setattr(hub_constants, name, at_hub)
        here.imagine("imagine fetch mega")
        here.imagine(".venv/bin/imagine fetch mini")
    assert capsys.readouterr().out.rstrip().endswith("ENGINE_CHECKPOINT=mini")

    here.run("echo ENGINE_CHECKPOINT=mini >> .env")
    settings = read_settings()
    there = complete_folder_of(settings.engine_checkpoint, settings.data_dir)
    assert there.samefile(here.folder / "data" / "checkpoints" / "mini")

    monkeypatch.setattr("bot.app.engine_of", scripted)
    here.imagine("imagine bench")
    assert capsys.readouterr().out.startswith("Model mini, devices auto, ")


@runs(
    "git clone REPOSITORY /opt/imagine-bot",
    "cd /opt/imagine-bot",
    "git pull",
)
def test_the_repository_is_cloned_and_pulled(checkout: Checkout, tmp_path: Path) -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("these sources come without git")
    there = {"/opt/imagine-bot": str(tmp_path / "opt")}

    checkout.run("git clone REPOSITORY /opt/imagine-bot", {**there, "REPOSITORY": str(ROOT)})
    checkout.run("cd /opt/imagine-bot", there)
    assert (tmp_path / "opt" / "Makefile").is_file()
    checkout.folder = tmp_path / "opt"
    assert "up to date" in checkout.run("git pull")


@runs(
    "make install",
    "install -m 0600 .env.example /etc/imagine-bot.env",
    "cp deploy/imagine-bot.service /etc/systemd/system/",
    ".venv/bin/pip install asyncpg",
)
def test_what_a_service_needs_is_put_in_its_place(checkout: Checkout, tmp_path: Path) -> None:
    units = tmp_path / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    etc = {"/etc/": f"{tmp_path}/etc/"}

    checkout.run("make install")
    checkout.run("install -m 0600 .env.example /etc/imagine-bot.env", etc)
    checkout.run("cp deploy/imagine-bot.service /etc/systemd/system/", etc)
    said = checkout.run(".venv/bin/pip install asyncpg")

    assert (tmp_path / "etc" / "imagine-bot.env").stat().st_mode & 0o777 == 0o600
    assert (units / "imagine-bot.service").is_file()
    assert "already satisfied: asyncpg" in said


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed here")
@runs('echo "POSTGRES_PASSWORD=$(openssl rand -hex 24)" > deploy/.env')
def test_the_password_that_the_compose_file_asks_for_is_made(
    checkout: Checkout, request: pytest.FixtureRequest
) -> None:
    (line,) = run_by(request.function)

    checkout.run(line)

    name, _, password = (checkout.folder / "deploy" / ".env").read_text("utf-8").partition("=")
    assert (name, len(password.strip())) == ("POSTGRES_PASSWORD", 48)
    assert f"${{{name}:?" in (checkout.folder / "deploy" / "compose.yaml").read_text("utf-8")


@pytest.fixture(autouse=True)
def every_line_is_run(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a story says that it runs, it has run at its end."""
    names = {"checkout", "readme"} & {*request.fixturenames}
    checkouts: list[Checkout] = [request.getfixturevalue(name) for name in names]
    yield
    ran = set[str]().union(*(each.ran for each in checkouts))
    assert set(run_by(request.function)) <= ran
