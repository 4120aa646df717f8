"""Somebody uses the page in a real browser, with an engine that draws plain squares."""

# ruff: noqa: RUF001 - the page says "four times" with the sign of multiplication
from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from bot.web.sessions import Passwords
from engine.api import DrawingFailedError
from tests.support.browser import ABSENT, GALLERY_IS_THERE, PROGRAM, chromium, tab
from tests.support.page import serving
from tests.support.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from tests.support.browser import Tab
    from tests.support.page import Page

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=ABSENT)

HAS_SCROLL = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def devtools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chromium(tmp_path_factory.mktemp("chromium")) as address:
        yield address


@asynccontextmanager
async def browsing(
    devtools: str,
    folder: Path,
    engine: ScriptedEngine | None = None,
    *,
    path: str = "/",
    daily_pictures: int = 100,
    passwords: Passwords | None = None,
    width: int = 1_200,
    is_dark: bool = False,
) -> AsyncGenerator[tuple[Page, Tab]]:
    """Open the page; at the end nothing may have gone wrong in it unseen."""
    async with (
        serving(
            folder,
            engine or ScriptedEngine(),
            daily_pictures=daily_pictures,
            passwords=passwords or Passwords(),
        ) as page,
        tab(devtools, width=width, is_dark=is_dark) as browser,
    ):
        await browser.go(page.adapter.url + path)
        yield page, browser
        assert browser.troubles == []


async def ask(browser: Tab, words: str, *, count: int = 9) -> None:
    """Fill in the form and send it with the keyboard."""
    await browser.click("#prompt")
    await browser.evaluate("document.querySelector('#prompt').select()")
    await browser.type(words)
    await browser.evaluate(
        f"document.querySelector('#count').value = {count};"
        "document.querySelector('#count').dispatchEvent(new Event('input', {bubbles: true}))"
    )
    await browser.press("Enter")


async def drawn(browser: Tab, words: str, *, count: int = 9) -> None:
    await ask(browser, words, count=count)
    counted = "1 picture." if count == 1 else f"{count} pictures, the best match first."
    await browser.until_text("#status", counted)
    await all_pictures_loaded(browser)


async def all_pictures_loaded(browser: Tab) -> None:
    await browser.until(
        "document.querySelector('#pictures img') && "
        "[...document.querySelectorAll('#pictures img')].every((i) => i.naturalWidth)"
    )


async def test_a_sentence_becomes_a_ranked_gallery(devtools: str, tmp_path: Path) -> None:
    async with browsing(devtools, tmp_path) as (page, browser):
        assert await browser.focused() == "prompt"
        assert await browser.is_shown("#examples")
        await browser.until_text("#allowance", "100 pictures left today")

        await drawn(browser, "a green cube")

        captions = await browser.evaluate(
            "[...document.querySelectorAll('figcaption')].map((c) => c.innerText)"
        )
        assert captions[0].split() == ["Best", "match", "score", "0.0", "Save"]
        assert captions[8].split() == ["No.", "9", "score", "-8.0", "Save"]
        alts = await browser.evaluate(
            "[...document.querySelectorAll('#pictures img')].map((image) => image.alt)"
        )
        assert alts[1] == "a green cube, picture 2 of 9"
        assert not await browser.is_shown("#examples")
        assert await browser.focused() == "prompt"
        await browser.until_text("#allowance", "91 pictures left today")
        job_id = (await page.look("/api/history"))["jobs"][0]["job_id"]
        assert await browser.evaluate("location.pathname") == f"/jobs/{job_id}"
        assert await browser.evaluate("document.title") == "a green cube · imagine"


async def test_whoever_waits_sees_place_time_and_preview_and_nothing_jumps(
    devtools: str, tmp_path: Path
) -> None:
    engine = ScriptedEngine()
    engine.open.clear()
    engine.halfway.clear()
    places = """[...document.querySelectorAll("#pictures .open")].map((place) => {
      const { x, y, width, height } = place.getBoundingClientRect();
      return [x, y + scrollY, width, height].map(Math.round);
    })"""
    async with browsing(devtools, tmp_path, engine) as (_, browser):
        await ask(browser, "a green cube", count=4)
        await browser.until_text("#status", "Drawing")
        await browser.until_text("#numbers", "0 % · about 1 s left")
        before = await browser.evaluate(places)
        assert len(before) == 4

        engine.open.set()
        await browser.until("document.querySelectorAll('#pictures canvas').length === 4")
        assert await browser.evaluate(places) == before

        engine.halfway.set()
        await browser.until_text("#status", "4 pictures, the best match first.")
        await all_pictures_loaded(browser)
        assert await browser.evaluate(places) == before


