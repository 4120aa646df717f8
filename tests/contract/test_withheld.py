"""A picture that may not be shown: wherever pictures are seen, the next in rank is in its place.

The four candidates of these tests rank 3, 2, 1, 0. The best (3) and the third (1) are unsafe,
the second (2) is doubtful: so 2 comes first, 0 second, and there is nothing else anywhere.
"""

from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest
from PIL import Image

from bot import app
from bot.settings import Settings
from bot.terminal import NoPicturesError
from engine.api import DrawRequest, Verdict
from tests.support.clock import Clock
from tests.support.page import serving
from tests.support.scripted_engine import solid_png
from tests.support.waiting import until
from tests.support.wary_engine import WaryEngine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.discord_bot import Bot
    from tests.support.discord_server import DiscordServer
    from tests.support.page import Page

UNSAFE: Final = {3: Verdict.UNSAFE, 2: Verdict.BORDERLINE, 1: Verdict.UNSAFE}
SEED: Final = 7
FIRST, SECOND = solid_png(20, SEED, 200), solid_png(0, SEED, 200)
WANTED: Final = {"prompt": "a green cube", "pictures": 4, "seed": SEED}
GONE = "Nothing is kept of these pictures any more. Ask for new ones with the same words."


def corners(png: bytes) -> tuple[int, int]:
    """The red of the upper left and the upper right corner."""
    with Image.open(io.BytesIO(png)) as image:
        first_row = image.convert("RGB").tobytes()[: 3 * image.width]
    return first_row[0], first_row[-3]


async def assert_the_page_shows_two(page: Page, view: dict[str, Any]) -> None:
    job_id = view["job_id"]
    told = [(each["rank"], each["index"], each["is_covered"]) for each in view["pictures"]]
    assert told == [(1, 2, True), (2, 0, False)]
    assert view["withheld_count"] == 2
    assert await page.get(f"/pictures/{job_id}/01.png") == (200, FIRST)
    assert await page.get(f"/pictures/{job_id}/02.png") == (200, SECOND)
    for name in ("03.png", "04.png", "03-x4.png", "04.webp", "00.png"):
        assert (await page.get(f"/pictures/{job_id}/{name}"))[0] == 404, name
    for rank in (0, 3, 4):
        path = f"/api/jobs/{job_id}/pictures/{rank}/variation"
        assert await page.post(path) == (404, {"error": GONE}), rank
    status, large = await page.get(f"/pictures/{job_id}/01-x4.png")
    assert (status, corners(large)) == (200, (20, 20))


async def test_on_the_page_places_are_filled_and_nothing_else_can_be_had(tmp_path: Path) -> None:
    async with serving(tmp_path, WaryEngine(UNSAFE)) as page:
        view = await page.drawn(**WANTED)
        await assert_the_page_shows_two(page, view)

        shutil.rmtree(page.pictures_dir)  # from here on the store alone knows
        (again,) = (await page.look("/api/history"))["jobs"]
        await assert_the_page_shows_two(page, again)
        status, grid = await page.get(f"/pictures/{view['job_id']}/grid.png")
        assert (status, corners(grid)) == (200, (20, 0))
        assert (await page.look("/api/allowance"))["left"] == 8


async def test_what_is_drawn_again_is_looked_at_again(tmp_path: Path) -> None:
    async with serving(tmp_path, WaryEngine(UNSAFE)) as page:
        job_id = (await page.drawn(**WANTED))["job_id"]
        for path in (f"/api/jobs/{job_id}/redraw", f"/api/jobs/{job_id}/pictures/1/variation"):
            _, accepted = await page.post(path, pictures=4)
            *_, view = await page.views(accepted["job_id"])
            assert [each["index"] for each in view["pictures"]] == [2, 0], path
            await page.rest()


async def test_on_discord_the_card_and_its_menus_know_only_what_is_shown(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine = WaryEngine(UNSAFE)
    async with bot.running():
        asked = await server.slash("imagine", WANTED)
        card = await asked.message_when(lambda message: "Delete" in message.buttons)
        await until(lambda: repr(bot.service) == "<Service 0 jobs running>")

        assert [png for _, png in card.gallery] == [FIRST, SECOND]
        assert [item["spoiler"] for item in card.gallery_items] == [True, False]
        assert "2 pictures withheld" in card.text
        menus = [item for item in every(card.components) if "options" in item]
        offered = [[each["value"] for each in menu["options"]] for menu in menus]
        assert offered == [["1", "2"], ["1", "2"]]

        for menu in menus:  # somebody sends what the menu does not offer
            menu["options"].append({"label": "Picture 3", "value": "3"})
            pressed = await server.click(card, menu["custom_id"], values=["3"])
            await pressed.message_when(lambda message: message.text == GONE)


def every(components: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All components of a message, also those within others."""
    return [
        found
        for component in components
        for found in (component, *every(component.get("components", [])))
    ]


async def test_in_the_terminal_files_have_no_gap(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    request = DrawRequest(prompt="a green cube", picture_count=4, seed=SEED)

    drawn = await app.draw(
        settings,
        request,
        tmp_path / "cube.png",
        singles_dir=tmp_path / "cubes",
        show=lambda _: None,
        engine=WaryEngine(UNSAFE),
        clock=Clock(),
    )

    assert [picture.verdict for picture in drawn.pictures] == [Verdict.BORDERLINE, Verdict.SAFE]
    files = sorted((tmp_path / "cubes").iterdir())
    assert [path.name for path in files] == ["01.png", "02.png"]
    assert [path.read_bytes() for path in files] == [FIRST, SECOND]


async def test_in_the_terminal_nothing_is_written_if_nothing_may_be_shown(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    request = DrawRequest(prompt="a green cube", picture_count=2, seed=SEED)
    engine = WaryEngine({0: Verdict.UNSAFE, 1: Verdict.UNSAFE})

    with pytest.raises(NoPicturesError) as caught:
        await app.draw(settings, request, tmp_path / "cube.png", show=lambda _: None, engine=engine)

    assert str(caught.value) == (
        "The pictures were drawn, but the bot takes them for ones that should not be shown. Try "
        "other words or another seed. Nothing was taken from your allowance."
    )
    assert not (tmp_path / "cube.png").exists()
