"""How results reach people on the loopback Discord when the usual way is barred or broken."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.desk import Profile
from bot.discord.address import address_from
from bot.discord.cards import text_card
from bot.discord.errors import ClosedError, TokenGoneError, TooBigError
from bot.jobs import DeliveryError, Person, Platform, UndeliverableError
from engine.api import DrawingFailedError
from tests.support.discord_server import DiscordServer, Fault
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from bot.discord.address import Address
    from bot.discord.mail import Mail
    from bot.store import Past
    from tests.support.discord_bot import Bot

ADA = Person(platform=Platform.DISCORD, id="42")
A_CAT = {"prompt": "a cat", "pictures": 2, "seed": 7}
ORIGINAL = "/messages/@original"
CHANNEL_ID = 700_000_000_000_000_001


def live_in(bot: Bot, server: DiscordServer, minutes: float) -> None:
    """Let that much time pass for the bot and for Discord."""
    bot.ahead += timedelta(minutes=minutes)
    server.advance(minutes=minutes)


async def done(bot: Bot) -> Past:
    """Wait until a job was begun and none is under way, and return the newest of Ada's."""
    await until(lambda: bool(bot.engine.requests))
    await until(lambda: repr(bot.service) == "<Service 0 jobs running>")
    (past,) = await bot.studio.history(ADA, limit=1)
    return past


# --------------------------------------------------------------- when the token has died