async def test_a_picture_is_looked_at_and_turned_by_keyboard_alone(
    devtools: str, tmp_path: Path
) -> None:
    async with browsing(devtools, tmp_path) as (_, browser):
        await drawn(browser, "a green cube", count=3)
        await browser.evaluate("document.querySelectorAll('button.open')[1].focus()")

        await browser.press("Enter")
        await browser.until_text("#viewer-title", "No. 2 of 3")
        await browser.press("ArrowRight")
        assert await browser.text("#viewer-title") == "No. 3 of 3"
        await browser.press("ArrowRight")
        assert await browser.text("#viewer-title") == "No. 3 of 3"
        await browser.press("ArrowLeft")
        await browser.press("ArrowLeft")
        assert await browser.text("#viewer-title") == "Best match of 3"
        assert await browser.nameless() == []
        await browser.until_text("#viewer-facts", await facts_of_best(browser, "16 × 16"))
        await browser.press("Escape")

        assert not await browser.is_shown("#viewer")
        assert await browser.evaluate(
            "document.activeElement === document.querySelectorAll('button.open')[1]"
        )


async def facts_of_best(browser: Tab, size: str) -> str:
    seed = (await browser.text("#facts")).split()[1]
    return f"Score 0.0 · seed {seed} · {size} px"


async def test_a_picture_is_enlarged_and_saved_in_both_kinds(devtools: str, tmp_path: Path) -> None:
    async with browsing(devtools, tmp_path) as (_, browser):
        await drawn(browser, "a green cube", count=2)
        await browser.click("button.open")
        links = "['save-png', 'save-webp'].map((id) => document.getElementById(id))"
        names = f"{links}.map((link) => [link.pathname.split('/').at(-1), link.download])"
        seed = (await browser.text("#facts")).split()[1]
        assert await browser.evaluate(names) == [
            ["01.png", f"a-green-cube-{seed}-1.png"],
            ["01.webp", f"a-green-cube-{seed}-1.webp"],
        ]

        await browser.click("#enlarge")
        await browser.until_text("#enlarge", "Enlarged ×4")
        await browser.until_text("#viewer-facts", await facts_of_best(browser, "64 × 64"))

        assert await browser.evaluate(names) == [
            ["01-x4.png", f"a-green-cube-{seed}-1-x4.png"],
            ["01-x4.webp", f"a-green-cube-{seed}-1-x4.webp"],
        ]
        kinds = f"Promise.all({links}.map(async (link) => (await fetch(link.href)).headers.get"
        assert await browser.evaluate(f"{kinds}('content-type')))") == ["image/png", "image/webp"]
        await browser.press("ArrowRight")
        await browser.until_text("#enlarge", "Enlarge ×4")


async def test_variations_and_redrawings_lead_on_and_the_way_back_works(
    devtools: str, tmp_path: Path
) -> None:
    async with browsing(devtools, tmp_path) as (page, browser):
        await drawn(browser, "a green cube", count=2)
        first = await browser.evaluate("location.pathname")
        await browser.click("button.open")
        await browser.click("#variations")
        await browser.until(f"location.pathname !== '{first}' && {GALLERY_IS_THERE}")
        assert not await browser.is_shown("#viewer")
        assert await browser.focused() == "job-prompt"
        assert await browser.evaluate("document.querySelector('#origin a').pathname") == first
        assert page.engine.requests[1].keep

        await browser.click("#again")
        await browser.until_text("#allowance", "94 pictures left today")

        await browser.evaluate("history.go(-2)")
        await browser.until(f"location.pathname === '{first}' && {GALLERY_IS_THERE}")
        assert not await browser.is_shown("#origin")


