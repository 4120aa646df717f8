"""The cards that the bot shows at the loopback Discord: pictures, first looks, files that fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bot.desk import Profile
from bot.discord.config import CardKind
from bot.jobs import Person, Platform
from engine.api import Drawing, Drawn, Preview, Priority, SamplingOptions
from engine.pictures import PictureInfo, encode_png, fit, read_info
from tests.support.discord_server import DiscordServer, Fault
from tests.support.scripted_engine import ScriptedEngine, solid_picture, solid_png

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from engine.api import DrawEvent, DrawRequest
    from tests.support.discord_bot import Bot

ADA = Person(platform=Platform.DISCORD, id="42")
THREE_CATS = {"prompt": "a cat", "pictures": 3, "seed": 7}
INFO = PictureInfo(prompt="a cat", seed=7, index=0, options=SamplingOptions(), model="scripted")
LOOK = solid_picture("WEBP", 90, 90, 90)
ORIGINAL = "/messages/@original"


class SlowEngine(ScriptedEngine):
    """Waits after its first look until ``open`` is set."""

    async def draw(
        self, request: DrawRequest, *, requester: str = "", priority: Priority = Priority.NORMAL
    ) -> AsyncGenerator[DrawEvent]:
        self.requests.append(request)
        yield Preview(fraction=0.4, picture=LOOK)
        yield Drawing(fraction=0.5, eta_s=90.0)
        await self.open.wait()
        async for event in super().draw(request, requester=requester, priority=priority):
            if isinstance(event, Drawn):
                yield event


class GrainyEngine(ScriptedEngine):
    """Draws heavy pictures, but for the best, which is light."""

    heavy = encode_png(np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8), INFO)

    async def draw(
        self, request: DrawRequest, *, requester: str = "", priority: Priority = Priority.NORMAL
    ) -> AsyncGenerator[DrawEvent]:
        async for event in super().draw(request, requester=requester, priority=priority):
            yield self._heavier(event) if isinstance(event, Drawn) else event

    def _heavier(self, result: Drawn) -> Drawn:
        best, *others = result.pictures
        return replace(
            result, pictures=(best, *(replace(other, png=self.heavy) for other in others))
        )


async def test_a_first_look_is_shown_until_the_pictures_are_there(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine = SlowEngine()
    bot.engine.open.clear()
    async with bot.running():
        asked = await server.slash("imagine", THREE_CATS)
        message = await asked.message_when(lambda m: m.text.startswith("Drawing… 50 %"))
        look, buttons = message.gallery, list(message.buttons)
        bot.engine.open.set()
        await asked.message_when(lambda m: len(m.gallery) == 3)

    assert look == [("A first look at your pictures, which are still being drawn", LOOK)]
    assert buttons == ["Cancel"]
    assert bot.engine.requests[0].preview
    assert [name for name, _ in message.gallery] == [
        "Picture 1 of 3: a cat",
        "Picture 2 of 3: a cat",
        "Picture 3 of 3: a cat",
    ]
    assert [a.filename for a in message.attachments] == [
        "imagine-7-3.png",
        "imagine-7-2.png",
        "imagine-7-1.png",
    ]


async def test_an_admin_may_choose_one_grid_instead_of_single_pictures(
    server: DiscordServer, bot: Bot
) -> None:
    bot.config = replace(bot.config, card=CardKind.GRID)
    async with bot.running():
        asked = await server.slash("imagine", THREE_CATS)
        message = await asked.message_when(lambda m: "Delete" in m.buttons)

    assert message.text == "**a cat**\n-# 3 pictures, best first · seed 7 · scripted · 1 s"
    assert message.gallery == [
        ("A grid of 3 pictures, best first: a cat", solid_png(90, 7, 200, side_px=48))
    ]
    assert await bot.allowance_left() == 87


async def test_who_wants_their_pictures_hidden_at_first_gets_them_so(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        await bot.desk.set_profile(ADA, Profile(spoiler=True))
        asked = await server.slash("imagine", THREE_CATS)
        message = await asked.message_when(lambda m: "Delete" in m.buttons)

    assert [item["spoiler"] for item in message.gallery_items] == [True] * 3
    assert "Show" in message.buttons


async def test_a_card_speaks_the_language_of_who_asked(server: DiscordServer, bot: Bot) -> None:
    async with bot.running():
        asked = await server.slash("imagine", THREE_CATS, locale="de")
        message = await asked.message_when(lambda m: len(m.gallery) == 3)

    assert message.text.startswith("**a cat**\n-# 3 Bilder")


async def test_pictures_that_are_too_heavy_become_other_kinds_of_files(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine = GrainyEngine()
    server.file_limit_bytes = len(GrainyEngine.heavy) - 1
    async with bot.running():
        asked = await server.slash("imagine", THREE_CATS)
        message = await asked.message_when(lambda m: len(m.gallery) == 3)

    assert [a.filename for a in message.attachments] == [
        "imagine-7-3.png",
        "imagine-7-2.webp",
        "imagine-7-1.webp",
    ]
    assert read_info(message.attachments[1].data) == INFO
    assert await bot.allowance_left() == 87


async def test_pictures_that_cannot_be_made_to_fit_are_not_paid_for(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine = GrainyEngine()
    server.file_limit_bytes = 900
    assert fit(GrainyEngine.heavy, limit_bytes=900) is None
    async with bot.running():
        asked = await server.slash("imagine", THREE_CATS)
        message = await asked.message_when(lambda m: "Delete" in m.buttons)

    assert message.text.startswith("**a cat**\n-# 1 of 3 pictures (the others are too big)")
    assert [alt for alt, _ in message.gallery] == ["Picture 1 of 3: a cat"]
    assert await bot.allowance_left() == 89


async def test_files_that_discord_refuses_nevertheless_are_made_smaller(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine = GrainyEngine()
    bot.engine.open.clear()
    bot.config = replace(bot.config, progress_interval_s=3_600)
    server.file_limit_bytes = 2 * len(GrainyEngine.heavy)
    async with bot.running():
        asked = await server.slash("imagine", THREE_CATS)
        await asked.message_when(lambda m: bool(m.text))  # all the progress of that hour
        server.faults.append(Fault(method="PATCH", path=ORIGINAL, status=413, code=40005))
        bot.engine.open.set()
        message = await asked.pictures()

    assert [a.filename for a in message.attachments] == [
        "imagine-7-3.png",
        "imagine-7-2.webp",
        "imagine-7-1.webp",
    ]
    assert [exchange.status for exchange in server.requests("PATCH", ORIGINAL)] == [200, 413, 200]


async def test_files_that_discord_refuses_at_any_size_end_in_an_apology(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine.open.clear()
    bot.config = replace(bot.config, progress_interval_s=3_600)
    async with bot.running():
        asked = await server.slash("imagine", THREE_CATS)
        await asked.message_when(lambda m: bool(m.text))
        server.faults.append(Fault(method="PATCH", path=ORIGINAL, status=413, code=40005, times=2))
        bot.engine.open.set()
        message = await asked.message_when(lambda m: "can no longer" in m.text)

    assert message.text == (
        "The pictures were drawn but may not or can no longer be sent here. Ask again where the "
        "bot is allowed to post pictures. Nothing was taken from your allowance."
    )
    assert await bot.allowance_left() == 90
