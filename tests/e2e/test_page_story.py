"""Somebody opens the page, asks for a red circle, and gets it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.support.browser import ABSENT, GALLERY_IS_THERE, PROGRAM, chromium, tab
from tests.support.looks import border, decoded, middle, strongest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.bot_process import BotProcess

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

BOT_VARIABLES = {"DAILY_PICTURES": "12"}

SOLD_OUT = re.compile(
    r"You have 3 pictures left today, out of 12\. Ask for at most 3, or come back when your "
    r"allowance reopens at 00:00 UTC, in (\d+ h)?( ?\d+ min)?\."
)


def visitor(bot: BotProcess, address: str) -> aiohttp.ClientSession:
    """Somebody at an address of this machine, who is a person of their own to the bot."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0), force_close=True)
    return aiohttp.ClientSession(bot.base_url, connector=connector)


async def ask(page: aiohttp.ClientSession, **wanted: object) -> tuple[int, dict[str, Any]]:
    async with page.post("/api/draw", json=wanted) as answer:
        return answer.status, await answer.json()


async def views(page: aiohttp.ClientSession, job_id: str) -> list[dict[str, Any]]:
    """Everything that the page is told about a job, to its end."""
    async with page.get(f"/api/jobs/{job_id}/events") as stream:
        lines = [line async for line in stream.content if line.startswith(b"data: ")]
    return [json.loads(line.removeprefix(b"data: ")) for line in lines]


async def fetch(page: aiohttp.ClientSession, path: str) -> bytes:
    async with page.get(path) as answer:
        assert answer.status == 200
        return await answer.read()


async def test_a_sentence_becomes_pictures_and_the_allowance_survives_a_restart(
    running_bot: BotProcess,
) -> None:
    """One story, because each step needs what the one before it left behind."""
    async with visitor(running_bot, "127.0.0.3") as page:
        assert b"What shall I draw?" in await fetch(page, "/")

        status, accepted = await ask(page, prompt="a red circle on a blue background", pictures=9)
        assert status == 202
        *steps, done = await views(page, accepted["job_id"])

        assert {step["state"] for step in steps} <= {"queued", "drawing"}
        assert done["state"] == "done", done
        scores = [picture["score"] for picture in done["pictures"]]
        assert len(scores) == 9
        assert scores == sorted(scores, reverse=True)
        best = decoded(await fetch(page, done["pictures"][0]["url"]))
        assert (strongest(middle(best)), strongest(border(best))) == ("red", "blue")
        grid = decoded(await fetch(page, done["grid"]))
        assert min(grid.size) >= 3 * 256

        running_bot.restart()

        status, refused = await ask(page, prompt="a green cube", pictures=4)
        assert status == 429
        assert SOLD_OUT.fullmatch(refused["error"]), refused
        assert await fetch(page, done["grid"])
        assert json.loads(await fetch(page, f"/api/jobs/{accepted['job_id']}")) == done


@pytest.mark.skipif(PROGRAM is None, reason=ABSENT)
async def test_in_a_real_browser_pictures_are_drawn_enlarged_and_varied(
    running_bot: BotProcess, tmp_path: Path
) -> None:
    with chromium(tmp_path) as devtools:
        async with tab(devtools) as browser, visitor(running_bot, "127.0.0.1") as page:
            await browser.go(running_bot.base_url)
            await browser.evaluate("document.querySelector('#count').value = 3")
            await browser.type("a red circle on a blue background")
            await browser.press("Enter")
            await browser.until_text("#status", "3 pictures, the best match first.", limit_s=120)

            await browser.click("button.open")
            await browser.click("#enlarge")
            await browser.until("document.querySelector('#viewer-picture').naturalWidth === 1024")
            url = await browser.evaluate(
                "new URL(document.querySelector('#save-png').href).pathname"
            )
            large = decoded(await fetch(page, url))
            assert (large.size, strongest(middle(large))) == ((1024, 1024), "red")

            first = await browser.evaluate("location.pathname")
            await browser.click("#variations")
            await browser.until(f"location.pathname !== '{first}'")
            await browser.until(GALLERY_IS_THERE, limit_s=120)
            job = await browser.evaluate("location.pathname.split('/').at(-1)")
            varied = json.loads(await fetch(page, f"/api/jobs/{job}"))
            assert varied["origin"] == first.removeprefix("/jobs/")
            best = decoded(await fetch(page, varied["pictures"][0]["url"]))
            assert strongest(border(best)) == "blue"
            assert browser.troubles == []


async def test_a_job_that_a_killed_process_left_is_finished_by_the_next(
    running_bot: BotProcess,
) -> None:
    async with visitor(running_bot, "127.0.0.2") as page:
        _, accepted = await ask(page, prompt="a yellow square", pictures=1, seed=5)

        running_bot.kill()
        running_bot.start()

        *_, done = await views(page, accepted["job_id"])
        assert (done["state"], done["seed"], len(done["pictures"])) == ("done", 5, 1)


async def test_stopping_says_goodbye_and_nothing_else(running_bot: BotProcess) -> None:
    status = running_bot.stop()

    assert status == 0
    assert running_bot.output.rstrip().endswith("Stopped.")
    assert "Traceback" not in running_bot.output
    running_bot.start()
