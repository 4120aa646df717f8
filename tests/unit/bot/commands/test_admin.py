"""``imagine admin`` on a database of its own."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.admin_sentences import moment
from bot.cli import main
from bot.jobs import Person, Platform
from bot.settings import Settings
from bot.store import Store
from bot.studio import Studio
from bot.terminal import user_name
from engine.api import DrawRequest
from tests.support.factories import person, submission
from tests.support.scripted_engine import ScriptedEngine, drawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from bot.jobs import Job

NOW = datetime.now(UTC)
BY = f"terminal:{user_name()}"


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Each command runs in a folder of its own and sees none of our variables."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Desk:
    """Runs ``imagine admin`` and tells what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def says(self, *arguments: str, status: int = 0) -> str:
        """What it told, on stdout if it worked and on stderr if not."""
        assert main(["admin", *arguments]) == status
        told = self._capsys.readouterr()
        assert (told.err == "") == (status == 0), told.err
        return told.err or told.out

    def told(self) -> str:
        """What was printed since the last look."""
        return self._capsys.readouterr().out

    def rows(self, *arguments: str) -> list[list[str]]:
        """The cells of a table; cells with spaces in them are kept apart by three."""
        lines = self.says(*arguments).splitlines()
        return [[cell.strip() for cell in line.split("   ") if cell.strip()] for line in lines]

    def acts(self) -> list[list[str]]:
        """The audit log without times, newest first."""
        return [row[1:] for row in self.rows("audit")[1:]]


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(capsys)


def at_store(work: Callable[[Store], Awaitable[Any]]) -> Any:
    """Do something with the database that the commands use."""

    async def run() -> Any:
        settings = Settings()
        settings.data_dir.mkdir(exist_ok=True)
        store = await Store.open(settings.store_url)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


async def deliver(store: Store, by: Person, *, after: timedelta = timedelta(seconds=3)) -> Job:
    asked = submission(by=by, picture_count=2)
    job = await store.accept(asked, now=NOW, allowance_count=0)
    await store.begin_drawing(job.id)
    await store.begin_delivery(job.id)
    pictures = drawn(DrawRequest(prompt="a", picture_count=2, seed=7)).pictures
    await store.settle(job.id, now=NOW + after, pictures=pictures)
    return job


def test_a_pause_is_in_the_database_for_whoever_runs(desk: Desk) -> None:
    assert desk.says("pause") == (
        "Paused: nothing is accepted. What was accepted before is still drawn.\n"
    )
    assert desk.says("stats").startswith("Paused:")
    assert desk.says("resume") == "Resumed: requests are accepted again.\n"
    assert desk.says("stats").startswith("Open: requests are accepted.\n")
    assert desk.acts() == [[BY, "resume", "bot"], [BY, "pause", "bot"]]


def test_somebody_is_blocked_and_unblocked(desk: Desk) -> None:
    told = desk.says("block", "discord/7", "--hours", "3", "--reason", "spam")

    end = datetime.now(UTC) + timedelta(hours=3)
    assert told in {
        f"discord/7 is blocked until {moment(end - ago)}.\n"
        for ago in (timedelta(0), timedelta(minutes=1))
    }
    assert desk.says("block", "x/8") == "x/8 is blocked until an admin unblocks them.\n"
    assert desk.says("unblock", "discord/7") == "discord/7 may ask again.\n"
    assert desk.says("unblock", "discord/7") == "discord/7 was not blocked.\n"
    assert [row[1:3] for row in desk.acts()] == [
        ["unblock", "person/discord/7"],
        ["block", "person/x/8"],
        ["block", "person/discord/7"],
    ]