async def test_pictures_that_may_not_be_for_everybody_are_uncovered_on_demand(
    devtools: str, tmp_path: Path
) -> None:
    covered = "document.querySelectorAll('.covered').length"
    async with browsing(devtools, tmp_path) as (_, browser):
        await drawn(browser, "a delicate cube", count=3)
        assert await browser.evaluate(covered) == 3
        label = "document.querySelector('button.open').ariaLabel"
        assert await browser.evaluate(label) == "Picture 1: May not be for everybody. Show"

        await browser.click("button.open")
        assert await browser.evaluate(covered) == 2
        assert not await browser.is_shown("#viewer")

        await browser.click("button.open")
        await browser.until("document.querySelector('#viewer').open")
        assert not await browser.is_shown("#uncover")
        await browser.press("ArrowRight")
        await browser.click("#uncover")
        assert not await browser.is_shown("#uncover")
        assert await browser.evaluate(covered) == 1
        await browser.press("ArrowRight")
        assert await browser.is_shown("#uncover")
        await browser.press("Escape")
        await browser.click("a[href='/history']")
        await browser.until("document.querySelector('#history img')")
        assert not await browser.is_shown("#history .covered-picture")


async def test_a_job_is_given_up_while_it_waits(devtools: str, tmp_path: Path) -> None:
    engine = ScriptedEngine()
    engine.open.clear()
    async with browsing(devtools, tmp_path, engine) as (_, browser):
        await ask(browser, "a green cube")
        await browser.click("#cancel")

        await browser.until_text(
            "#status",
            "This one was given up before it was drawn. Nothing was taken from your allowance.",
        )
        await browser.until_text("#allowance", "100 pictures left today")
        assert await browser.evaluate("document.querySelectorAll('#pictures li').length") == 0
        assert await browser.focused() == "prompt"


async def test_whatever_is_refused_is_told_in_a_sentence(devtools: str, tmp_path: Path) -> None:
    async with browsing(devtools, tmp_path, daily_pictures=10) as (page, browser):
        await browser.press("Enter")
        await browser.until_text(
            "#trouble", "The prompt is empty: say in a few words what to draw."
        )
        assert await browser.focused() == "prompt"

        await ask(browser, "a green cube", count=11)
        await browser.until_text(
            "#trouble",
            "You have 10 pictures left today, out of 10. Ask for at most 10, or come back when "
            "your allowance reopens at 00:00 UTC, in 12 h.",
        )

        page.engine.errors.append(DrawingFailedError("broke"))
        await ask(browser, "a green cube", count=4)
        await browser.until_text(
            "#job-trouble",
            "The pictures could not be drawn. Please try again. Nothing was taken from your "
            "allowance.",
        )
        assert not await browser.is_shown("#trouble")

        # What the browser itself reports of the three refusals is expected.
        assert [trouble.split(" http")[0] for trouble in browser.troubles] == [
            "Failed to load resource: the server responded with a status of 400 (Bad Request)",
            (
                "Failed to load resource: the server responded with a status of 429 (Too Many "
                "Requests)"
            ),
        ]
        browser.troubles.clear()


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("seed", "x", "The seed must be a whole number; leave it empty for a random one."),
        ("top_k", "1.5", "The top-k must be a whole number; leave it empty for the usual one."),
        (
            "temperature",
            "hot",
            "The temperature must be a number; leave it empty for the usual one.",
        ),
    ],
)
async def test_an_option_that_is_no_number_is_told_where_it_stands(
    devtools: str, tmp_path: Path, field: str, text: str, sentence: str
) -> None:
    async with browsing(devtools, tmp_path) as (page, browser):
        await browser.evaluate("document.querySelector('#advanced').open = true")
        await browser.click(f"#{field}")
        await browser.type(text)

        await browser.press("Enter")

        await browser.until_text("#trouble", sentence)
        assert await browser.focused() == field
        assert page.engine.requests == []


async def test_advanced_options_reach_the_engine(devtools: str, tmp_path: Path) -> None:
    async with browsing(devtools, tmp_path) as (page, browser):
        await browser.click("#advanced summary")
        for field, text in {"seed": "7", "temperature": "0,5", "condition_scale": "3"}.items():
            await browser.click(f"#{field}")
            await browser.type(text)
        await drawn(browser, "a green cube", count=1)

        options = page.engine.requests[0].options
        assert (options.temperature, options.top_k, options.condition_scale) == (0.5, None, 3)
        assert await browser.text("#facts") == (
            "Seed 7 · temperature 0.5 · condition scale 3 · drawn in 0.2 s by scripted"
        )


