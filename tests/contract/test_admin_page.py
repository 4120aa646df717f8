"""The admin page over real HTTP, with the real store and desk and a scripted engine."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from bot.desk import Desk
from bot.jobs import BlockedError, PausedError, Platform, UnknownPictureError
from bot.monitor import Monitor
from bot.observer import Showing
from bot.service import Service
from bot.store import Store
from bot.store.house import Strike, StrikeLimit
from bot.studio import Studio
from bot.vitals import VitalsReader
from bot.web.admin import SHOWN_REPORT_COUNT, AdminPages
from bot.web.config import WebConfig
from bot.web.keeping import Keeper
from bot.web.monitoring import MonitoringPages
from bot.web.server import WebAdapter, reserve_port
from bot.web.sessions import Passwords
from tests.support import browser
from tests.support.broken_database import lose_table
from tests.support.clock import NOON, Clock
from tests.support.factories import a_job, database_url, person, submission
from tests.support.scripted_delivery import ScriptedDelivery
from tests.support.scripted_engine import ScriptedEngine
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence
    from pathlib import Path

    from bot.jobs import Job, JobId, Person

OPEN = Passwords()
LOCKED = Passwords(page="the page's password", admin="the admin's password")


@dataclass(frozen=True, kw_only=True)
class Admin:
    """An admin page that is served, and the way to it."""

    http: aiohttp.ClientSession
    url: str
    engine: ScriptedEngine
    clock: Clock
    service: Service
    store: Store
    desk: Desk
    monitor: Monitor
    studio: Studio

    async def look(self, path: str) -> dict[str, Any]:
        async with self.http.get(path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def act(self, name: str, **wish: object) -> tuple[int, str]:
        async with self.http.post(f"/api/admin/{name}", json=wish) as answer:
            told = await answer.json()
            return answer.status, told.get("said") or told["error"]

    async def audit(self) -> list[tuple[str, str, str]]:
        entries = (await self.look("/api/admin/audit"))["entries"]
        return [(entry["by"], entry["act"], entry["subject"]) for entry in entries]


@asynccontextmanager
async def serving(folder: Path, passwords: Passwords = OPEN) -> AsyncGenerator[Admin]:
    engine, clock = ScriptedEngine(), Clock()
    store = await Store.open(database_url(folder))
    monitor = Monitor(clock=clock, history=folder / "minutes.json")
    service = Service(
        store=store,
        engine=engine,
        daily_pictures=20,
        clock=clock,
        sleep=clock.sleep,
        observer=monitor.observer,
    )
    service.register(Platform.DISCORD, ScriptedDelivery())
    desk = Desk(store, clock=clock, tiers=["friend"], canceller=service)
    studio = Studio(store=store, engine=engine, observer=monitor.observer, clock=clock)
    pages = [
        MonitoringPages(monitor),
        AdminPages(
            desk=desk, waiting=store.overview, pictures=studio, monitor=monitor, clock=clock
        ),
    ]
    with reserve_port("127.0.0.1", 0) as port:
        config = WebConfig(pictures_dir=folder / "pictures", passwords=passwords)
        keeper = Keeper(config.pictures_dir, kept_for=None, clock=clock)
        desk.on_erase(keeper)
        adapter = WebAdapter(config, service, studio, port=port, clock=clock, pages=pages)
        service.register(Platform.WEB, adapter)
        monitor.start(
            VitalsReader(engine=engine, store=store, clock=clock, is_paused=desk.is_paused)
        )
        await adapter.start()
        async with aiohttp.ClientSession(adapter.url) as http:
            yield Admin(
                http=http,
                url=adapter.url,
                engine=engine,
                clock=clock,
                service=service,
                store=store,
                desk=desk,
                monitor=monitor,
                studio=studio,
            )
        await service.close(0)
        await adapter.close()
        await monitor.close()
    await store.close()


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with serving(tmp_path) as served:
        yield served


async def test_it_shows_who_waits_and_what_happened(admin: Admin) -> None:
    await admin.service.submit(submission(picture_count=2))
    await until(lambda: repr(admin.service) == "<Service 0 jobs running>")
    admin.engine.open.clear()
    job = await admin.service.submit(submission(by=person("bea"), picture_count=5, community="g"))
    await until(lambda: len(admin.engine.requests) == 2)
    admin.clock.advance(timedelta(seconds=40))

    told = await admin.look("/api/admin/now")

    assert told["now"]["engine"]["slot_count"] == 4
    assert told["now"]["obstacles"] == []
    assert told["now"]["is_paused"] is False
    assert told["now"]["loads"] == [
        {
            "platform": "discord",
            "state": "drawing",
            "job_count": 1,
            "picture_count": 5,
            "oldest_s": 40,
        }
    ]
    assert told["people"] == [
        {
            "platform": "discord",
            "person": "bea",
            "job_count": 1,
            "picture_count": 5,
            "oldest_s": 40,
        }
    ]
    assert told["jobs"] == [
        {
            "job_id": job.id,
            "platform": "discord",
            "person": "bea",
            "community": "g",
            "picture_count": 5,
            "state": "drawing",
            "age_s": 40,
        }
    ]
    span = told["span"]
    assert (span["accepted_count"], span["delivered_count"], span["picture_count"]) == (2, 1, 2)
    assert len(span["points"]) == 60
    assert span["points"][-1]["pictures_per_min"] == 2
    admin.engine.open.set()


async def test_prompts_are_not_shown(admin: Admin) -> None:
    admin.engine.open.clear()
    await admin.service.submit(submission(prompt="a secret wish"))

    async with admin.http.get("/api/admin/now") as answer:
        assert "secret" not in await answer.text()


async def test_a_day_is_told_in_quarters_of_an_hour(admin: Admin) -> None:
    span = (await admin.look("/api/admin/now?span=day"))["span"]

    assert (len(span["points"]), span["minutes_each"]) == (96, 15)
    assert span["points"][-1]["at_s"] - span["points"][0]["at_s"] == 95 * 15 * 60


async def test_refusals_are_told_by_reason_and_those_of_limits_apart(admin: Admin) -> None:
    await admin.desk.block(person("eve"), community=None, until=None, reason="", by="me")
    with pytest.raises(BlockedError):
        await admin.service.submit(submission(by=person("eve")))

    span = (await admin.look("/api/admin/now"))["span"]

    assert span["refused"] == [{"label": "blocked", "count": 1}]
    assert span["quota_refusal_count"] == 0


async def test_a_pause_holds_at_once_and_is_on_record(admin: Admin) -> None:
    assert await admin.act("pause") == (
        200,
        "Paused: nothing is accepted. What was accepted before is still drawn.",
    )
    with pytest.raises(PausedError):
        await admin.service.submit(submission())
    assert (await admin.look("/api/admin/now"))["now"]["is_paused"] is True

    assert await admin.act("resume") == (200, "Resumed: requests are accepted again.")
    await admin.service.submit(submission())
    assert await admin.audit() == [
        ("web:127.0.0.1", "resume", "bot"),
        ("web:127.0.0.1", "pause", "bot"),
    ]


async def test_somebody_is_blocked_for_a_time_and_unblocked(admin: Admin) -> None:
    eve = {"platform": "discord", "person": "eve"}
    assert await admin.act("block", **eve, hours=3, reason="spam") == (
        200,
        "discord/eve is blocked until 2026-06-09 15:00 UTC.",
    )
    (block,) = (await admin.look("/api/admin/house"))["blocks"]
    assert block == {
        **eve,
        "community": None,
        "until": (NOON + timedelta(hours=3)).isoformat(),
        "reason": "spam",
        "by": "web:127.0.0.1",
        "at": NOON.isoformat(),
    }

    assert await admin.act("unblock", **block) == (200, "discord/eve may ask again.")
    assert await admin.act("unblock", **block) == (200, "discord/eve was not blocked.")
    assert (await admin.look("/api/admin/house"))["blocks"] == []


async def test_a_request_is_cancelled_and_its_pictures_given_back(admin: Admin) -> None:
    admin.engine.open.clear()
    job = await admin.service.submit(submission(picture_count=5))

    assert await admin.act("cancel", job_id=job.id) == (
        200,
        f"Request {job.id} is given up; its pictures were given back.",
    )
    assert await admin.service.allowance_left(person()) == 20
    assert await admin.act("cancel", job_id=job.id) == (
        409,
        (
            "There is nothing to cancel: the pictures are done or on their way, or the request "
            "is not yours."
        ),
    )
    assert await admin.audit() == [("web:127.0.0.1", "cancel", "person/discord/ada")]


async def test_tiers_are_given_and_taken_away(admin: Admin) -> None:
    ada = {"platform": "discord", "person": "ada"}
    assert await admin.act("grant", **ada, tier="friend") == (
        200,
        "discord/ada has the tier friend.",
    )
    community = {"platform": "discord", "community": "g"}
    assert (await admin.act("grant", **community, tier="unlimited"))[0] == 200
    house = await admin.look("/api/admin/house")
    assert house["grants"] == [
        {"platform": "discord", "scope": "community", "of": "g", "tier": "unlimited"},
        {"platform": "discord", "scope": "person", "of": "ada", "tier": "friend"},
    ]
    assert house["tiers"] == ["friend"]

    assert await admin.act("grant", **ada, tier="") == (200, "discord/ada has no tier any more.")
    assert await admin.act("grant", **ada, tier="gold") == (
        400,
        "There is no tier gold. Tiers are: friend.",
    )


async def test_the_limits_of_a_community_are_changed_and_its_other_rules_stay(
    admin: Admin,
) -> None:
    rules = await admin.desk.community(Platform.DISCORD, "g")
    await admin.desk.set_community(Platform.DISCORD, "g", rules, by="discord:1")
    community = {"platform": "discord", "community": "g"}

    assert await admin.act("limits", **community, daily_pictures=50, is_paused=True) == (
        200,
        "The limits of discord/g are changed.",
    )

    assert (await admin.look("/api/admin/house"))["communities"] == [
        {**community, "is_paused": True, "daily_pictures": 50, "jobs_at_once": None}
    ]
    assert await admin.act("limits", **community, daily_pictures=-1) == (
        400,
        "A limit must be above 0; to let nothing through, pause.",
    )


async def reported(
    admin: Admin, *, count: int = 1, by: Person | None = None, is_soft: bool = False
) -> Job:
    """Deliver pictures, and let bea find fault with them."""
    asked = submission(by=by, picture_count=count, community="g", is_soft=is_soft)
    job = await admin.service.submit(asked)
    await until(lambda: repr(admin.service) == "<Service 0 jobs running>")
    await admin.studio.report(job.id, person("bea"), reason="not nice")
    return job


async def reports(admin: Admin, query: str = "") -> list[dict[str, Any]]:
    return (await admin.look(f"/api/admin/reports{query}"))["reports"]


async def test_an_open_report_shows_what_there_is_to_judge(admin: Admin) -> None:
    job = await reported(admin, count=2)

    (report,) = await reports(admin)

    number = report["id"]
    assert report == {
        "id": number,
        "job_id": job.id,
        "platform": "discord",
        "person": "ada",
        "community": "g",
        "reason": "not nice",
        "at": NOON.isoformat(),
        "closed_at": None,
        "closed_by": None,
        "prompt": "an avocado armchair",
        "pictures": [
            {
                "url": f"/api/admin/reports/{number}/pictures/{rank}",
                "rank": rank,
                "was_covered": False,
            }
            for rank in (1, 2)
        ],
    }
    async with admin.http.get(report["pictures"][0]["url"]) as answer:
        assert (answer.status, answer.content_type) == (200, "image/png")
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert await answer.read() == await admin.studio.picture(job.id, 1)
    told = await admin.look("/api/admin/now")
    assert told["now"]["open_report_count"] == 1
    assert told["span"]["moderation"]["report_count"] == 1


async def test_pictures_of_soft_words_are_told_to_be_behind_a_click_for_people_too(
    admin: Admin,
) -> None:
    await reported(admin, is_soft=True)

    (report,) = await reports(admin)

    assert [picture["was_covered"] for picture in report["pictures"]] == [True]


async def test_only_pictures_that_were_reported_are_shown(admin: Admin) -> None:
    await reported(admin)
    (report,) = await reports(admin)

    for path in (f"{report['id'] + 1}/pictures/1", f"{report['id']}/pictures/2"):
        async with admin.http.get(f"/api/admin/reports/{path}") as answer:
            assert answer.status == 404, path


async def test_of_a_request_that_is_forgotten_only_the_report_is_left(admin: Admin) -> None:
    await reported(admin)
    later = NOON + timedelta(days=400)
    await admin.store.purge(finished_before=later, now=later)

    (report,) = await reports(admin)

    assert (report["prompt"], report["pictures"], report["reason"]) == (None, [], "not nice")


async def test_a_report_is_dismissed_and_its_words_are_not_shown_any_more(admin: Admin) -> None:
    await reported(admin)
    number = (await reports(admin))[0]["id"]

    assert await admin.act("close_report", id=number) == (200, f"Report {number} is closed.")

    assert await reports(admin) == []
    (closed,) = await reports(admin, "?are=closed")
    assert (closed["closed_by"], closed["prompt"], closed["pictures"]) == (
        "web:127.0.0.1",
        None,
        [],
    )
    assert await admin.act("close_report", id=number) == (200, f"Report {number} was not open.")


async def test_reported_pictures_are_removed_and_nothing_shows_them_again(
    admin: Admin, tmp_path: Path
) -> None:
    job = await reported(admin, count=3)
    number = (await reports(admin))[0]["id"]

    assert await admin.act("remove_pictures", id=number) == (
        200,
        (
            "3 pictures are removed for good, and the report is closed. The message on Discord "
            "stays until a moderator deletes it there."
        ),
    )

    assert await reports(admin) == []
    for ask in (
        admin.studio.picture(job.id, 1),
        admin.studio.upscaled(job.id, 1),
        admin.studio.variation(job.id, 1, picture_count=1),
    ):
        with pytest.raises(UnknownPictureError):
            await ask
    assert await admin.audit() == [("web:127.0.0.1", "remove_pictures", "person/discord/ada")]
    assert await admin.act("remove_pictures", id=number) == (
        200,
        "Nothing was left to remove. The report is closed.",
    )
    assert not list((tmp_path / "pictures").glob("*"))


async def test_files_of_the_page_go_with_the_pictures_that_were_reported(
    admin: Admin, tmp_path: Path
) -> None:
    job = await reported(admin, by=person("127.0.0.1", Platform.WEB))
    assert (tmp_path / "pictures" / job.id / "01.png").is_file()

    number = (await reports(admin))[0]["id"]
    assert await admin.act("remove_pictures", id=number) == (
        200,
        "1 picture is removed for good, and the report is closed.",
    )

    async with admin.http.get(f"/pictures/{job.id}/01.png") as answer:
        assert answer.status == 404
    view = await admin.look(f"/api/jobs/{job.id}")
    assert (view["state"], view["pictures"], view["withheld_count"]) == ("done", [], 1)


async def test_there_is_nothing_to_remove_for_a_report_that_is_none(admin: Admin) -> None:
    assert await admin.act("remove_pictures", id=7) == (400, "There is no report 7.")
    assert await admin.act("remove_pictures") == (
        400,
        "The field id is missing or cannot be right.",
    )


async def test_files_that_cannot_be_removed_are_told(admin: Admin) -> None:
    async def fail(who: Person, job_ids: Sequence[JobId]) -> None:
        raise PermissionError(13, "Permission denied", f"{who.id} {job_ids}")

    admin.desk.on_erase(fail)
    await reported(admin)
    number = (await reports(admin))[0]["id"]

    assert await admin.act("remove_pictures", id=number) == (
        507,
        (
            "The files of these pictures cannot be removed (Permission denied), so nothing was: "
            "see to the folder pictures in DATA_DIR, then try again."
        ),
    )
    assert len(await reports(admin)) == 1


async def test_of_very_many_reports_the_oldest_open_and_the_newest_closed_are_shown(
    admin: Admin,
) -> None:
    job = await reported(admin)
    for number in range(SHOWN_REPORT_COUNT):
        await admin.studio.report(job.id, person(f"p{number}"), reason=f"reason {number}")

    told = await admin.look("/api/admin/reports")
    assert (len(told["reports"]), told["whole_count"]) == (SHOWN_REPORT_COUNT, 21)
    assert told["reports"][0]["reason"] == "not nice"

    await admin.act("remove_pictures", id=told["reports"][0]["id"])
    told = await admin.look("/api/admin/reports?are=closed")
    assert (len(told["reports"]), told["whole_count"]) == (SHOWN_REPORT_COUNT, 21)
    assert told["reports"][0]["reason"] == "reason 19"


async def test_what_moderation_decided_is_told_for_the_hour_and_the_day(admin: Admin) -> None:
    observer, job = admin.monitor.observer, a_job()
    for level, verdict, code in [("strict", "refuse", "gore")] * 2 + [("off", "allow", "")]:
        observer.judged(Platform.X, level=level, verdict=verdict, code=code)
    observer.looked_at(job, {Showing.SHOWN: 7, Showing.SPOILER: 1, Showing.WITHHELD: 1})
    observer.struck(Platform.X, code="hate", is_blocked=True)
    expected = {
        "judged": [
            {"level": "off", "verdict": "allow", "code": "", "count": 1},
            {"level": "strict", "verdict": "refuse", "code": "gore", "count": 2},
        ],
        "pictures": [{"platform": "discord", "shown": 7, "spoiler": 1, "withheld": 1}],
        "strike_count": 1,
        "strike_block_count": 1,
        "report_count": 0,
    }

    assert (await admin.look("/api/admin/now"))["span"]["moderation"] == expected
    admin.clock.advance(timedelta(hours=2))
    assert (await admin.look("/api/admin/now"))["span"]["moderation"]["judged"] == []
    assert (await admin.look("/api/admin/now?span=day"))["span"]["moderation"] == expected


async def test_strikes_are_shown_for_each_person(admin: Admin) -> None:
    limit = StrikeLimit(count=2, within=timedelta(days=1), block_for=timedelta(hours=1))
    for number, code in enumerate(["hate", "gore"]):
        strike = Strike(
            person=person("eve"),
            event_id=f"e{number}",
            community=None,
            code=code,
            prompt_hash="f0",
            at=NOON,
        )
        await admin.store.people.strike(strike, limit)

    house = await admin.look("/api/admin/house")

    assert house["strikes"] == [
        {
            "platform": "discord",
            "person": "eve",
            "count": 2,
            "last_at": NOON.isoformat(),
            "codes": ["gore", "hate"],
        }
    ]
    assert [(block["person"], block["by"]) for block in house["blocks"]] == [("eve", "moderation")]


async def test_the_audit_log_is_told_page_by_page(admin: Admin) -> None:
    for number in range(60):
        await admin.desk.note("test", f"thing {number}", by="me")

    first = (await admin.look("/api/admin/audit"))["entries"]
    rest = (await admin.look(f"/api/admin/audit?before={first[-1]['id']}"))["entries"]

    assert [len(first), len(rest)] == [50, 10]
    assert first[0]["subject"] == "thing 59"
    assert rest[-1]["subject"] == "thing 0"


@pytest.mark.parametrize(
    ("act", "wish", "sentence"),
    [
        ("block", {}, "The field platform is missing or cannot be right."),
        ("block", {"platform": "discord"}, "The field person is missing or cannot be right."),
        (
            "block",
            {"platform": "irc", "person": "1"},
            "The platform must be one of discord, x, web, terminal.",
        ),
        (
            "block",
            {"platform": "x", "person": "1", "hours": 0},
            "The field hours is missing or cannot be right.",
        ),
        (
            "block",
            {"platform": "x", "person": "1" * 300},
            "The field person is missing or cannot be right.",
        ),
        ("cancel", {"job_id": 7}, "The field job_id is missing or cannot be right."),
        ("close_report", {"id": True}, "The field id is missing or cannot be right."),
        (
            "limits",
            {"platform": "x", "community": "1", "jobs_at_once": "many"},
            "The field jobs_at_once is missing or cannot be right.",
        ),
    ],
)
async def test_a_wish_that_cannot_be_right_is_refused_with_a_sentence(
    admin: Admin, act: str, wish: dict[str, object], sentence: str
) -> None:
    assert await admin.act(act, **wish) == (400, sentence)
    assert await admin.audit() == []


async def test_what_is_no_object_is_refused(admin: Admin) -> None:
    for body in (b"[]", b"{", b"\xff"):
        headers = {"Content-Type": "application/json"}
        async with admin.http.post("/api/admin/pause", data=body, headers=headers) as answer:
            assert answer.status == 400
            assert await answer.json() == {"error": "The request must be a JSON object."}


async def test_there_are_no_other_acts(admin: Admin) -> None:
    assert (await admin.act("explode"))[0] == 404


async def test_a_database_that_fails_leaves_the_rest_to_be_seen(
    admin: Admin, tmp_path: Path
) -> None:
    lose_table(tmp_path / "imagine.db", "jobs")

    told = await admin.look("/api/admin/now")

    assert told["now"]["obstacles"] == ["database"]
    assert (told["now"]["loads"], told["people"], told["jobs"]) == (None, [], [])


async def test_another_page_on_the_net_can_do_nothing(admin: Admin) -> None:
    foreign = {"Origin": "http://evil.example"}
    async with admin.http.post("/api/admin/pause", json={}, headers=foreign) as answer:
        assert answer.status == 403
    assert await admin.desk.is_paused() is False


ADMIN_PATHS = (
    "/admin",
    *(f"/api/admin/{name}" for name in ("now", "house", "reports", "audit")),
    "/api/admin/reports/1/pictures/1",
)


@pytest.mark.parametrize("password", [None, LOCKED.page])
async def test_only_who_has_the_admins_password_comes_in(
    tmp_path: Path, password: str | None
) -> None:
    headers = {} if password is None else {"Authorization": f"Bearer {password}"}
    async with serving(tmp_path, LOCKED) as admin:
        await reported(admin)
        for path in ADMIN_PATHS:
            async with admin.http.get(path, headers=headers, allow_redirects=False) as answer:
                assert answer.status in ({303} if path == "/admin" else {401, 403}), path
        async with admin.http.post("/api/admin/pause", json={}, headers=headers) as answer:
            assert answer.status == (401 if password is None else 403)
        assert await admin.desk.is_paused() is False

        right = {"Authorization": f"Bearer {LOCKED.admin}"}
        for path in ADMIN_PATHS:
            async with admin.http.get(path, headers=right) as answer:
                assert answer.status == 200, path


async def test_programs_of_this_machine_and_those_with_the_password_read_the_metrics(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, LOCKED) as admin:
        await admin.service.submit(submission(picture_count=1))
        async with admin.http.get("/metrics") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            told = await answer.text()
        passed_on = {"X-Forwarded-For": "198.51.100.7"}
        async with admin.http.get("/metrics", headers=passed_on, allow_redirects=False) as answer:
            assert answer.status == 303
        right = {"Authorization": f"Bearer {LOCKED.admin}", **passed_on}
        async with admin.http.get("/metrics", headers=right) as answer:
            assert answer.status == 200

    assert 'imagine_requests_accepted_total{platform="discord"} 1.0\n' in told
    assert "\nimagine_engine_slots 4.0\n" in told


async def test_it_is_ready_while_a_request_would_be_drawn(admin: Admin, tmp_path: Path) -> None:
    async with admin.http.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "ok"})

    lose_table(tmp_path / "imagine.db", "jobs")

    async with admin.http.get("/readyz") as answer:
        told = await answer.json()
    assert (answer.status, told) == (503, {"status": "waiting", "for": ["database"]})


async def judge_by_keyboard(tab: browser.Tab) -> None:
    """Uncover a picture that was reported, cover it again, and remove it."""
    first = "document.querySelector('#reports .reported button')"
    filter_of = f"getComputedStyle({first}.firstElementChild).filter"
    assert await tab.text("#reports .prompt") == "“an avocado armchair”"
    assert "blur" in await tab.evaluate(filter_of)

    await tab.evaluate(f"{first}.focus()")
    await tab.until(f"{filter_of} === 'none'")
    await tab.press("Enter")
    assert await tab.evaluate(f"{first}.getAttribute('aria-pressed')") == "true"
    await tab.press("Tab")
    assert await tab.evaluate(filter_of) == "none"
    await tab.evaluate(f"{first}.focus()")
    await tab.press("Enter")
    await tab.press("Tab")
    await tab.until(f"{filter_of} !== 'none'")

    await tab.evaluate("document.querySelectorAll('#reports .acts button')[1].focus()")
    await tab.press("Enter")
    await tab.until_text("#ask-title", "Remove these 2 pictures?")
    await tab.evaluate("document.querySelector('#ask-go').focus()")
    await tab.press("Enter")
    await tab.until_text("#reports", "There are none.")


@pytest.mark.skipif(browser.PROGRAM is None, reason=browser.ABSENT)
async def test_a_browser_shows_it_and_acts_by_keyboard(tmp_path: Path) -> None:
    (tmp_path / "browser").mkdir()
    async with serving(tmp_path) as admin:
        await reported(admin, count=2)
        admin.engine.open.clear()
        job = await admin.service.submit(submission(by=person("eve"), picture_count=5))
        with browser.chromium(tmp_path / "browser") as devtools:
            async with browser.tab(devtools) as tab:
                await tab.go(f"{admin.url}/admin")
                await tab.until_text("#health", "Ready")
                assert await tab.evaluate("document.querySelectorAll('.chart svg path').length > 3")
                assert await tab.text("#people td code") == "discord/eve"

                await tab.click("#jobs button")
                await tab.until_text("#jobs td", "No request is unfinished.")
                cancelled = await admin.store.job(job.id)
                assert cancelled is not None
                assert cancelled.state == "cancelled"

                await tab.evaluate("document.querySelector('#block-somebody').focus()")
                await tab.press("Enter")
                await tab.until("document.querySelector('#ask').open")
                await tab.evaluate("document.querySelector('[name=person]').focus()")
                await tab.type("eve")
                await tab.press("Enter")
                await tab.until_text("#blocks td code", "discord/eve")
                assert not await tab.evaluate("document.querySelector('#ask').open")

                await judge_by_keyboard(tab)
                assert await reports(admin) == []

                await tab.click("#pause")
                await tab.until_text("#health", "Paused")
                assert await tab.text("#pause") == "Resume"
                assert tab.troubles == []

                await tab.resize(390, 800)
                wide = "document.documentElement.scrollWidth > window.innerWidth"
                assert not await tab.evaluate(wide)
