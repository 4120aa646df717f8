"""The page over real HTTP, with the real service and store and a scripted engine."""

from __future__ import annotations

import io
import json
import re
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.web.server import WebPortError, reserve_port
from engine.api import DrawingFailedError, SamplingOptions
from tests.support.broken_database import allow_states, forbid_state
from tests.support.page import serving
from tests.support.scripted_engine import ScriptedEngine, solid_picture, solid_png
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.page import Page

OPEN = {"is_covered": False}
USUAL = {"temperature": None, "top_k": None, "top_p": None, "condition_scale": None}


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with serving(tmp_path, ScriptedEngine()) as served:
        yield served


async def test_a_sentence_becomes_ranked_pictures(page: Page) -> None:
    status, accepted = await page.ask(prompt="a green cube", pictures=2, seed=7)

    job_id = accepted["job_id"]
    assert (status, accepted) == (202, {"job_id": job_id, "page": f"/jobs/{job_id}"})
    done = (await page.views(job_id))[-1]
    assert done == {
        "job_id": job_id,
        "prompt": "a green cube",
        "picture_count": 2,
        "seed": 7,
        "options": USUAL,
        "accepted_at": "2026-06-09T12:00:00+00:00",
        "origin": None,
        "state": "done",
        "model": "scripted",
        "grid": f"/pictures/{job_id}/grid.png",
        "pictures": [
            {"url": f"/pictures/{job_id}/01.png", "rank": 1, "score": 0.0, "index": 1, **OPEN},
            {"url": f"/pictures/{job_id}/02.png", "rank": 2, "score": -1.0, "index": 0, **OPEN},
        ],
        "withheld_count": 0,
        "timings": {"waited_s": 0.0, "decoded_s": 0.1, "rendered_s": 0.1},
    }
    assert await page.get(done["grid"]) == (200, solid_png(90, 7, 200, side_px=48))
    assert await page.get(done["pictures"][0]["url"]) == (200, solid_png(10, 7, 200))
    assert json.loads((await page.get(f"/api/jobs/{job_id}"))[1]) == done


async def test_whoever_watches_hears_how_far_it_is(page: Page) -> None:
    page.engine.open.clear()
    _, accepted = await page.ask(prompt="a green cube", pictures=1)
    path = f"/api/jobs/{accepted['job_id']}"
    async with page.http.get(f"{path}/events") as stream:
        states: list[str] = []
        async for line in stream.content:
            if line.startswith(b"data: "):
                states.append(json.loads(line.removeprefix(b"data: "))["state"])
            if states[-1:] == ["drawing"]:
                page.engine.open.set()

    assert states[-1] == "done"
    assert "drawing" in states


async def test_the_newest_preview_has_an_address_until_the_pictures_are_there(page: Page) -> None:
    page.engine.halfway.clear()
    _, accepted = await page.ask(prompt="a green cube", pictures=3)
    path = f"/api/jobs/{accepted['job_id']}"
    view: dict[str, Any] = {}
    async with page.http.get(f"{path}/events") as stream:
        while "preview" not in view:
            line = await stream.content.readline()
            view = json.loads(line.removeprefix(b"data: ")) if line.startswith(b"data") else view

    assert view["preview"] == {
        "url": f"{path}/preview?n=1",
        "rows": 1,
        "columns": 3,
        "gutter_px": 8,
    }
    async with page.http.get(view["preview"]["url"]) as answer:
        assert (answer.status, answer.content_type) == (200, "image/webp")
        assert answer.headers["Cache-Control"] == "no-store"
        assert await answer.read() == solid_picture("WEBP", 90, 90, 90)
    page.engine.halfway.set()
    await page.views(accepted["job_id"])
    assert await page.get(view["preview"]["url"]) == (204, b"")


async def test_pictures_of_delicate_words_are_covered_and_have_no_preview(page: Page) -> None:
    _, accepted = await page.ask(prompt="a delicate cube", pictures=1)

    views = await page.views(accepted["job_id"])
    await page.rest()
    shutil.rmtree(page.pictures_dir)
    again = await page.look(f"/api/jobs/{accepted['job_id']}")

    assert all("preview" not in view for view in views)
    assert [view["pictures"][0]["is_covered"] for view in (views[-1], again)] == [True, True]


