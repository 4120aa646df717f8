"""The buttons under the bot's messages, pressed at the loopback Discord."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from bot.jobs import JobId, Person, Platform
from engine.api import Drawn, Priority, Verdict
from tests.support.clock import Clock
from tests.support.discord_bot import Bot
from tests.support.discord_scene import ALL_PERMISSIONS, MANAGE_MESSAGES
from tests.support.discord_server import DiscordServer, Fault
from tests.support.scripted_engine import ScriptedEngine
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from engine.api import DrawEvent, DrawRequest
    from tests.support.discord_scene import Place
    from tests.support.discord_state import Interaction, Message

ADA, BEN = "42", "43"
THREE_CATS = {"prompt": "a cat", "pictures": 3, "seed": 7}
NOT_YOURS = (
    "Only the person who asked for these pictures, or somebody who may manage messages here, "
    "can do that."
)
GONE = "Nothing is kept of these pictures any more. Ask for new ones with the same words."


async def drawn(
    server: DiscordServer, bot: Bot, count: int = 3, *, place: Place = "guild"
) -> Message:
    """The card of pictures that Ada asked for, when they are settled, too."""
    options = {**THREE_CATS, "pictures": count}
    card = await finished(await server.slash("imagine", options, place=place))
    await until(lambda: repr(bot.service) == "<Service 0 jobs running>")
    return card


async def finished(interaction: Interaction) -> Message:
    return await interaction.message_when(lambda message: "Delete" in message.buttons)


class DoubtfulEngine(ScriptedEngine):
    """Is not sure whether the second best picture may be shown."""

    async def draw(
        self, request: DrawRequest, *, requester: str = "", priority: Priority = Priority.NORMAL
    ) -> AsyncGenerator[DrawEvent]:
        async for event in super().draw(request, requester=requester, priority=priority):
            yield _doubted(event) if isinstance(event, Drawn) else event


def _doubted(result: Drawn) -> Drawn:
    first, second, *others = result.pictures
    second = replace(second, verdict=Verdict.BORDERLINE)
    return replace(result, pictures=(first, second, *others))


def job_of(message: Message) -> JobId:
    return JobId(message.buttons["Delete"]["custom_id"].split(":")[2])


def covered(message: Message) -> set[bool]:
    return {item["spoiler"] for item in message.gallery_items}


async def forget(bot: Bot) -> None:
    """Let the pictures of all jobs be purged."""
    now = Clock()()
    assert await bot.store.purge(finished_before=now.replace(year=now.year + 1), now=now) > 0


# ------------------------------------------------------------------------ new pictures


async def test_upscaling_shows_one_picture_four_times_as_large(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        pressed = await server.click(card, "im:upscale", values=["2"], user_id=BEN)
        message = await pressed.pictures()

    ((alt, png),) = message.gallery
    assert message.text == "**a cat**\n-# picture 2, four times as large"
    assert alt == "Picture 2, four times as large: a cat"
    assert Image.open(io.BytesIO(png)).size == (64, 64)
    assert list(message.buttons) == ["Hide", "Delete"]
    assert message.id != card.id


async def test_variations_are_drawn_for_the_person_who_asks_and_keep_a_part_of_the_picture(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        pressed = await server.click(card, "im:variations", values=["3"], user_id=BEN)
        await finished(pressed)
        varied = await bot.studio.history(Person(platform=Platform.DISCORD, id=BEN))

    (past,) = varied
    request = bot.engine.requests[-1]
    assert request.keep == (0,) * 24  # rank 3 is candidate 0 of the scripted engine
    assert request.seed != 7
    assert request.picture_count == 3
    assert past.job.submission.origin == job_of(card)
    assert len(server.interactions) == 2


async def test_redrawing_draws_the_same_words_with_another_seed(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        pressed = await server.click(card, "Redraw")
        message = await finished(pressed)

    first, second = bot.engine.requests
    assert (second.prompt, second.picture_count) == ("a cat", 3)
    assert second.seed != first.seed
    assert message.text.startswith("**a cat**\n-# 3 pictures, best first · seed ")


async def test_remixing_asks_for_other_words_beginning_with_the_old_ones(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        pressed = await server.click(card, "Remix", user_id=BEN)
        prompt, count = [part["component"] for part in pressed.modal["components"]]
        sent = await server.submit(
            pressed, {"What to draw": "a cat in a hat", "How many pictures": ["2"]}
        )
        message = await finished(sent)

    assert (prompt["value"], prompt["max_length"]) == ("a cat", 1_000)
    assert [option["value"] for option in count["options"] if option.get("default")] == ["3"]
    assert message.text.startswith("**a cat in a hat**\n-# 2 pictures, best first · seed ")
    assert len(message.gallery) == 2
    assert message.id != card.id


async def test_a_remix_that_cannot_be_drawn_is_refused_with_a_sentence(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        pressed = await server.click(card, "Remix")
        sent = await server.submit(pressed, {"What to draw": "  "})
        message = await sent.said()

    assert message.text == "The prompt is empty: say in a few words what to draw."


async def test_new_pictures_are_paid_by_the_person_who_presses(
    server: DiscordServer, bot: Bot
) -> None:
    bot.daily_pictures = 3
    async with bot.running():
        card = await drawn(server, bot)
        refused = await server.click(card, "Redraw", user_id=ADA)
        sentence = await refused.said()
        allowed = await server.click(card, "Redraw", user_id=BEN)
        await finished(allowed)

    assert sentence.text.startswith("Today's allowance of 3 pictures is used up. It reopens <t:")


async def test_somebody_who_is_blocked_gets_nothing_larger(server: DiscordServer, bot: Bot) -> None:
    async with bot.running():
        card = await drawn(server, bot, 1)
        ben = Person(platform=Platform.DISCORD, id=BEN)
        await bot.desk.block(ben, community=None, until=None, reason="spam", by="test")
        pressed = await server.click(card, "Upscale", user_id=BEN)
        message = await pressed.said()

    assert message.text == "An admin has blocked you from asking this bot for pictures."


async def test_an_upscaling_is_one_at_a_time_for_each_person(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running() as adapter:
        card = await drawn(server, bot, 1)
        acts = adapter._presses._acts  # pyright: ignore[reportPrivateUsage] # to hold one open
        with acts._only_one_for(int(ADA)):  # pyright: ignore[reportPrivateUsage] # as above
            pressed = await server.click(card, "Upscale")
            message = await pressed.said()
        again = await server.click(card, "Upscale")
        await again.pictures()

    assert message.text == ("Your last upscaling is still under way. Try again when it is done.")


# ------------------------------------------------------------------------ old pictures


async def test_saving_sends_the_pictures_in_private(server: DiscordServer, bot: Bot) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        pressed = await server.click(card, "Save to DM", user_id=BEN)
        told = await pressed.said()
        saved = await server.post_when()

    assert told.text == "Sent: look into your direct messages."
    assert told.is_ephemeral
    assert saved.text == "**a cat**\n-# 3 pictures, best first · seed 7"
    assert [png for _, png in saved.gallery] == [png for _, png in card.gallery]
    assert server.world.dm_partner(saved.channel_id) == BEN


async def test_who_takes_no_messages_is_told_how_to(server: DiscordServer, bot: Bot) -> None:
    server.closed_dms.add(ADA)
    async with bot.running():
        card = await drawn(server, bot)
        pressed = await server.click(card, "Save to DM")
        told = await pressed.said()

    assert told.text == (
        "I may not write to you. Allow direct messages from members of this server in its "
        "privacy settings, then press again."
    )


async def test_pictures_that_are_purged_cannot_be_had_again(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        await forget(bot)
        said = [
            (await (await server.click(card, name, values=values)).said()).text
            for name, values in [
                ("im:upscale", ["1"]),
                ("im:variations", ["1"]),
                ("Redraw", []),
                ("Remix", []),
                ("Save to DM", []),
            ]
        ]

    assert said == [GONE] * 5


# ------------------------------------------------------------------------ the message


@pytest.mark.parametrize(
    ("user_id", "permissions"),
    [(ADA, ALL_PERMISSIONS), (BEN, ALL_PERMISSIONS | MANAGE_MESSAGES)],
    ids=["who asked", "who keeps order"],
)
async def test_pictures_can_be_hidden_and_shown_again(
    server: DiscordServer, bot: Bot, user_id: str, permissions: int
) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        gallery, text = card.gallery, card.text
        assert covered(card) == {False}

        await server.click(card, "Hide", user_id=user_id, member_permissions=permissions)
        await server.until(lambda: "Show" in card.buttons, 10, str)
        assert covered(card) == {True}
        assert (card.gallery, card.text) == (gallery, text)

        await server.click(card, "Show", user_id=user_id, member_permissions=permissions)
        await server.until(lambda: "Hide" in card.buttons, 10, str)
        assert covered(card) == {False}
        assert (card.gallery, card.text) == (gallery, text)


async def test_what_the_picture_check_doubts_stays_covered_when_the_others_are_shown(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine = DoubtfulEngine()
    async with bot.running():
        card = await drawn(server, bot)
        assert [item["spoiler"] for item in card.gallery_items] == [False, True, False]
        await server.click(card, "Show")
        await server.until(lambda: "Hide" in card.buttons, 10, str)
        shown = [item["spoiler"] for item in card.gallery_items]
        await server.click(card, "Hide")
        await server.until(lambda: "Show" in card.buttons, 10, str)
        hidden = [item["spoiler"] for item in card.gallery_items]
        large = await (await server.click(card, "im:upscale", values=["2"])).pictures()

    assert (shown, hidden) == ([False, True, False], [True] * 3)
    assert covered(large) == {True}


async def test_pictures_of_which_nothing_is_kept_can_be_hidden_but_not_shown(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        await forget(bot)
        await server.click(card, "Hide")
        await server.until(lambda: "Show" in card.buttons, 10, str)
        pressed = await server.click(card, "Show")
        told = await pressed.followup_when()

    assert told.text == GONE
    assert covered(card) == {True}


async def test_a_message_can_be_deleted_by_who_asked_for_it(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        await server.click(card, "Delete")
        await server.until(lambda: card.is_deleted, 10, str)


@pytest.mark.parametrize("name", ["Hide", "Delete"])
async def test_a_message_stays_as_it_is_for_everybody_else(
    server: DiscordServer, bot: Bot, name: str
) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        pressed = await server.click(card, name, user_id=BEN)
        told = await pressed.followup_when()

    assert told.text == NOT_YOURS
    assert told.is_ephemeral
    assert not card.is_deleted
    assert covered(card) == {False}


async def test_who_upscaled_a_picture_of_another_may_delete_what_came_of_it(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        card = await drawn(server, bot, 1)
        pressed = await server.click(card, "Upscale", user_id=BEN)
        large = await pressed.pictures()
        await server.click(large, "Delete", user_id=BEN)
        await server.until(lambda: large.is_deleted, 10, str)

    assert not card.is_deleted


async def test_a_message_can_be_deleted_when_nothing_is_kept_of_its_pictures(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        await forget(bot)
        await server.click(card, "Delete")
        await server.until(lambda: card.is_deleted, 10, str)


async def test_a_message_that_was_changed_too_often_is_left_alone_with_a_sentence(
    server: DiscordServer, bot: Bot
) -> None:
    server.faults.append(
        Fault(
            method="PATCH", path="/messages/@original", status=429, code=30046,
            retry_after_s=0.01, times=5, skip=2,
        )
    )  # fmt: skip
    async with bot.running():
        card = await drawn(server, bot)
        pressed = await server.click(card, "Hide")
        told = await pressed.followup_when()

    assert told.text == (
        "Discord does not let this message be changed just now, as with old messages that "
        "change often. Try again later."
    )


# ------------------------------------------------------------------- reports, cancelling


async def test_a_report_reaches_the_admins_with_its_reason(server: DiscordServer, bot: Bot) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        pressed = await server.click(card, "Report", user_id=BEN)
        sent = await server.submit(pressed, {"What is wrong with these pictures?": "too many cats"})
        told = await sent.said()
        (report,) = await bot.desk.reports()

    assert told.is_ephemeral
    assert told.text == "Thank you. The people who look after this bot will see your report."
    assert (report.job_id, report.reason) == (job_of(card), "too many cats")


async def test_a_request_can_be_cancelled_while_it_is_not_done(
    server: DiscordServer, bot: Bot
) -> None:
    bot.engine.open.clear()
    async with bot.running():
        asked = await server.slash("imagine", THREE_CATS)
        message = await asked.message_when(lambda m: "Cancel" in m.buttons)
        refused = await server.click(message, "Cancel", user_id=BEN)
        told = await refused.followup_when()
        await server.click(message, "Cancel")
        await asked.message_when(lambda m: m.text.startswith("Cancelled"))
        bot.engine.open.set()

    assert told.text == (
        "There is nothing to cancel: the pictures are done or on their way, or the request is "
        "not yours."
    )
    assert message.text == "Cancelled. Nothing was taken from your allowance."
    assert not message.buttons
    assert await bot.allowance_left() == 90


# -------------------------------------------------------------------------- for ever


async def test_buttons_work_after_a_restart_on_messages_of_before(
    server: DiscordServer, bot: Bot, tmp_path: Path
) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        pressed = await server.click(card, "Remix")
    async with Bot(server, tmp_path).running():
        redrawn = await finished(await server.click(card, "Redraw"))
        sent = await server.submit(pressed, {"What to draw": "a dog"})
        remixed = await finished(sent)
        await server.click(card, "Delete")
        await server.until(lambda: card.is_deleted, 10, str)

    assert redrawn.text.startswith("**a cat**\n-# 3 pictures")
    assert remixed.text.startswith("**a dog**\n-# 3 pictures")


async def test_nothing_is_kept_in_memory_for_a_message(server: DiscordServer, bot: Bot) -> None:
    async with bot.running() as adapter:
        card = await drawn(server, bot)
        await server.click(card, "Hide")
        await server.until(lambda: "Show" in card.buttons, 10, str)
        await server.click(card, "Remix")
        client = adapter._client  # pyright: ignore[reportPrivateUsage] # to look into discord.py
        views = client._connection._view_store  # pyright: ignore[reportPrivateUsage] # as above
        kept = views._views, views._synced_message_views, views._modals  # pyright: ignore[reportPrivateUsage] # as above

    assert [len(each) for each in kept] == [0, 0, 0]


async def test_a_button_of_another_version_is_answered(server: DiscordServer, bot: Bot) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        card.buttons["Redraw"]["custom_id"] = f"im:repaint:{job_of(card)}:0"
        pressed = await server.click(card, "im:repaint")
        told = await pressed.said()

    assert told.text == "This button is from another version of the bot. Use /imagine again."


async def test_a_second_dispatch_of_a_press_draws_nothing_twice(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        pressed = await server.click(card, "Redraw")
        await finished(pressed)
        await server.dispatch(pressed)
        await server.until(lambda: len(server.requests("POST", "/callback")) == 3, 10, str)

    assert len(bot.engine.requests) == 2


async def test_a_bug_behind_a_button_is_answered_without_its_details(
    server: DiscordServer, bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    async with bot.running():
        card = await drawn(server, bot)
        bot.service._deliveries.clear()  # pyright: ignore[reportPrivateUsage] # a bug
        pressed = await server.click(card, "Redraw")
        told = await pressed.said()

    assert told.text == (
        "Something went wrong on the bot's side. Please try again later; its admin finds the "
        "reason in the log."
    )
    assert "nobody is registered to deliver to discord" in caplog.text


async def test_buttons_work_where_only_a_person_has_installed_the_bot(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        card = await drawn(server, bot, 1, place="elsewhere")
        await server.click(card, "Hide")
        await server.until(lambda: "Show" in card.buttons, 10, str)
        large = await (await server.click(card, "Upscale")).pictures()
        await server.click(card, "Delete")
        await server.until(lambda: card.is_deleted, 10, str)

    assert len(large.gallery) == 1
    assert server.requests("DELETE", "/channels/*") == []