async def test_an_example_is_drawn_with_one_click(devtools: str, tmp_path: Path) -> None:
    async with browsing(devtools, tmp_path) as (page, browser):
        pictures = "[...document.querySelectorAll('.examples img')]"
        await browser.until(f"{pictures}.every((image) => image.naturalWidth === 128)")

        await browser.click(".examples button")

        await browser.until_text("#status", "9 pictures, the best match first.")
        assert page.engine.requests[0].prompt == "a penguin"


async def test_the_history_is_there_after_a_restart_and_opens(
    devtools: str, tmp_path: Path
) -> None:
    async with browsing(devtools, tmp_path) as (_, browser):
        await browser.click("a[href='/history']")
        await browser.until_text(
            "#history-intro", "Nothing yet. What you draw on this page is kept here."
        )
        await browser.click("a[href='/']")
        await drawn(browser, "a green cube", count=2)

    async with browsing(devtools, tmp_path, path="/history") as (_, browser):
        await browser.until("document.querySelector('#history img')?.naturalWidth")
        assert await browser.text("#history .words") == "a green cube"
        assert (await browser.text("#history .hint")) == ("2 pictures · 9 Jun, 12:00")
        assert await browser.nameless() == []

        await browser.click("#history a")

        await browser.until_text("#status", "2 pictures, the best match first.")
        await all_pictures_loaded(browser)


async def test_older_ones_come_on_demand(devtools: str, tmp_path: Path) -> None:
    async with browsing(devtools, tmp_path) as (page, browser):
        for number in range(14):
            await page.drawn(prompt=f"cube {number}", pictures=1)
        await browser.click("a[href='/history']")
        await browser.until("document.querySelectorAll('#history li').length === 12")

        await browser.click("#more")

        await browser.until("document.querySelectorAll('#history li').length === 14")
        assert not await browser.is_shown("#more")
        words = await browser.evaluate(
            "[...document.querySelectorAll('#history .words')].map((p) => p.innerText)"
        )
        assert sorted(words) == sorted(f"cube {number}" for number in range(14))


async def test_a_lost_connection_is_told_and_comes_back_by_itself(
    devtools: str, tmp_path: Path
) -> None:
    engine = ScriptedEngine()
    engine.open.clear()
    async with tab(devtools) as browser:
        async with serving(tmp_path, engine) as page:
            await browser.go(page.adapter.url)
            await ask(browser, "a green cube", count=2)
            await browser.until_text("#status", "Drawing")
            number = int(page.adapter.url.rpartition(":")[2])

        await browser.until_text(
            "#status", "The connection is interrupted; waiting for the bot to come back…"
        )
        async with serving(tmp_path, ScriptedEngine(), number=number):
            await browser.until_text("#status", "2 pictures, the best match first.")


async def test_an_unknown_job_is_told_and_the_page_is_ready(devtools: str, tmp_path: Path) -> None:
    async with browsing(devtools, tmp_path, path="/jobs/unknown") as (_, browser):
        await browser.until_text(
            "#trouble", "There are no pictures under this address. Start a new drawing instead."
        )
        assert await browser.is_shown("#examples")
        browser.troubles.clear()


async def test_on_a_phone_nothing_is_wider_than_the_window(devtools: str, tmp_path: Path) -> None:
    async with browsing(devtools, tmp_path, width=360) as (_, browser):
        await browser.click("#advanced summary")
        assert not await browser.evaluate(HAS_SCROLL)

        await drawn(browser, f"a {'very' * 60} green cube", count=16)
        assert not await browser.evaluate(HAS_SCROLL)
        await browser.click("button.open")
        assert not await browser.evaluate(HAS_SCROLL)
        box = await browser.evaluate(
            "(({ left, right }) => [left, right])"
            "(document.querySelector('#viewer').getBoundingClientRect())"
        )
        assert box == [0, 360]
        await browser.press("Escape")
        await browser.click("a[href='/history']")
        await browser.until("document.querySelector('#history img')?.naturalWidth")
        assert not await browser.evaluate(HAS_SCROLL)