async def test_words_that_are_not_drawn_are_refused_with_a_sentence(page: Page) -> None:
    assert await page.ask(prompt="a forbidden cube") == (
        422,
        {
            "error": "The bot does not draw this. Please describe something else. Nothing was "
            "taken from your allowance."
        },
    )


async def test_every_option_reaches_the_engine(page: Page) -> None:
    done = await page.drawn(
        prompt="a green cube",
        pictures=1,
        seed=7,
        temperature=0.5,
        top_k=20,
        top_p=0.9,
        condition_scale=3,
    )

    assert page.engine.requests[0].options == SamplingOptions(
        temperature=0.5, top_k=20, top_p=0.9, condition_scale=3
    )
    assert done["options"] == {
        "temperature": 0.5,
        "top_k": 20,
        "top_p": 0.9,
        "condition_scale": 3,
    }


async def test_a_failed_drawing_is_told_with_a_sentence(page: Page) -> None:
    page.engine.errors.append(DrawingFailedError("broke"))
    _, accepted = await page.ask(prompt="a green cube", pictures=1)

    *_, failed = await page.views(accepted["job_id"])

    assert (failed["state"], failed["sentence"]) == (
        "failed",
        "The pictures could not be drawn. Please try again. Nothing was taken from your allowance.",
    )
    assert await page.get("/api/allowance") == (200, b'{"left": 10}')


async def test_over_quota_the_page_says_when_it_reopens(page: Page) -> None:
    await page.ask(prompt="a green cube", pictures=9)

    assert await page.ask(prompt="a green cube", pictures=2) == (
        429,
        {
            "error": "You have 1 picture left today, out of 10. Ask for at most 1, or come back "
            "when your allowance reopens at 00:00 UTC, in 12 h."
        },
    )
    page.clock.advance(timedelta(hours=12))
    assert (await page.ask(prompt="a green cube", pictures=2))[0] == 202


async def test_sent_twice_it_is_drawn_once(page: Page) -> None:
    first = await page.ask(prompt="a green cube", pictures=1, request_id="x")
    second = await page.ask(prompt="a green cube", pictures=1, request_id="x")

    assert first == second
    await page.views(first[1]["job_id"])
    assert len(page.engine.requests) == 1