def test_tiers_are_given_shown_and_taken_away(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERS", '{"friend": {"daily_pictures": 500}}')

    assert desk.says("grant", "discord/7", "friend") == "discord/7 has the tier friend.\n"
    assert desk.says("grant", "discord/g", "unlimited", "--community") == (
        "discord/g has the tier unlimited.\n"
    )
    limits = desk.rows("limits")
    assert ["a person with friend", "500", "45", "10 s", "5"] in limits
    assert limits[-2:] == [
        ["discord/g", "community", "unlimited"],
        ["discord/7", "person", "friend"],
    ]
    assert desk.says("grant", "discord/7", "none") == "discord/7 has no tier any more.\n"
    assert desk.says("grant", "discord/7", "gold", status=2) == (
        "There is no tier gold. Tiers are: friend.\n"
    )


def test_the_limits_of_a_community_are_changed_one_by_one(desk: Desk) -> None:
    assert desk.says("limits", "discord/g", "--daily", "500") == (
        "discord/g: pictures a day 500, requests at once as the settings say.\n"
    )
    assert desk.says("limits", "discord/g", "--jobs", "4", "--pause") == (
        "discord/g: pictures a day 500, requests at once 4. Nothing is accepted there.\n"
    )
    assert desk.says("limits", "discord/g", "--daily", "0", "--resume") == (
        "discord/g: pictures a day as the settings say, requests at once 4.\n"
    )
    assert len(desk.acts()) == 3
    desk.says("limits", "discord/g")  # only looks
    assert len(desk.acts()) == 3


def test_all_limits_are_shown_as_a_table(desk: Desk) -> None:
    assert desk.rows("limits") == [
        ["limit of", "pictures a day", "at once", "one back after", "requests"],
        ["a person", "90", "45", "10 s", "5"],
        ["a community", "no limit", "no limit", "no limit", "1000"],
        ["the whole bot", "no limit", "no limit", "no limit", "100000"],
    ]


def test_stats_count_what_happened_and_who_waits(desk: Desk) -> None:
    async def fill(store: Store) -> None:
        await deliver(store, person("ada"))
        await deliver(store, person("bea"), after=timedelta(seconds=9))
        await store.accept(submission(picture_count=5), now=NOW, allowance_count=0)

    at_store(fill)

    rows = desk.rows("stats")
    assert ["discord", "delivered", "2", "4"] in rows
    times = "50% within 9.0 s, 95% within 9.0 s, 99% within 9.0 s"
    assert [f"2 people asked in the last 24 h. Delivered: {times}."] in rows
    assert ["discord", "accepted", "1", "5", moment(NOW)] in rows
    told = json.loads(desk.says("stats", "--json"))
    assert told["is_paused"] is False
    assert told["people"] == 2
    assert told["delivered_within_s"] == {"50%": 9.0, "95%": 9.0, "99%": 9.0}
    assert [each["requests"] for each in told["waiting"]] == [1]


def test_a_request_that_waits_is_cancelled(desk: Desk) -> None:
    job: Job = at_store(lambda s: s.accept(submission(), now=NOW, allowance_count=9))

    assert desk.says("cancel", job.id) == (
        f"Request {job.id} is given up; its pictures were given back.\n"
    )
    assert desk.says("cancel", job.id, status=1).startswith("There is nothing to cancel")


def test_reports_are_shown_and_closed(desk: Desk) -> None:
    async def fill(store: Store) -> str:
        job = await deliver(store, person("ada"))
        studio = Studio(store=store, engine=ScriptedEngine())
        await studio.report(job.id, person("bea"), reason="not nice at all")
        return job.id

    job_id: str = at_store(fill)

    head, row = desk.rows("reports")
    assert head == ["number", "when", "request", "drawn for", "reason"]
    assert [row[0], *row[2:]] == ["1", job_id, "discord/ada", "not nice at all"]
    assert desk.says("reports", "--close", "1") == "Report 1 is closed.\n"
    assert desk.rows("reports")[1:] == [["(none)"]]
    assert desk.rows("reports", "--closed")[1][0] == "1"
    assert main(["admin", "reports", "--close", "1"]) == 1


def test_pictures_that_were_reported_are_removed_from_database_and_disk(
    desk: Desk, own_folder: Path
) -> None:
    async def fill(store: Store) -> Job:
        job = await deliver(store, person("192.0.2.1", Platform.WEB))
        await Studio(store=store, engine=ScriptedEngine()).report(
            job.id, person("bea"), reason="not nice"
        )
        return job

    job: Job = at_store(fill)
    folder = own_folder / "data" / "pictures" / job.id
    folder.mkdir(parents=True)

    assert desk.says("reports", "--remove", "1") == (
        "2 pictures are removed for good, and the report is closed.\n"
    )
    assert not folder.exists()
    assert desk.rows("reports")[1:] == [["(none)"]]
    assert desk.rows("audit")[1][1:3] == [BY, "remove_pictures"]
    assert desk.says("reports", "--remove", "7", status=2) == "There is no report 7.\n"


def test_what_is_stored_about_somebody_is_written_and_then_deleted(
    desk: Desk, own_folder: Path
) -> None:
    async def fill(store: Store) -> Job:
        return await deliver(store, person("192.0.2.1", Platform.WEB))

    job: Job = at_store(fill)
    folder = own_folder / "data" / "pictures" / job.id
    folder.mkdir(parents=True)
    (folder / "grid.png").touch()

    assert desk.says("export", "web/192.0.2.1", "-o", "all.json") == "Written to all.json.\n"
    exported = json.loads((own_folder / "all.json").read_text("utf-8"))
    assert [row["prompt"] for row in exported["jobs"]] == ["an avocado armchair"]
    assert len(exported["pictures"]) == 2

    assert desk.says("delete", "web/192.0.2.1", "--yes") == (
        "Deleted: 1 request of web/192.0.2.1 with its pictures, and what else is kept about them. "
        "What stays, and why: docs/privacy.md.\n"
    )
    assert json.loads(desk.says("export", "web/192.0.2.1"))["jobs"] == []
    assert not folder.exists()
    assert [row[1] for row in desk.acts()] == ["export", "erase", "export"]


def test_who_is_not_sure_deletes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    at_store(lambda store: deliver(store, person("7")))
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))

    assert main(["admin", "delete", "discord/7"]) == 1
    assert "[y/N]" in desk.told()
    assert len(json.loads(desk.says("export", "discord/7"))["jobs"]) == 1


def test_old_requests_are_forgotten_at_once(desk: Desk) -> None:
    at_store(lambda store: deliver(store, person("7"), after=-timedelta(days=400)))
    at_store(lambda store: deliver(store, person("7")))

    assert desk.says("purge", "--days", "30") == "Forgotten: 1 old request.\n"
    assert desk.acts()[0] == [BY, "purge", "bot", "1 requests"]


@pytest.mark.parametrize("who", ["7", "irc/7", "discord/", "/7"])
def test_who_is_named_wrongly_is_told_how(desk: Desk, who: str) -> None:
    assert desk.says("block", who, status=2) == (
        f"{who!r} names nobody: write PLATFORM/ID, where the platform is one of discord, x, web, "
        "terminal.\n"
    )


def test_an_act_that_does_not_exist_is_told(desk: Desk) -> None:
    assert desk.says("explode", status=2).startswith("No such command 'explode'.")


def test_help_explains_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("stats", "limits", "grant", "block", "unblock", "pause", "resume", "cancel")
    for name in (*names, "reports", "audit", "export", "delete", "purge"):
        assert main(["admin", name, "--help"]) == 0
        told = capsys.readouterr().out
        assert f"Usage: imagine admin {name}" in told
        assert len(told.splitlines()[2].strip()) > 20, f"{name} explains nothing"
