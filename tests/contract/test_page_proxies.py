"""The page behind a proxy: who is who, and who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.jobs import Platform
from bot.web.sessions import Passwords
from tests.support.factories import person
from tests.support.page import WhoPages, serving
from tests.support.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.page import Page

PAGE, ADMIN = "page-password", "admin-password"
BEARER = {"Authorization": f"Bearer {PAGE}"}
ADA, EVE = "198.51.100.7", "203.0.113.9"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """A page whose visitors all come from the trusted 127.0.0.1."""
    both = Passwords(page=PAGE, admin=ADMIN)
    async with serving(
        tmp_path,
        ScriptedEngine(),
        passwords=both,
        pages=[WhoPages()],
        trusted_proxies=["127.0.0.1", "10.0.0.0/8"],
    ) as served:
        yield served


async def get(page: Page, path: str, *said: str, **headers: str) -> tuple[int, Any]:
    sent = [*headers.items(), *(("X-Forwarded-For", each) for each in said)]
    async with page.http.get(path, headers=sent, allow_redirects=False) as answer:
        is_json = answer.content_type == "application/json"
        return answer.status, await answer.json() if is_json else None


async def draw(page: Page, *said: str, count: int = 6) -> int:
    sent = [*BEARER.items(), *(("X-Forwarded-For", each) for each in said)]
    body = {"prompt": "a green cube", "pictures": count}
    async with page.http.post("/api/draw", json=body, headers=sent) as answer:
        await answer.read()
    await page.rest()
    return answer.status


async def left(page: Page, *said: str) -> int:
    return (await get(page, "/api/allowance", *said, **BEARER))[1]["left"]


async def test_each_client_has_an_allowance_and_a_history_of_their_own(page: Page) -> None:
    assert await draw(page, ADA) == 202
    assert await draw(page, ADA) == 429

    assert await draw(page, EVE) == 202
    assert (await left(page, ADA), await left(page, EVE), await left(page)) == (4, 4, 10)
    _, told = await get(page, "/api/history", ADA, **BEARER)
    assert len(told["jobs"]) == 1
    jobs = await page.store.archive.history(person(ADA, Platform.WEB))
    assert len(jobs) == 1


async def test_what_a_client_pretends_to_be_counts_for_nothing(page: Page) -> None:
    for pretended in ("192.0.2.1", "127.0.0.1", "10.0.0.7", "nonsense"):
        await draw(page, f"{pretended}, {ADA}", count=1)
    await draw(page, "192.0.2.1", f"{ADA}, 10.0.0.7", count=1)

    assert await left(page, ADA) == 5


async def test_wrong_passwords_close_the_door_to_one_client_only(page: Page) -> None:
    for _ in range(5):
        status, _ = await get(page, "/api/allowance", ADA, Authorization="Bearer wrong")
        assert status == 401

    assert (await get(page, "/api/allowance", ADA, **BEARER))[0] == 429
    assert (await get(page, "/api/allowance", EVE, **BEARER))[0] == 200


async def test_the_audit_log_names_the_client(page: Page) -> None:
    bearer = {"Authorization": f"Bearer {ADMIN}"}

    assert await get(page, "/api/admin/who", ADA, **bearer) == (200, {"who": f"web:{ADA}"})
    assert await get(page, "/api/admin/who", **bearer) == (200, {"who": "web:127.0.0.1"})


@pytest.mark.parametrize("said", ["unknown", "", "198.51.100", f"{ADA}, unknown"])
async def test_a_client_who_cannot_be_read_is_refused_with_a_sentence(
    page: Page, said: str
) -> None:
    assert await get(page, "/api/allowance", said, **BEARER) == (
        400,
        {
            "error": "The proxy in front of this page names you in a form that cannot be read: "
            "X-Forwarded-For must be a list of addresses."
        },
    )


@pytest.mark.parametrize("said", [ADA, "127.0.0.1"])
async def test_what_a_proxy_passes_on_does_not_come_from_this_machine(
    page: Page, said: str
) -> None:
    assert await get(page, "/metrics") == (200, {"may": True})
    assert await get(page, "/metrics", said) == (200, {"may": False})


async def test_from_anybody_else_the_header_is_ignored(tmp_path: Path) -> None:
    async with serving(
        tmp_path, ScriptedEngine(), passwords=Passwords(page=PAGE), trusted_proxies=["10.0.0.0/8"]
    ) as page:
        for pretended in (ADA, EVE, "nonsense"):
            assert await draw(page, pretended, count=1) == 202

        assert (await left(page, "192.0.2.1"), await left(page)) == (7, 7)


NOT_FOR_OTHERS = {
    "error": "This page has no password, so it answers its own machine only. Its admin can open "
    "it to others by setting WEB_PASSWORD."
}


@pytest.mark.parametrize("said", [ADA, "127.0.0.1", f"127.0.0.1, {ADA}"])
async def test_without_a_password_nobody_comes_in_through_a_proxy(
    tmp_path: Path, said: str
) -> None:
    async with serving(
        tmp_path, ScriptedEngine(), pages=[WhoPages()], trusted_proxies=["127.0.0.1"]
    ) as page:
        for path in ("/", "/api/allowance", "/api/admin/who"):
            assert await get(page, path, said) == (403, NOT_FOR_OTHERS), path
            assert (await get(page, path))[0] == 200, path
        assert (await get(page, "/healthz", said))[0] == 200


async def test_with_a_password_for_admins_only_others_have_to_be_one(tmp_path: Path) -> None:
    only_admin = Passwords(admin=ADMIN)
    async with serving(
        tmp_path, ScriptedEngine(), passwords=only_admin, trusted_proxies=["127.0.0.1"]
    ) as page:
        assert (await get(page, "/api/allowance"))[0] == 200
        assert (await get(page, "/", ADA))[0] == 303
        assert (await get(page, "/api/allowance", ADA))[0] == 401
        bearer = {"Authorization": f"Bearer {ADMIN}"}
        assert (await get(page, "/api/allowance", ADA, **bearer))[0] == 200


async def test_a_stream_reaches_a_client_behind_a_proxy(page: Page) -> None:
    body = {"prompt": "a green cube", "pictures": 1}
    headers = {**BEARER, "X-Forwarded-For": ADA}
    async with page.http.post("/api/draw", json=body, headers=headers) as answer:
        job_id = (await answer.json())["job_id"]

    async with page.http.get(f"/api/jobs/{job_id}/events", headers=headers) as stream:
        lines = [line async for line in stream.content if line.startswith(b"data: ")]

    assert b'"state": "done"' in lines[-1]
    await page.rest()