async def test_a_job_and_its_pictures_survive_a_restart(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    engine.open.clear()
    async with serving(tmp_path, engine) as page:
        _, accepted = await page.ask(prompt="a green cube", pictures=1, seed=7)
        await until(lambda: len(engine.requests) == 1)

    async with serving(tmp_path, ScriptedEngine()) as page:
        *_, done = await page.views(accepted["job_id"])
        assert done["state"] == "done"
    async with serving(tmp_path, ScriptedEngine()) as page:
        assert await page.views(accepted["job_id"]) == [done]
        assert (await page.get(done["grid"]))[0] == 200


async def state_of(page: Page, job_id: str) -> dict[str, Any]:
    _, view = await page.get(f"/api/jobs/{job_id}")
    return json.loads(view)


async def test_a_job_whose_database_fails_says_that_it_waits_and_is_drawn_after_a_restart(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, ScriptedEngine()) as page:
        forbid_state(tmp_path / "imagine.db", "delivering")
        _, accepted = await page.ask(prompt="a green cube", pictures=2, seed=7)
        await page.rest()
        assert await state_of(page, accepted["job_id"]) == {
            "job_id": accepted["job_id"],
            "prompt": "a green cube",
            "picture_count": 2,
            "seed": 7,
            "options": USUAL,
            "accepted_at": "2026-06-09T12:00:00+00:00",
            "origin": None,
            "state": "postponed",
            "sentence": (
                "The bot had to stop before your pictures were done. Wait here: it carries on by "
                "itself when its admin has started it again."
            ),
        }

    allow_states(tmp_path / "imagine.db")
    async with serving(tmp_path, ScriptedEngine()) as page:
        await page.rest()
        assert (await state_of(page, accepted["job_id"]))["state"] == "done"


async def test_a_folder_that_cannot_be_written_is_told_and_costs_nothing(
    page: Page, tmp_path: Path
) -> None:
    (tmp_path / "pictures").touch()

    status, answer = await page.ask(prompt="a green cube", pictures=2)
    await page.rest()

    assert (status, answer["error"]) == (
        507,
        (
            f"The pictures cannot be written to {tmp_path}/pictures (Not a directory): make room "
            "or allow writing."
        ),
    )
    _, left = await page.get("/api/allowance")
    assert json.loads(left) == {"left": 10}


async def test_stopping_ends_the_streams_of_unfinished_jobs(page: Page) -> None:
    page.engine.open.clear()
    _, accepted = await page.ask(prompt="a green cube", pictures=1)
    async with page.http.get(f"/api/jobs/{accepted['job_id']}/events") as stream:
        told = await stream.content.readline()

        await page.adapter.close()
        told += await stream.content.read()  # to its end: the server has closed it

    assert b'"state": "queued"' in told or b'"state": "drawing"' in told
    assert b'"state": "done"' not in told


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        (
            {"Host": "evil.example"},
            (
                "Without a password this page answers only under 127.0.0.1 or localhost. Its admin "
                "can let it have another name by setting WEB_PASSWORD."
            ),
        ),
        (
            {"Origin": "http://evil.example"},
            (
                "Only this page may ask for pictures: send JSON (Content-Type: application/json) "
                "without the Origin of another page."
            ),
        ),
        (
            {"Content-Type": "text/plain"},
            (
                "Only this page may ask for pictures: send JSON (Content-Type: application/json) "
                "without the Origin of another page."
            ),
        ),
    ],
)
async def test_other_peoples_pages_are_refused(
    page: Page, headers: dict[str, str], sentence: str
) -> None:
    body = b'{"prompt": "a green cube"}'
    headers = {"Content-Type": "application/json", **headers}

    async with page.http.post("/api/draw", data=body, headers=headers) as answer:
        assert (answer.status, await answer.json()) == (403, {"error": sentence})
    assert page.engine.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/jobs/unknown",
        "/api/jobs/unknown/events",
        "/api/jobs/..%2F..",
        "/pictures/unknown/grid.png",
        "/pictures/..%2F..%2F/imagine.db",
        "/pictures/../imagine.db",
        "/pictures/unknown/01-x4.webp",
        "/pictures/unknown/job.json",
        "/static/../server.py",
        "/static/..%2Fserver.py",
        "/nothing",
    ],
)
async def test_what_is_not_there_is_told_with_a_sentence(page: Page, path: str) -> None:
    status, body = await page.get(path)

    assert status in {403, 404}
    assert json.loads(body)["error"] in {
        "There are no pictures under this address. Start a new drawing instead.",
        "There is nothing under this address.",
        "Nothing is kept of these pictures any more. Ask for new ones with the same words.",
    }


async def test_far_too_long_a_prompt_is_refused_with_a_sentence(page: Page) -> None:
    assert await page.ask(prompt="a" * 1_001) == (
        400,
        {"error": "The prompt has 1,001 characters; shorten it to 1,000 or fewer."},
    )
    body = io.BytesIO(b'{"prompt": "' + b"a" * 2_000_000 + b'"}')
    headers = {"Content-Type": "application/json"}
    async with page.http.post("/api/draw", data=body, headers=headers) as answer:
        assert (answer.status, await answer.json()) == (
            413,
            {"error": "That is far too long: say in a few words what to draw."},
        )


async def test_while_stopping_nothing_new_is_taken(page: Page) -> None:
    await page.service.close(0)

    assert await page.ask(prompt="a green cube") == (
        503,
        {"error": "The bot is restarting and takes no requests just now. Try again in a minute."},
    )


async def test_the_page_may_load_only_what_is_its_own(page: Page) -> None:
    scripts = ("api", "history", "job", "login", "page", "viewer", "words")
    static = ("page.css", "tokens.css", "login.css", "icon.svg", *(f"{s}.js" for s in scripts))
    pages = ("/", "/jobs/anything", "/history", "/login")
    for path in (*pages, *(f"/static/{name}" for name in static)):
        async with page.http.get(path) as answer:
            assert answer.status == 200
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "no-cache"
            foreign = re.findall(r"https?://(?!www\.w3\.org/2000/svg)", await answer.text())
            assert foreign == []


def test_a_port_that_is_taken_is_told_with_a_sentence() -> None:
    with reserve_port("127.0.0.1", 0) as taken:
        taken.listen()
        number = taken.getsockname()[1]

        with pytest.raises(WebPortError) as caught, reserve_port("127.0.0.1", number):
            pass

    assert str(caught.value) == (
        f"The page cannot be served at 127.0.0.1 port {number} (Address already in use): stop the "
        "other program or set WEB_PORT to another number."
    )
