"""Who may use the page where it has a password: browsers by session, programs by header."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.web.login import COOKIE
from bot.web.sessions import SESSION_LASTS, Passwords
from tests.support.page import WhoPages, serving
from tests.support.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from tests.support.page import Page

PAGE, ADMIN = "page-password", "admin-password"
BOTH = Passwords(page=PAGE, admin=ADMIN)
LOG_IN_FIRST = (
    "Log in first: open /login in a browser, or send the password as Authorization: Bearer."
)
WRONG = "This is not the password. Try again."


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with serving(tmp_path, ScriptedEngine(), passwords=BOTH, pages=[WhoPages()]) as served:
        yield served


async def log_in(page: Page, password: object) -> tuple[int, dict[str, Any]]:
    return await page.post("/api/login", password=password)


async def answer_to(page: Page, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
    async with page.http.get(path, headers=headers, allow_redirects=False) as answer:
        is_json = answer.content_type == "application/json"
        return answer.status, await answer.json() if is_json else {}


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/", "/login?next=/"),
        ("/jobs/abc", "/login?next=/jobs/abc"),
        ("/history?a=b&c", "/login?next=/history%3Fa%3Db%26c"),
        ("/pictures/abc/01.png", "/login?next=/pictures/abc/01.png"),
        ("/nothing", "/login?next=/nothing"),
    ],
)
async def test_a_browser_without_a_session_is_led_to_the_login(
    page: Page, path: str, there: str
) -> None:
    async with page.http.get(path, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, there)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path", ["/api/allowance", "/api/history", "/api/jobs/abc", "/api/jobs/abc/events"]
)
async def test_a_program_without_a_password_gets_a_sentence(page: Page, path: str) -> None:
    async with page.http.get(path) as answer:
        assert (answer.status, await answer.json()) == (401, {"error": LOG_IN_FIRST})
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_nothing_is_drawn_without_a_password(page: Page) -> None:
    assert await page.ask(prompt="a green cube") == (401, {"error": LOG_IN_FIRST})
    assert page.engine.requests == []


@pytest.mark.parametrize("path", ["/login", "/static/login.js", "/static/icon.svg", "/healthz"])
async def test_the_door_itself_is_open(page: Page, path: str) -> None:
    assert (await page.get(path))[0] == 200


async def test_who_logs_in_may_draw_until_the_session_ends(page: Page) -> None:
    assert await log_in(page, PAGE) == (200, {"role": "person"})
    assert (await page.ask(prompt="a green cube", pictures=1))[0] == 202

    page.clock.advance(SESSION_LASTS)

    assert await answer_to(page, "/api/allowance") == (401, {"error": LOG_IN_FIRST})


async def test_a_session_outlives_a_restart_but_not_another_password(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, ScriptedEngine(), passwords=BOTH) as page,
        page.http.post("/api/login", json={"password": PAGE}) as answer,
    ):
        session = answer.cookies[COOKIE].value
    cookie = {"Cookie": f"{COOKIE}={session}"}

    async with serving(tmp_path, ScriptedEngine(), passwords=BOTH) as page:
        assert (await answer_to(page, "/api/allowance", **cookie))[0] == 200
    other = Passwords(page="other-password", admin=ADMIN)
    async with serving(tmp_path, ScriptedEngine(), passwords=other) as page:
        assert (await answer_to(page, "/api/allowance", **cookie))[0] == 401


@pytest.mark.parametrize(
    ("headers", "is_secure"), [({}, False), ({"X-Forwarded-Proto": "https"}, True)]
)
async def test_no_script_reads_the_session_and_no_other_site_sends_it(
    page: Page, headers: Mapping[str, str], *, is_secure: bool
) -> None:
    async with page.http.post("/api/login", json={"password": PAGE}, headers=headers) as answer:
        cookie = answer.cookies[COOKIE]

    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert cookie["max-age"] == str(7 * 24 * 60 * 60)
    assert bool(cookie["secure"]) is is_secure


async def test_logging_out_takes_the_session_from_the_browser(page: Page) -> None:
    await log_in(page, PAGE)
    assert (await page.look("/api/session")) == {"role": "person", "has_session": True}

    assert await page.post("/api/logout") == (200, {})

    assert (await answer_to(page, "/api/session"))[0] == 401


@pytest.mark.parametrize("password", ["wrong", "page-passwor", "page-password ", "ä" * 20])
async def test_a_wrong_password_is_told_so(page: Page, password: str) -> None:
    assert await log_in(page, password) == (401, {"error": WRONG})


@pytest.mark.parametrize("password", ["", None, 7, ["page-password"]])
async def test_no_password_at_all_is_no_attempt(page: Page, password: object) -> None:
    for _ in range(6):
        assert await log_in(page, password) == (400, {"error": "Type the password."})


async def test_too_many_wrong_passwords_close_the_door_for_a_while(page: Page) -> None:
    for _ in range(5):
        assert (await log_in(page, "wrong-password"))[0] == 401

    async with page.http.post("/api/login", json={"password": PAGE}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "30")
        assert await answer.json() == {
            "error": "Too many wrong passwords came from here. Try again in 30 s."
        }
    assert (await answer_to(page, "/api/allowance", Authorization=f"Bearer {PAGE}"))[0] == 429
    page.clock.advance(timedelta(seconds=30))
    assert (await log_in(page, PAGE))[0] == 200


async def test_wrong_headers_count_as_attempts(page: Page) -> None:
    for _ in range(5):
        assert await answer_to(page, "/api/allowance", Authorization="Bearer wrong") == (
            401,
            {"error": WRONG},
        )

    assert (await log_in(page, PAGE))[0] == 429


async def test_a_program_sends_the_password_in_a_header(page: Page) -> None:
    bearer = {"Authorization": f"Bearer {PAGE}"}

    assert await answer_to(page, "/api/allowance", **bearer) == (200, {"left": 10})
    async with page.http.post("/api/draw", json={"prompt": "a cube"}, headers=bearer) as answer:
        assert answer.status == 202


async def test_only_admins_come_where_admins_are_wanted(page: Page) -> None:
    assert (await answer_to(page, "/api/admin/who"))[0] == 401
    await log_in(page, PAGE)
    assert await answer_to(page, "/api/admin/who") == (
        403,
        {"error": "Only an admin may do this: log in with the password for admins."},
    )
    assert (await answer_to(page, "/admin"))[0] == 303

    assert await log_in(page, ADMIN) == (200, {"role": "admin"})

    assert await answer_to(page, "/admin") == (200, {"who": "web:127.0.0.1"})


async def test_without_a_password_for_admins_whoever_may_use_the_page_is_one(
    tmp_path: Path,
) -> None:
    for passwords in (Passwords(), Passwords(page=PAGE)):
        async with serving(
            tmp_path, ScriptedEngine(), passwords=passwords, pages=[WhoPages()]
        ) as page:
            if passwords.page:
                await log_in(page, PAGE)
            assert await answer_to(page, "/admin") == (200, {"who": "web:127.0.0.1"})


async def test_the_page_may_be_open_and_only_the_admin_asked_for_a_password(
    tmp_path: Path,
) -> None:
    only_admin = Passwords(admin=ADMIN)
    async with serving(
        tmp_path, ScriptedEngine(), passwords=only_admin, pages=[WhoPages()]
    ) as page:
        assert (await page.get("/api/allowance"))[0] == 200
        assert (await answer_to(page, "/admin"))[0] == 303
        await log_in(page, ADMIN)
        assert (await answer_to(page, "/admin"))[0] == 200


async def test_programs_of_this_machine_and_admins_may_monitor(page: Page) -> None:
    passed_on = {"X-Forwarded-For": "10.0.0.1"}

    assert await answer_to(page, "/metrics") == (200, {"may": True})
    assert await answer_to(page, "/metrics", **passed_on) == (200, {"may": False})
    page_bearer, admin_bearer = f"Bearer {PAGE}", f"Bearer {ADMIN}"
    assert (await answer_to(page, "/metrics", **passed_on, Authorization=page_bearer))[1] == {
        "may": False
    }
    assert (await answer_to(page, "/metrics", **passed_on, Authorization=admin_bearer))[1] == {
        "may": True
    }


async def test_with_a_password_the_page_answers_under_any_name_but_only_itself(
    page: Page,
) -> None:
    named = {"Host": "pictures.example", "Authorization": f"Bearer {PAGE}"}
    body = {"prompt": "a green cube", "pictures": 1}

    async def status_from(origin: str) -> int:
        headers = {**named, "Origin": origin}
        async with page.http.post("/api/draw", json=body, headers=headers) as answer:
            return answer.status

    assert await status_from("https://pictures.example") == 202
    assert await status_from("http://pictures.example") == 202
    assert await status_from("https://evil.example") == 403
    assert await status_from("null") == 403