@pytest.mark.parametrize("is_dark", [False, True])
async def test_all_text_is_easy_to_read_in_light_and_dark(
    devtools: str, tmp_path: Path, *, is_dark: bool
) -> None:
    async with browsing(devtools, tmp_path, is_dark=is_dark) as (page, browser):
        await browser.click("#advanced summary")
        page.engine.errors.append(DrawingFailedError("broke"))
        await ask(browser, "a green cube", count=2)
        await browser.until("document.querySelector('#job-trouble').checkVisibility()")
        assert await browser.evaluate(TOO_FAINT) == []
        await drawn(browser, "a green cube", count=2)
        await browser.click("button.open")
        assert await browser.evaluate(TOO_FAINT) == []

        page_colour = "getComputedStyle(document.body).backgroundColor"
        expected = "rgb(19, 18, 23)" if is_dark else "rgb(250, 248, 245)"
        assert await browser.evaluate(page_colour) == expected


# The contrast of every text with what is behind it must be 4.5 at least. Source: WCAG 2.2,
# success criterion 1.4.3 and the definitions of contrast ratio and relative luminance.
TOO_FAINT = """
(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, alpha = 1] = numbers(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const ratio = (element) => {
    const pair = [numbers(getComputedStyle(element).color).slice(0, 3), behind(element)];
    const [low, high] = pair.map(luminance).sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const isText = (element) =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  return [...document.querySelectorAll("body *")]
    .filter((element) => element.checkVisibility() && isText(element))
    .filter((element) => !element.closest("[aria-disabled=true], .unseen, .skip, noscript"))
    .filter((element) => ratio(element) < 4.5)
    .map((element) => `${element.outerHTML} ${ratio(element).toFixed(2)}`);
})()
"""


async def test_every_control_has_a_name_and_the_focus_goes_in_order(
    devtools: str, tmp_path: Path
) -> None:
    async with browsing(devtools, tmp_path) as (_, browser):
        assert await browser.nameless() == []
        await browser.until("document.querySelector('#admin').checkVisibility()")
        await browser.evaluate("document.activeElement.blur()")
        after = [await focus_after(browser, "Tab") for _ in range(5)]
        await browser.evaluate("document.querySelector('#prompt').focus()")
        before = [await focus_after(browser, "Tab", with_shift=True) for _ in range(5)]

    assert after == ["draw", "count", "seed", "Advanced", "a penguin"]
    assert before == ["admin", "History", "Draw", "imagine", "Skip to the content"]


async def focus_after(browser: Tab, key: str, *, with_shift: bool = False) -> str:
    await browser.press(key, with_shift=with_shift)
    return await browser.focused()


async def test_where_the_page_has_a_password_one_logs_in_and_goes_on_to_what_was_wanted(
    devtools: str, tmp_path: Path
) -> None:
    passwords = Passwords(page="page-password", admin="admin-password")
    async with browsing(devtools, tmp_path, path="/history", passwords=passwords) as (_, browser):
        assert await browser.evaluate("location.pathname + location.search") == (
            "/login?next=/history"
        )
        assert await browser.focused() == "password"
        await browser.type("wrong-password")
        await browser.press("Enter")
        await browser.until_text("#trouble", "This is not the password. Try again.")
        await browser.type("page-password")
        await browser.press("Enter")

        await browser.until("location.pathname === '/history'")
        await browser.until_text(
            "#history-intro", "Nothing yet. What you draw on this page is kept here."
        )
        assert await browser.evaluate("document.cookie") == ""

        await browser.click("#log-out")
        await browser.until("location.pathname === '/login'")
        await browser.go((await browser.evaluate("location.origin")) + "/")
        assert await browser.evaluate("location.pathname") == "/login"
        assert not await browser.is_shown("#for-admins")

        await browser.go((await browser.evaluate("location.origin")) + "/login?next=/admin")
        assert await browser.text("#for-admins") == "This part is for admins."
        await browser.type("page-password")
        await browser.press("Enter")
        await browser.until_text(
            "#trouble", "That opens the page, but this part of it needs the password for admins."
        )
        browser.troubles.clear()  # the refused password
