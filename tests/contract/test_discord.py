"""The Discord adapter with the real discord.py client, against the loopback Discord."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.discord.errors import DiscordStartError
from bot.store import Limits, Rules
from engine.api import DrawingFailedError, EngineBusyError, EngineClosedError
from tests.support.discord_bot import Bot
from tests.support.discord_server import DiscordServer, Exchange, Fault, Message
from tests.support.scripted_engine import solid_png
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ORIGINAL = "/messages/@original"
POSTS = "/channels/*/messages"
THREE = {"pictures": 3, "seed": 7}
A_CAT = {"prompt": "a cat", "seed": 7}
ONE = {"pictures": 1, "seed": 7}
A_CAT_DRAWN = "**a cat**\n-# 9 pictures, best first · seed 7 · scripted · 1 s"


def shows(text: str) -> Callable[[Message], bool]:
    return lambda message: message.text == text


def edits_with_pictures(server: DiscordServer) -> list[Exchange]:
    """The edits that carry a result; a preview is called differently."""
    return [
        edit
        for edit in server.requests("PATCH", ORIGINAL)
        if any(name.startswith("imagine-") for name in edit.filenames)
    ]


# ------------------------------------------------------------------------ the usual way


async def test_imagine_is_acknowledged_and_ends_in_ranked_pictures(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        interaction = await server.slash(
            "imagine", {"prompt": "a red cat", "pictures": 3, "seed": 7}
        )
        message = await interaction.pictures()

    assert interaction.ack_after_s is not None
    assert interaction.ack_after_s < 1.0
    assert message.text == "**a red cat**\n-# 3 pictures, best first · seed 7 · scripted · 1 s"
    assert message.gallery == [
        ("Picture 1 of 3: a red cat", solid_png(20, 7, 200)),
        ("Picture 2 of 3: a red cat", solid_png(10, 7, 200)),
        ("Picture 3 of 3: a red cat", solid_png(0, 7, 200)),
    ]


async def test_imagine_draws_nine_pictures_unless_told_otherwise(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        interaction = await server.slash("imagine", {"prompt": "a red cat", "seed": 11})
        message = await interaction.pictures()

    assert message.text == "**a red cat**\n-# 9 pictures, best first · seed 11 · scripted · 1 s"
    assert len(message.gallery) == 9


@pytest.mark.parametrize("place", ["guild", "dm", "elsewhere"])
async def test_imagine_works_wherever_a_person_can_type(
    server: DiscordServer, bot: Bot, place: str
) -> None:
    async with bot.running():
        interaction = await server.slash(
            "imagine",
            {**A_CAT, "pictures": 1},
            place=place,  # pyright: ignore[reportArgumentType] # pytest widens the literals
        )
        message = await interaction.pictures()

    assert message.text == "**a cat**\n-# 1 picture · seed 7 · scripted · 1 s"


async def test_progress_is_shown_in_the_message_of_the_result(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine.open.clear()
    async with bot.running():
        interaction = await server.slash("imagine", A_CAT)
        await interaction.message_when(shows("Drawing… 0 %"))
        bot.engine.open.set()
        message = await interaction.pictures()

    assert message.seen[-1] == A_CAT_DRAWN
    assert server.posts == []


async def test_progress_that_is_rate_limited_does_not_delay_the_result(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine.open.clear()
    limited = Fault(method="PATCH", path=ORIGINAL, status=429, retry_after_s=60)
    server.faults.append(limited)
    async with bot.running():
        interaction = await server.slash("imagine", A_CAT)
        await server.until(lambda: limited.times == 0, 10, lambda: "no progress")
        bot.engine.open.set()
        message = await interaction.pictures(timeout_s=5)

    assert message.seen == [A_CAT_DRAWN]


async def test_a_prompt_can_neither_mention_nor_format(server: DiscordServer, bot: Bot) -> None:
    async with bot.running():
        interaction = await server.slash(
            "imagine",
            {"prompt": "@everyone **look** <@1> [here](https://a.example) # `x`", **ONE},
        )
        message = await interaction.pictures()

    assert message.text == (
        "**\\@everyone \\*\\*look\\*\\* \\<\\@1\\> "
        "\\[here\\]\\(https\\://a.example\\) \\# \\`x\\`**\n"
        "-# 1 picture · seed 7 · scripted · 1 s"
    )
    assert message.allowed_mentions == {"parse": []}


async def test_a_second_dispatch_of_an_interaction_creates_no_job(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        interaction = await server.slash("imagine", A_CAT)
        await interaction.pictures()
        await server.dispatch(interaction)
        await server.until(lambda: len(server.requests("POST", "/callback")) == 2, 10, str)

    assert [e.status for e in server.requests("POST", "/callback")] == [200, 400]
    assert len(bot.engine.requests) == 1
    assert len(edits_with_pictures(server)) == 1


# ------------------------------------------------------------------------------ refusals


async def test_a_person_over_quota_reads_when_it_reopens(server: DiscordServer, bot: Bot) -> None:
    bot.daily_pictures = 9
    async with bot.running():
        await server.slash("imagine", A_CAT)
    async with bot.running():  # a restart forgets nothing
        interaction = await server.slash("imagine", A_CAT)
        message = await interaction.message_when(lambda message: bool(message.text))
        other = await server.slash("imagine", A_CAT, user_id="43")
        await other.pictures()

    assert message.text == (
        "Today's allowance of 9 pictures is used up. It reopens <t:1781049600:R>."
    )


async def test_people_of_a_server_share_its_allowance(server: DiscordServer, bot: Bot) -> None:
    bot.rules = Rules(community=Limits(daily_count=12))
    async with bot.running():
        first = await server.slash("imagine", A_CAT)
        await first.pictures()
        other = await server.slash("imagine", A_CAT, user_id="43")
        message = await other.message_when(lambda message: bool(message.text))

    assert message.text == (
        "Everybody here together has 3 pictures left today, out of 12. Ask for at most 3, "
        "or come back when that allowance reopens <t:1781049600:R>."
    )


async def test_an_empty_prompt_is_refused_with_a_sentence(server: DiscordServer, bot: Bot) -> None:
    async with bot.running():
        interaction = await server.slash("imagine", {"prompt": "  "})
        message = await interaction.message_when(lambda message: bool(message.text))

    assert message.text == "The prompt is empty: say in a few words what to draw."


async def test_a_command_of_an_older_version_is_answered(server: DiscordServer, bot: Bot) -> None:
    async with bot.running():
        server.commands.append({"id": "1", "name": "paint", "options": []})
        interaction = await server.slash("paint", {})
        message = await interaction.message_when(lambda message: bool(message.text))

    assert message.text == (
        "Discord sent this command in a form that the bot does not know any more. "
        "Reload Discord (Ctrl+R) and try again."
    )


async def test_an_unexpected_failure_is_answered_without_its_details(
    server: DiscordServer, bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    async with bot.running():
        bot.service._deliveries.clear()  # pyright: ignore[reportPrivateUsage] # a bug
        interaction = await server.slash("imagine", A_CAT)
        message = await interaction.message_when(lambda message: bool(message.text))

    assert message.text == (
        "Something went wrong on the bot's side. Please try again later; "
        "its admin finds the reason in the log."
    )
    assert "nobody is registered to deliver to discord" in caplog.text


async def test_a_failed_drawing_ends_in_an_apology(server: DiscordServer, bot: Bot) -> None:
    bot.engine.errors.append(DrawingFailedError("It broke."))
    async with bot.running():
        interaction = await server.slash("imagine", A_CAT)
        message = await interaction.message_when(lambda message: "be drawn" in message.text)

    assert message.text == (
        "The pictures could not be drawn. Please try again. Nothing was taken from your allowance."
    )


async def test_an_apology_counts_down_in_discords_own_way(server: DiscordServer, bot: Bot) -> None:
    bot.engine.errors.append(EngineBusyError(90))
    async with bot.running():
        interaction = await server.slash("imagine", A_CAT)
        message = await interaction.message_when(lambda message: "Too many" in message.text)

    assert re.fullmatch(
        r"Too many pictures are waiting to be drawn just now\. Try again <t:\d+:R>\. "
        r"Nothing was taken from your allowance\.",
        message.text,
    )


async def test_a_job_that_waits_for_the_next_start_says_so_and_is_drawn_then(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine.errors.append(EngineClosedError("closed"))
    async with bot.running():
        interaction = await server.slash("imagine", A_CAT)
        waiting = await interaction.message_when(lambda message: "had to stop" in message.text)
        assert waiting.text == (
            "The bot had to stop before your pictures were done. Wait here: it carries on by "
            "itself when its admin has started it again."
        )

    async with bot.running():
        message = await interaction.pictures()

    assert message.text == A_CAT_DRAWN


# ------------------------------------------------------------------------- a bad network


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="PATCH", path=ORIGINAL, status=503),
        Fault(method="PATCH", path=ORIGINAL, kind="reset", times=2),
        Fault(method="PATCH", path=ORIGINAL, kind="commit then reset"),
    ],
    ids=["503", "reset", "commit then reset"],
)
async def test_a_result_that_failed_to_arrive_is_sent_again(
    server: DiscordServer, bot: Bot, fault: Fault
) -> None:
    times = fault.times
    async with bot.running():
        server.faults.append(fault)
        interaction = await server.slash("imagine", {**A_CAT, "pictures": 2})
        await server.until(
            lambda: len(server.requests("PATCH", ORIGINAL)) > times, 10, lambda: "not repeated"
        )
        message = await interaction.pictures()

    assert fault.times == 0
    assert len(message.gallery) == 2
    assert server.posts == []


async def test_an_acknowledgement_that_was_lost_is_repeated(
    server: DiscordServer, bot: Bot
) -> None:
    server.faults.append(Fault(method="POST", path="/callback", kind="commit then reset"))
    async with bot.running():
        interaction = await server.slash("imagine", A_CAT)
        await interaction.pictures()

    assert len(server.requests("POST", "/callback")) == 2
    assert len(bot.engine.requests) == 1


async def test_what_happened_while_the_gateway_was_away_is_not_lost(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        first = await server.slash("imagine", A_CAT)
        await first.pictures()
        await server.break_gateway()
        second = await server.slash("imagine", {"prompt": "a dog", "seed": 7})
        message = await second.pictures()

    assert message.text == "**a dog**\n-# 9 pictures, best first · seed 7 · scripted · 1 s"


# --------------------------------------------------------------- when the token has died


async def test_a_dead_token_is_tried_once_and_then_the_bot_posts_itself(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine.open.clear()
    async with bot.running():
        interaction = await server.slash("imagine", {**A_CAT, "pictures": 2})
        await interaction.message_when(shows("Drawing… 0 %"))
        server.advance(minutes=16)
        bot.engine.open.set()
        message = await server.post_when()

    assert message.text == (
        "<@42>, this took a while:\n**a cat**\n-# 2 pictures, best first · seed 7 · scripted · 1 s"
    )
    assert [alt for alt, _ in message.gallery] == ["Picture 1 of 2: a cat", "Picture 2 of 2: a cat"]
    assert message.allowed_mentions == {"parse": [], "users": [42]}
    refused = [edit for edit in server.requests("PATCH", ORIGINAL) if edit.status != 200]
    assert [edit.status for edit in refused] == [401]


async def test_a_token_known_to_be_dead_is_not_used(server: DiscordServer, bot: Bot) -> None:
    bot.ahead = timedelta(minutes=16)
    async with bot.running():
        await server.slash("imagine", A_CAT)
        await server.post_when()

    assert server.requests("PATCH", ORIGINAL) == []


@pytest.mark.parametrize("kind", ["reset", "commit then reset", "answer"])
async def test_a_post_that_seemed_lost_is_posted_once(
    server: DiscordServer, bot: Bot, kind: str
) -> None:
    bot.ahead = timedelta(minutes=16)
    server.faults.append(
        Fault(method="POST", path=POSTS, kind=kind)  # pyright: ignore[reportArgumentType] # pytest widens the literals
    )
    async with bot.running():
        await server.slash("imagine", A_CAT)

    assert len(server.requests("POST", POSTS)) == 2
    assert len(server.posts) == 1


@pytest.mark.parametrize(
    ("place", "permissions"), [("elsewhere", -1), ("guild", 1 << 10)], ids=["guest", "mute"]
)
async def test_where_the_bot_may_not_post_a_late_result_is_left_for_the_history(
    server: DiscordServer, bot: Bot, place: str, permissions: int
) -> None:
    bot.ahead = timedelta(minutes=16)
    async with bot.running():
        await server.slash(
            "imagine",
            A_CAT,
            place=place,  # pyright: ignore[reportArgumentType] # pytest widens the literals
            permissions=permissions,
        )

    assert server.requests("PATCH", ORIGINAL) == server.requests("POST", POSTS) == []
    assert await bot.allowance_left() == 81


async def test_a_channel_that_forbids_the_post_is_not_asked_again(
    server: DiscordServer, bot: Bot
) -> None:
    bot.ahead = timedelta(minutes=16)
    server.forbidden_channels.add("700000000000000001")
    async with bot.running():
        await server.slash("imagine", A_CAT)

    assert [post.status for post in server.requests("POST", POSTS)] == [403]
    assert await bot.allowance_left() == 81


async def test_a_job_is_answered_by_the_process_that_comes_after(
    server: DiscordServer, bot: Bot, tmp_path: Path
) -> None:
    bot.engine.open.clear()
    async with bot.running(grace_s=0):
        interaction = await server.slash("imagine", A_CAT)
        await interaction.message_when(shows("Drawing… 0 %"))

    async with Bot(server, tmp_path).running():
        message = await interaction.pictures()

    assert message.text == A_CAT_DRAWN


# --------------------------------------------------------------------- starting, stopping


async def test_commands_are_told_to_discord_only_when_they_changed(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        pass
    async with bot.running():
        pass

    assert server.sync_count == 1


async def test_a_wrong_token_stops_the_start_with_a_sentence(
    server: DiscordServer, bot: Bot
) -> None:
    server.token = "another.token"

    with pytest.raises(DiscordStartError) as caught:
        async with bot.running():
            pass

    assert str(caught.value) == (
        "DISCORD_TOKEN was refused by Discord: copy the bot token again from "
        "discord.com/developers, your application, Bot, Reset Token."
    )


async def test_a_refused_connection_stops_the_start_with_a_sentence(
    server: DiscordServer, bot: Bot
) -> None:
    server.close_gateway_with = 4014

    with pytest.raises(DiscordStartError) as caught:
        async with bot.running():
            pass

    assert str(caught.value) == (
        "Discord does not let this application connect: check at discord.com/developers "
        "that it is a bot and is not disabled."
    )


async def test_a_token_that_the_gateway_refuses_stops_the_start_with_a_sentence(
    server: DiscordServer, bot: Bot
) -> None:
    server.close_gateway_with = 4004

    with pytest.raises(DiscordStartError) as caught:
        async with bot.running():
            pass

    assert str(caught.value).startswith("DISCORD_TOKEN was refused by Discord")


async def test_a_discord_that_cannot_be_reached_is_tried_again_until_it_can(
    server: DiscordServer, bot: Bot
) -> None:
    server.faults.append(Fault(method="GET", path="/users/@me", status=503, times=9))
    async with bot.running() as adapter:
        assert not adapter.is_listening

        await until(lambda: adapter.is_listening)
        interaction = await server.slash("imagine", A_CAT)
        message = await interaction.pictures()

    assert message.text == A_CAT_DRAWN
    assert not adapter.is_listening


async def test_jobs_wait_for_a_discord_that_cannot_be_reached(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine.open.clear()
    async with bot.running(grace_s=0):
        interaction = await server.slash("imagine", A_CAT)
        await until(lambda: len(bot.engine.requests) == 1)
    bot.engine.open.set()
    server.faults.append(Fault(method="GET", path="/users/@me", status=503, times=9))

    async with bot.running():
        message = await interaction.pictures()

    assert message.text == A_CAT_DRAWN


async def test_a_discord_that_says_no_later_is_told_to_the_admin(
    server: DiscordServer, bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults.append(Fault(method="GET", path="/users/@me", status=503, times=5))
    async with bot.running() as adapter:
        server.token = "another.token"
        await until(lambda: "lost for good" in caplog.text)
        assert not adapter.is_listening

    assert "discord connection lost for good: DISCORD_TOKEN was refused by Discord" in caplog.text


async def test_a_connection_that_is_mended_by_itself_is_one_line_in_the_log(
    bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    async with bot.running():
        logging.getLogger("discord.client").error(  # as discord.py does for each try
            "Attempting a reconnect in %.2fs", 1.5, exc_info=ConnectionResetError()
        )

    (record,) = [record for record in caplog.records if record.name == "discord.client"]
    assert (record.levelname, record.exc_info) == ("WARNING", None)


async def test_a_discord_that_throws_the_bot_out_is_told_to_the_admin(
    server: DiscordServer, bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    async with bot.running() as adapter:
        assert adapter.is_listening
        await server.break_gateway(code=4004)
        await until(lambda: "lost for good" in caplog.text)
        assert not adapter.is_listening

    assert "discord connection lost for good: DISCORD_TOKEN was refused by Discord" in caplog.text


async def test_the_log_holds_neither_prompts_nor_tokens(
    server: DiscordServer, bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="bot")
    caplog.set_level(logging.DEBUG, logger="discord")
    server.faults.append(Fault(method="PATCH", path=ORIGINAL, status=429, retry_after_s=0.01))
    async with bot.running() as adapter:
        interaction = await server.slash("imagine", {"prompt": "a very private cat"})
        await interaction.pictures()
        described = repr(adapter)

    assert described == "<DiscordAdapter logged in>"
    assert repr(adapter) == "<DiscordAdapter not logged in>"
    for secret in ("private", interaction.token, server.token):
        assert secret not in caplog.text