async def test_shortly_before_the_token_dies_the_answer_says_what_comes_instead(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine.open.clear()
    bot.ahead = timedelta(minutes=13, seconds=31)
    async with bot.running():
        asked = await server.slash("imagine", A_CAT)
        message = await asked.message_when(lambda m: "longer" in m.text)
        text = message.text
        bot.engine.open.set()
        await done(bot)

    assert text == (
        "This takes longer than Discord lets me change this message. Your pictures will come "
        "as a new message."
    )
    assert message.text.startswith("**a cat**")  # it was done in the last half minute


async def test_a_late_result_is_posted_in_the_channel_with_all_its_buttons(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine.open.clear()
    async with bot.running():
        asked = await server.slash("imagine", A_CAT)
        await asked.message_when(lambda m: m.text == "Drawing… 0 %")
        live_in(bot, server, minutes=14.5)
        bot.engine.open.set()
        message = await server.post_when()
        await done(bot)
        again = await server.click(message, "Redraw")
        await again.pictures()

    assert message.text.startswith("<@42>, this took a while:\n**a cat**\n-# 2 pictures")
    assert message.allowed_mentions == {"parse": [], "users": [42]}
    assert message.nonce is not None
    assert [edit.status for edit in server.requests("PATCH", f"{asked.token}{ORIGINAL}")] == [200]


@pytest.mark.parametrize(
    ("place", "forbidden"),
    [("elsewhere", set[str]()), ("guild", {str(CHANNEL_ID)})],
    ids=["guest", "forbidden"],
)
async def test_where_the_bot_may_not_post_a_late_result_comes_in_private_if_that_is_allowed(
    server: DiscordServer, bot: Bot, place: Any, forbidden: set[str]
) -> None:
    server.forbidden_channels.update(forbidden)
    bot.ahead = timedelta(minutes=16)
    async with bot.running():
        await bot.desk.set_profile(ADA, Profile(may_dm=True))
        await server.slash("imagine", A_CAT, place=place)
        message = await server.post_when()
        past = await done(bot)

    assert server.world.dm_partner(message.channel_id) == "42"
    assert message.text.startswith("You asked for this where I may not post:\n**a cat**")
    assert len(past.pictures) == 2


@pytest.mark.parametrize(
    "profile", [Profile(may_dm=False), Profile(may_dm=True)], ids=["not allowed", "not possible"]
)
async def test_a_late_result_that_has_no_other_way_is_left_for_the_history(
    server: DiscordServer, bot: Bot, profile: Profile
) -> None:
    bot.ahead = timedelta(minutes=16)
    server.closed_dms.add("42")
    async with bot.running():
        await bot.desk.set_profile(ADA, profile)
        await server.slash("imagine", A_CAT, place="elsewhere")
        past = await done(bot)

    assert server.posts == []
    assert past.job.state == "delivered"
    assert len(past.pictures) == 2
    assert await bot.allowance_left() == 88


async def test_who_brought_the_bot_along_fetches_a_late_result_with_a_button(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine.open.clear()
    bot.ahead = timedelta(minutes=13, seconds=31)
    async with bot.running():
        asked = await server.slash("imagine", A_CAT, place="elsewhere")
        message = await asked.message_when(lambda m: "Show the pictures" in m.buttons)
        live_in(bot, server, minutes=2)
        server.advance(minutes=13, seconds=31)  # Discord's clock is right again
        early = await server.click(message, "Show the pictures")
        told = await early.followup_when()
        bot.engine.open.set()
        await done(bot)
        stranger = await server.click(message, "Show the pictures", user_id="43")
        refused = await stranger.followup_when()
        await server.click(message, "Show the pictures")
        await server.until(lambda: len(message.gallery) == 2, 10, str)

    assert told.text == "The pictures are not done yet. Try again in a while."
    assert refused.text.startswith("Only the person who asked")
    assert message.text == "**a cat**\n-# 2 pictures, best first · seed 7"
    assert server.posts == []


async def test_a_token_that_was_refused_is_not_tried_again_when_the_post_fails_for_now(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine.open.clear()
    async with bot.running():
        asked = await server.slash("imagine", A_CAT)
        await asked.message_when(lambda m: m.text == "Drawing… 0 %")
        server.advance(minutes=16)  # and the bot's clock is wrong
        server.faults.append(Fault(method="POST", path="/channels/*/messages", times=5))
        bot.engine.open.set()
        await server.post_when()
        await done(bot)

    edits = server.requests("PATCH", f"{asked.token}{ORIGINAL}")
    assert [edit.status for edit in edits].count(401) == 1
    assert len(server.posts) == 1


async def test_a_result_whose_message_was_deleted_is_left_for_the_history(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine.open.clear()
    async with bot.running():
        asked = await server.slash("imagine", A_CAT)
        message = await asked.message_when(lambda m: m.text == "Drawing… 0 %")
        server.delete(message)
        bot.engine.open.set()
        past = await done(bot)

    assert server.posts == []
    assert len(past.pictures) == 2


@pytest.mark.parametrize("outcome_text", ["pictures", "an apology"])
async def test_what_arrived_although_nobody_learned_so_is_not_sent_again_in_another_way(
    server: DiscordServer, bot: Bot, outcome_text: str
) -> None:
    bot.config = replace(bot.config, progress_interval_s=3_600)
    bot.engine.open.clear()
    if outcome_text == "an apology":
        bot.engine.errors.append(DrawingFailedError("It broke."))
    async with bot.running():
        asked = await server.slash("imagine", A_CAT)
        message = await asked.message_when(lambda m: bool(m.text))
        server.faults.append(
            Fault(
                method="PATCH",
                path=ORIGINAL,
                kind="commit then reset",
                also=lambda: live_in(bot, server, minutes=16),
            )
        )
        bot.engine.open.set()
        await done(bot)

    assert ("could not be drawn" in message.text) == (outcome_text == "an apology")
    assert server.posts == []
    reads = server.requests("GET", f"/channels/{CHANNEL_ID}/messages/{message.id}")
    assert [read.status for read in reads] == [200]


async def test_a_dead_token_whose_message_shows_no_result_leads_to_a_post(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine.open.clear()
    async with bot.running():
        asked = await server.slash("imagine", A_CAT)
        await asked.message_when(lambda m: m.text == "Drawing… 0 %")
        server.advance(minutes=16)
        bot.engine.open.set()
        await server.post_when()
        await done(bot)

    assert len(server.posts) == 1


# ----------------------------------------------------------- the table in bot.discord.errors

ROWS: dict[str, tuple[dict[str, Any], int, type[DeliveryError] | None]] = {
    # what goes wrong once: the fault, requests in all, what is raised in the end
    "429 of Discord": ({"status": 429, "retry_after_s": 0.01}, 2, None),
    "429 of another": ({"status": 429, "is_cloudflare": True}, 1, DeliveryError),
    "500": ({"status": 500}, 2, None),
    "502": ({"status": 502}, 2, None),
    "503": ({"status": 503}, 2, None),
    "504": ({"status": 504}, 2, None),
    "524": ({"status": 524}, 2, None),
    "reset": ({"kind": "reset"}, 2, None),
    "close": ({"kind": "close"}, 2, None),
    "400": ({"status": 400, "code": 50035}, 1, UndeliverableError),
    "401": ({"status": 401}, 1, DeliveryError),
    "dead token": ({"status": 401, "code": 50027}, 1, TokenGoneError),
    "unknown webhook": ({"status": 404, "code": 10015}, 1, TokenGoneError),
    "forbidden": ({"status": 403, "code": 50013}, 1, ClosedError),
    "gone": ({"status": 404, "code": 10008}, 1, ClosedError),
    "too big": ({"status": 413, "code": 40005}, 1, TooBigError),
}


async def outcome(sending: Awaitable[None]) -> type[Exception] | None:
    try:
        await sending
    except DeliveryError as error:
        return type(error)
    return None


def mail_of(adapter: Any) -> Mail:
    return adapter.delivery.mail


async def addresses(server: DiscordServer, bot: Bot, count: int) -> list[Address]:
    """The answers of so many interactions, all of them done."""
    for _ in range(count):
        await server.slash("imagine", {**A_CAT, "pictures": 1})
    await until(lambda: len(bot.engine.requests) == count)
    await done(bot)
    return [
        address_from(past.job.submission.address)
        for past in await bot.studio.history(ADA, limit=count)
    ]


async def test_edits_outlast_what_is_worth_repeating_and_nothing_else(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running() as adapter:
        answers = await addresses(server, bot, len(ROWS))
        server.journal.clear()
        for answer, (fault, _, _) in zip(answers, ROWS.values(), strict=True):
            server.faults.append(Fault(method="PATCH", path=f"{answer.token}{ORIGINAL}", **fault))
        outcomes = await asyncio.gather(
            *(outcome(mail_of(adapter).edit(a, lambda: (text_card("hi"), []))) for a in answers)
        )

    counts = [len(server.requests("PATCH", f"{answer.token}{ORIGINAL}")) for answer in answers]
    assert dict(zip(ROWS, zip(counts, outcomes, strict=True), strict=True)) == {
        name: (count, kind) for name, (_, count, kind) in ROWS.items()
    }


async def test_posts_outlast_what_is_worth_repeating_and_nothing_else(
    server: DiscordServer, bot: Bot
) -> None:
    channels = range(CHANNEL_ID + 100, CHANNEL_ID + 100 + len(ROWS))
    async with bot.running() as adapter:
        for channel, (fault, _, _) in zip(channels, ROWS.values(), strict=True):
            server.faults.append(
                Fault(method="POST", path=f"/channels/{channel}/messages", **fault)
            )
        outcomes = await asyncio.gather(
            *(
                outcome(
                    mail_of(adapter).post(
                        channel, 42, lambda: (text_card("hi"), []), nonce=f"n{channel}"
                    )
                )
                for channel in channels
            )
        )

    counts = [len(server.requests("POST", f"/channels/{channel}/messages")) for channel in channels]
    assert dict(zip(ROWS, zip(counts, outcomes, strict=True), strict=True)) == {
        name: (count, kind) for name, (_, count, kind) in ROWS.items()
    }
    delivered = sum(kind is None for _, _, kind in ROWS.values())
    assert len(server.posts) == delivered


async def test_a_post_that_arrived_although_its_answer_was_lost_is_not_posted_again(
    server: DiscordServer, bot: Bot
) -> None:
    bot.ahead = timedelta(minutes=16)
    server.faults.append(
        Fault(method="POST", path="/channels/*/messages", kind="commit then reset", times=2)
    )
    async with bot.running():
        await server.slash("imagine", A_CAT)
        await server.post_when()
        await done(bot)

    assert len(server.requests("POST", "/channels/*/messages")) == 3
    assert len(server.posts) == 1
