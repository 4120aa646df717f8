"""What the page does with pictures that are there: history, single files, drawing on, giving up."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from bot.jobs import Platform
from engine.api import DrawingFailedError
from tests.support.factories import person, submission
from tests.support.looks import decoded
from tests.support.page import serving
from tests.support.scripted_engine import ScriptedEngine, solid_png
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from tests.support.page import Page

NOTHING_KEPT = "Nothing is kept of these pictures any more. Ask for new ones with the same words."
NOTHING_TAKEN = "Nothing was taken from your allowance."


class PatientEngine(ScriptedEngine):
    """Enlarges only when it is told to, and counts how often."""

    def __init__(self) -> None:
        super().__init__()
        self.may_enlarge = asyncio.Event()
        self.enlarged_count = 0

    async def upscale(self, picture: bytes) -> bytes:
        self.enlarged_count += 1
        await self.may_enlarge.wait()
        return await super().upscale(picture)


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with serving(tmp_path, ScriptedEngine(), daily_pictures=40) as served:
        yield served


@asynccontextmanager
async def somebody_else(page: Page) -> AsyncGenerator[aiohttp.ClientSession]:
    """Another address of this machine is another person."""
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0), force_close=True)
    async with aiohttp.ClientSession(page.adapter.url, connector=connector) as http:
        yield http


async def prompts(page: Page, query: str = "") -> tuple[list[str], bool]:
    answer = await page.look(f"/api/history{query}")
    return [job["prompt"] for job in answer["jobs"]], answer["has_more"]


# --- history -------------------------------------------------------------------------------


async def three_jobs(page: Page) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = []
    for number in range(3):
        jobs.append(await page.drawn(prompt=f"cube {number}", pictures=1))
        page.clock.advance(timedelta(seconds=1))
    return jobs


async def test_the_history_is_paged_newest_first(page: Page) -> None:
    jobs = await three_jobs(page)

    assert await prompts(page) == (["cube 2", "cube 1", "cube 0"], False)
    assert await prompts(page, "?limit=2") == (["cube 2", "cube 1"], True)
    assert await prompts(page, f"?limit=2&before={jobs[1]['job_id']}") == (["cube 0"], False)
    assert await prompts(page, "?before=unknown") == ([], False)


@pytest.mark.parametrize("limit", ["", "none", "-1", "²", "9999999999999999999999"])
async def test_nonsense_for_a_limit_is_the_usual_one(page: Page, limit: str) -> None:
    for number in range(13):
        await page.drawn(prompt=f"cube {number}", pictures=1)

    found, has_more = await prompts(page, f"?limit={limit}")

    assert (len(found), has_more) == (12, True)


async def test_of_a_job_only_its_end_is_written_so_that_nothing_older_can_replace_it(
    page: Page,
) -> None:
    page.engine.open.clear()
    _, accepted = await page.ask(prompt="a green cube", pictures=1)
    folder = page.pictures_dir / accepted["job_id"]

    assert list(folder.iterdir()) == []

    page.engine.open.set()
    await page.views(accepted["job_id"])
    assert sorted(path.name for path in folder.iterdir()) == ["01.png", "grid.png", "job.json"]


async def test_nobody_sees_what_another_asked_for(page: Page) -> None:
    await page.drawn(prompt="a green cube", pictures=1)

    async with somebody_else(page) as other, other.get("/api/history") as answer:
        assert await answer.json() == {"jobs": [], "has_more": False}


async def test_what_was_asked_for_on_another_platform_is_no_page(page: Page) -> None:
    job = await page.store.accept(
        submission(by=person("ada", Platform.DISCORD)), now=page.clock(), allowance_count=10
    )

    assert (await page.get(f"/api/jobs/{job.id}"))[0] == 404
    assert (await page.get(f"/pictures/{job.id}/01.png"))[0] == 404


async def test_the_history_tells_what_is_under_way_and_what_failed(page: Page) -> None:
    page.engine.errors.append(DrawingFailedError("broke"))
    _, failed = await page.ask(prompt="a red cube", pictures=1)
    await page.views(failed["job_id"])
    page.clock.advance(timedelta(seconds=1))
    page.engine.open.clear()
    await page.ask(prompt="a green cube", pictures=1)
    await until(lambda: len(page.engine.requests) == 2)

    answer = await page.look("/api/history")

    assert [job["state"] for job in answer["jobs"]] == ["drawing", "failed"]


# --- files ---------------------------------------------------------------------------------


async def test_pictures_whose_files_are_gone_are_drawn_again_from_the_store(
    page: Page, tmp_path: Path
) -> None:
    done = await page.drawn(prompt="a green cube", pictures=2, seed=7)
    _, before = await page.get(done["pictures"][1]["url"])
    shutil.rmtree(tmp_path / "pictures")

    view = await page.look(f"/api/jobs/{done['job_id']}")

    assert view == {**done, "model": None, "timings": None}
    assert await page.get(view["pictures"][1]["url"]) == (200, before)
    assert before == solid_png(0, 7, 200)
    assert (page.pictures_dir / done["job_id"] / "02.png").read_bytes() == before
    _, grid = await page.get(view["grid"])
    assert decoded(grid).size == (256 + 8 + 256, 256)
    assert len(page.engine.requests) == 1


async def test_a_picture_comes_as_webp_too(page: Page) -> None:
    done = await page.drawn(prompt="a green cube", pictures=1, seed=7)
    path = done["pictures"][0]["url"].replace(".png", ".webp")

    for _ in range(2):  # made, then read
        async with page.http.get(path) as answer:
            assert (answer.status, answer.content_type) == (200, "image/webp")
            assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
            webp = await answer.read()
        assert webp[8:12] == b"WEBP"
        assert decoded(webp).size == (16, 16)


async def test_a_picture_is_enlarged_on_demand(page: Page) -> None:
    done = await page.drawn(prompt="a green cube", pictures=1, seed=7)
    base = f"/pictures/{done['job_id']}/01"

    _, small = await page.get(f"{base}.png")
    _, large = await page.get(f"{base}-x4.png")
    _, webp = await page.get(f"{base}-x4.webp")

    assert [decoded(file).size for file in (small, large, webp)] == [(16, 16), (64, 64), (64, 64)]


async def test_who_asks_for_the_same_picture_at_the_same_time_gets_one(tmp_path: Path) -> None:
    engine = PatientEngine()
    async with serving(tmp_path, engine) as page:
        done = await page.drawn(prompt="a green cube", pictures=1)
        path = f"/pictures/{done['job_id']}/01-x4.png"

        first, second = (asyncio.create_task(page.get(path)) for _ in range(2))
        await until(lambda: engine.enlarged_count == 1)
        engine.may_enlarge.set()

        assert await first == await second
        assert engine.enlarged_count == 1


async def test_stopping_gives_up_what_is_being_enlarged(tmp_path: Path) -> None:
    engine = PatientEngine()
    async with serving(tmp_path, engine) as page:
        done = await page.drawn(prompt="a green cube", pictures=1)
        asking = asyncio.create_task(page.get(f"/pictures/{done['job_id']}/01-x4.png"))
        await until(lambda: engine.enlarged_count == 1)

        await page.adapter.close()

        with pytest.raises(aiohttp.ClientError):
            await asking


async def test_an_engine_that_cannot_enlarge_says_so_and_may_be_asked_again(page: Page) -> None:
    done = await page.drawn(prompt="a green cube", pictures=1)
    path = f"/pictures/{done['job_id']}/01-x4.png"
    page.engine.errors.append(DrawingFailedError("broke"))

    status, body = await page.get(path)

    assert (status, json.loads(body)["error"]) == (
        503,
        f"The pictures could not be drawn. Please try again. {NOTHING_TAKEN}",
    )
    assert (await page.get(path))[0] == 200


@pytest.mark.parametrize("name", ["00.png", "02.png", "02-x4.png", "02.webp", "99-x4.webp"])
async def test_a_picture_that_never_was_is_not_kept(page: Page, name: str) -> None:
    done = await page.drawn(prompt="a green cube", pictures=1)

    status, body = await page.get(f"/pictures/{done['job_id']}/{name}")

    assert (status, json.loads(body)) == (404, {"error": NOTHING_KEPT})


async def test_a_disk_that_is_full_shows_the_picture_all_the_same(page: Page) -> None:
    done = await page.drawn(prompt="a green cube", pictures=1)
    shutil.rmtree(page.pictures_dir)
    page.pictures_dir.touch()  # no folder can be made here

    status, body = await page.get(done["pictures"][0]["url"])

    assert (status, decoded(body).size) == (200, (16, 16))


# --- drawing on ----------------------------------------------------------------------------


async def test_a_variation_keeps_a_part_of_the_picture_and_says_where_it_comes_from(
    page: Page,
) -> None:
    done = await page.drawn(prompt="a green cube", pictures=3, seed=7, temperature=0.5)

    status, accepted = await page.post(f"/api/jobs/{done['job_id']}/pictures/2/variation")
    *_, view = await page.views(accepted["job_id"])

    assert status == 202
    assert (view["prompt"], view["picture_count"], view["origin"]) == (
        "a green cube",
        4,
        done["job_id"],
    )
    asked = page.engine.requests[1]
    assert asked.seed == view["seed"] != 7
    assert (asked.options.temperature, asked.preview) == (0.5, True)
    assert asked.keep == (done["pictures"][1]["index"],) * 24  # three of eight rows


async def test_redrawing_takes_the_same_words_and_another_seed(page: Page) -> None:
    done = await page.drawn(prompt="a green cube", pictures=3, seed=7)

    status, accepted = await page.post(f"/api/jobs/{done['job_id']}/redraw", request_id="x")
    *_, view = await page.views(accepted["job_id"])

    assert status == 202
    assert (view["prompt"], view["picture_count"], view["origin"]) == (
        "a green cube",
        3,
        done["job_id"],
    )
    assert view["seed"] != 7
    again = await page.post(f"/api/jobs/{done['job_id']}/redraw", pictures=1, request_id="x")
    assert again == (202, accepted)


@pytest.mark.parametrize("verb", ["redraw", "pictures/1/variation"])
async def test_what_is_not_kept_cannot_be_drawn_on(page: Page, verb: str) -> None:
    assert await page.post(f"/api/jobs/unknown/{verb}") == (404, {"error": NOTHING_KEPT})


async def test_drawing_on_is_paid_for_like_drawing(page: Page) -> None:
    done = await page.drawn(prompt="a green cube", pictures=16)

    await page.post(f"/api/jobs/{done['job_id']}/redraw")
    status, answer = await page.post(f"/api/jobs/{done['job_id']}/pictures/1/variation", pictures=9)

    assert (status, answer["error"]) == (
        429,
        (
            "You have 8 pictures left today, out of 40. Ask for at most 8, or come back when your "
            "allowance reopens at 00:00 UTC, in 12 h."
        ),
    )


@pytest.mark.parametrize(
    ("count", "sentence"),
    [
        (17, "The picture count must be between 1 and 16, not 17."),
        ("four", "The number of pictures must be a whole number."),
    ],
)
async def test_a_wrong_number_of_variations_is_refused_with_the_fix(
    page: Page, count: object, sentence: str
) -> None:
    done = await page.drawn(prompt="a green cube", pictures=1)
    path = f"/api/jobs/{done['job_id']}/pictures/1/variation"

    assert await page.post(path, pictures=count) == (400, {"error": sentence})


# --- giving up -----------------------------------------------------------------------------


async def waiting_job(page: Page) -> str:
    page.engine.open.clear()
    _, accepted = await page.ask(prompt="a green cube", pictures=5)
    await until(lambda: len(page.engine.requests) == 1)
    return accepted["job_id"]


async def test_a_job_that_is_given_up_costs_nothing_and_whoever_watches_is_told(
    page: Page,
) -> None:
    job_id = await waiting_job(page)
    watching = asyncio.create_task(page.views(job_id))

    status, view = await page.post(f"/api/jobs/{job_id}/cancel")

    assert (status, view["state"], view["sentence"]) == (
        200,
        "cancelled",
        f"This one was given up before it was drawn. {NOTHING_TAKEN}",
    )
    assert (await watching)[-1] == view
    await page.rest()
    assert await page.look(f"/api/jobs/{job_id}") == view
    assert await page.look("/api/allowance") == {"left": 40}


async def test_a_job_stays_given_up_after_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path, ScriptedEngine()) as page:
        job_id = await waiting_job(page)
        _, view = await page.post(f"/api/jobs/{job_id}/cancel")

    async with serving(tmp_path, ScriptedEngine()) as page:
        assert await page.views(job_id) == [view]
        shutil.rmtree(page.pictures_dir)
        assert await page.views(job_id) == [view]


async def refused_cancel(http: aiohttp.ClientSession, job_id: str) -> dict[str, Any]:
    async with http.post(f"/api/jobs/{job_id}/cancel", json={}) as answer:
        assert answer.status == 409
        return await answer.json()


async def test_only_its_person_gives_a_job_up_and_only_once(page: Page) -> None:
    too_late = {
        "error": "There is nothing to cancel: the pictures are done or on their way, or the "
        "request is not yours."
    }
    job_id = await waiting_job(page)

    async with somebody_else(page) as other:
        assert await refused_cancel(other, job_id) == too_late
    assert (await page.post(f"/api/jobs/{job_id}/cancel"))[0] == 200
    assert await refused_cancel(page.http, job_id) == too_late
    assert await refused_cancel(page.http, "unknown") == too_late
