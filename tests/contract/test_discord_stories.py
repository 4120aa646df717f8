"""What people live through on Discord, as SimCord understands Discord.

An independent judge: it shares no line with our own loopback Discord. It knows neither
languages other than English nor apps that a person brought along; those stories are told at
the loopback Discord (``test_discord_commands``, ``test_discord_buttons``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
import pytest
from simcord import SetupError

from tests.support.discord_state import walk
from tests.support.simulated import Theatre
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from simcord.builders import ChannelHandle, GuildHandle
    from simcord.results import InteractionResult

THREE_CATS = {"prompt": "a cat", "pictures": 3, "seed": 7}
DRAWN = "**a cat**\n-# 3 pictures, best first · seed 7 · scripted · 1 s"
ALTS = [f"Picture {rank} of 3: a cat" for rank in (1, 2, 3)]


@pytest.fixture
def theatre(tmp_path: Path) -> Theatre:
    return Theatre(tmp_path)


def text_of(result: InteractionResult) -> str:
    """All texts of an answer, one below the other."""
    response = result.response
    parts: list[Any] = [] if response is None else walk(response.components)
    return "\n".join(part["content"] for part in parts if part["type"] == 10)


def menu_of(result: InteractionResult, verb: str) -> str:
    """The custom id of the menu or button ``im:<verb>:…``."""
    assert result.response is not None
    ids = [part.get("custom_id", "") for part in walk(result.response.components)]
    return next(each for each in ids if each.startswith(f"im:{verb}:"))


def alts_of(result: InteractionResult) -> list[str | None]:
    response = result.response
    return [] if response is None else [each.description for each in response.attachments]


async def when_drawn(result: InteractionResult, count: int = 3) -> InteractionResult:
    await until(lambda: len(alts_of(result)) == count and "best first" in text_of(result))
    return result


def stage_of(guild: GuildHandle) -> ChannelHandle:
    return guild.create_text_channel("pictures")


async def test_imagine_shows_progress_and_ends_in_pictures_with_alt_texts(
    theatre: Theatre,
) -> None:
    theatre.engine.open.clear()
    async with theatre.playing() as env:
        guild = env.create_guild("a server")
        ada = guild.add_member(env.create_user("ada"))
        asked = await ada.slash(stage_of(guild), "imagine", **THREE_CATS)
        assert asked.deferred
        await until(lambda: text_of(asked) == "Drawing… 0 %")
        theatre.engine.open.set()
        await when_drawn(asked)

        assert text_of(asked) == DRAWN
        assert alts_of(asked) == ALTS
        assert asked.response is not None
        assert asked.response.flags.components_v2
        assert not asked.followups


async def test_a_picture_of_a_card_is_upscaled(theatre: Theatre) -> None:
    async with theatre.playing() as env:
        guild = env.create_guild("a server")
        ada = guild.add_member(env.create_user("ada"))
        asked = await when_drawn(await ada.slash(stage_of(guild), "imagine", **THREE_CATS))
        assert asked.response is not None
        upscaled = await ada.select(
            asked.response.message, ["2"], custom_id=menu_of(asked, "upscale")
        )
        await until(lambda: len(alts_of(upscaled)) == 1)

        assert text_of(upscaled) == "**a cat**\n-# picture 2, four times as large"
        assert alts_of(upscaled) == ["Picture 2, four times as large: a cat"]
        assert text_of(asked) == DRAWN


async def test_buttons_still_work_after_a_restart(theatre: Theatre) -> None:
    async with theatre.playing() as env:
        guild = env.create_guild("a server")
        ada = guild.add_member(env.create_user("ada"))
        asked = await when_drawn(await ada.slash(stage_of(guild), "imagine", **THREE_CATS))
        assert asked.response is not None
        async with theatre.restarted():
            redrawn = await ada.click(asked.response.message, custom_id=menu_of(asked, "redraw"))
            await when_drawn(redrawn)

            assert text_of(redrawn).startswith("**a cat**\n-# 3 pictures, best first · seed ")
            assert text_of(redrawn) != DRAWN


async def test_pictures_that_took_sixteen_minutes_come_as_a_message_of_their_own(
    theatre: Theatre,
) -> None:
    theatre.engine.open.clear()
    async with theatre.playing() as env:
        guild = env.create_guild("a server")
        ada = guild.add_member(env.create_user("ada"))
        channel = stage_of(guild)
        asked = await ada.slash(channel, "imagine", **THREE_CATS)
        await until(lambda: text_of(asked) == "Drawing… 0 %")
        await env.advance_time(16 * 60)
        theatre.engine.open.set()
        await until(lambda: len(channel.history()) == 2)

        assert channel.last_message is not None
        assert [each.description for each in channel.last_message.attachments] == ALTS
        assert not alts_of(asked)


async def test_where_the_bot_may_not_write_late_pictures_wait_in_the_history(
    theatre: Theatre,
) -> None:
    theatre.engine.open.clear()
    async with theatre.playing() as env:
        guild = env.create_guild("a server")
        ada = guild.add_member(env.create_user("ada"))
        channel = guild.create_text_channel(
            "silent",
            overwrites={guild.default_role: discord.PermissionOverwrite(send_messages=False)},
        )
        asked = await ada.slash(channel, "imagine", **THREE_CATS)
        await until(lambda: text_of(asked) == "Drawing… 0 %")
        await env.advance_time(16 * 60)
        theatre.engine.open.set()
        await until(lambda: repr(theatre.service) == "<Service 0 jobs running>")
        history = await ada.slash(channel, "history")
        await until(lambda: bool(text_of(history)))

        assert "a cat" in text_of(history)
        assert history.ephemeral
        assert len(channel.history()) == 1
        assert not alts_of(asked)


async def test_pictures_can_be_asked_for_in_private(theatre: Theatre) -> None:
    async with theatre.playing() as env:
        env.create_guild("a server")
        ada = env.create_user("ada")
        asked = await when_drawn(await ada.slash("imagine", **THREE_CATS))

        assert text_of(asked) == DRAWN
        assert alts_of(asked) == ALTS


async def test_the_commands_of_admins_are_for_admins(theatre: Theatre) -> None:
    async with theatre.playing() as env:
        guild = env.create_guild("a server")
        admins = guild.create_role("admins", permissions=discord.Permissions(manage_guild=True))
        ada = guild.add_member(env.create_user("ada"))
        boss = guild.add_member(env.create_user("boss"), roles=[admins])
        channel = stage_of(guild)

        with pytest.raises(SetupError):
            await ada.slash(channel, "imagine-admin stats")
        told = await boss.slash(channel, "imagine-admin stats")

        assert told.ephemeral
        assert text_of(told)


async def test_words_that_format_and_mention_are_shown_letter_for_letter(
    theatre: Theatre,
) -> None:
    async with theatre.playing() as env:
        guild = env.create_guild("a server")
        ada = guild.add_member(env.create_user("ada"))
        channel = stage_of(guild)
        options = {**THREE_CATS, "prompt": "@everyone **look**"}
        asked = await when_drawn(await ada.slash(channel, "imagine", **options))

        assert text_of(asked).startswith("**\\@everyone \\*\\*look\\*\\***\n")
        assert asked.response is not None
        assert not asked.response.message.mention_everyone
