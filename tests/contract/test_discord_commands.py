"""The commands with the real discord.py, as people use them at the loopback Discord."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from bot.desk import CommunityRules, Profile
from bot.jobs import Person, Platform
from bot.store import Limits, Rules, Tier
from engine.api import SamplingOptions
from engine.pictures import PictureInfo, encode_png, encode_webp
from tests.support.discord_scene import CHANNEL_ID, GUILD_ID
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.discord_bot import Bot
    from tests.support.discord_server import DiscordServer
    from tests.support.discord_state import Interaction, Message

ADA = Person(platform=Platform.DISCORD, id="42")
BEA = Person(platform=Platform.DISCORD, id="43")
MANAGE_SERVER = 1 << 5
A_CAT = {"prompt": "a cat", "pictures": 1, "seed": 7}


async def answer(asked: Interaction) -> Message:
    """Wait for the answer that only the person sees."""
    message = await asked.message_when(lambda message: bool(message.text))
    assert message.is_ephemeral
    return message


async def drawn(server: DiscordServer, **options: object) -> Interaction:
    """Ask for pictures and wait for them and for their being settled."""
    asked = await server.slash("imagine", {**A_CAT, **options})
    await asked.pictures()
    return asked


async def settled(bot: Bot, count: int) -> None:
    """Wait until that many jobs of Ada's are in her history with their pictures."""

    async def is_so() -> bool:
        found = await bot.studio.history(ADA, limit=100)
        return sum(bool(past.pictures) for past in found) == count

    while not await is_so():
        await until(lambda: True)


# ------------------------------------------------------------------------------- imagine


async def test_imagine_adds_the_words_of_a_style_and_keeps_the_options(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        asked = await drawn(
            server,
            style="pixels",
            temperature=0.5,
            top_k=5,
            top_p=0.9,
            condition_scale=3.0,
        )

    [request] = bot.engine.requests
    assert asked.message is not None
    assert asked.message.text.startswith("**a cat, pixel art**\n")
    assert request.options == SamplingOptions(
        temperature=0.5, top_k=5, top_p=0.9, condition_scale=3.0
    )


async def test_what_a_request_leaves_open_is_as_the_person_prefers(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        await bot.desk.set_profile(ADA, Profile(picture_count=2, style="oil"))
        await (await server.slash("imagine", {"prompt": "a cat"})).pictures()
        await (await server.slash("imagine", {"prompt": "a dog", "style": "none"})).pictures()

    first, second = bot.engine.requests
    assert (first.picture_count, first.prompt) == (
        2,
        "a cat, an oil painting with thick brush strokes",
    )
    assert second.prompt == "a dog"


async def test_a_prompt_of_blanks_is_refused_in_the_language_of_the_person(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        asked = await server.slash("imagine", {"prompt": "  "}, locale="fr")
        message = await asked.message_when(lambda message: bool(message.text))

    assert message.text == (
        "La description est vide : dites en quelques mots ce qu'il faut dessiner."
    )


@pytest.mark.parametrize(
    ("locale", "profile", "rules", "sentence"),
    [
        ("de", None, None, "Der Bot startet gerade neu und nimmt nichts an."),
        ("de", "ja", None, "ボットは再起動中で、今は依頼を受けません。"),
        ("de", "ja", "uk", "Бот перезапускається"),
        ("sv-SE", None, None, "The bot is restarting and takes no requests just now."),
    ],
)
async def test_a_bot_that_stops_says_so_in_the_language_of_the_place(  # noqa: PLR0917 - parameters of pytest
    server: DiscordServer,
    bot: Bot,
    locale: str,
    profile: str | None,
    rules: str | None,
    sentence: str,
) -> None:
    async with bot.running():
        await bot.desk.set_profile(ADA, Profile(language=profile))
        chosen = CommunityRules(language=rules)
        await bot.desk.set_community(Platform.DISCORD, GUILD_ID, chosen, by="test")
        await bot.service.close(0)
        asked = await server.slash("imagine", A_CAT, locale=locale)
        message = await asked.message_when(lambda message: bool(message.text))

    assert message.text.startswith(sentence)


# ------------------------------------------------------------------- one's own affairs


async def test_the_quota_tells_what_is_left_to_those_with_a_role(
    server: DiscordServer, bot: Bot
) -> None:
    gold = Tier(person=Limits(daily_count=900, jobs_count=5), community=Limits())
    bot.rules = Rules(person=Limits(daily_count=90), tiers={"gold": gold})
    bot.tiers = {"gold": gold.person}
    async with bot.running():
        rules = CommunityRules(role_tiers={"77": "gold"})
        await bot.desk.set_community(Platform.DISCORD, GUILD_ID, rules, by="test")
        with_role = await answer(await server.slash("quota", {}, member_roles=("77", "78")))
        without = await answer(await server.slash("quota", {}, member_roles=("78",)))

    assert "**900** pictures left" in with_role.text
    assert without.text.startswith("**90** pictures left for you today")


async def test_the_queue_tells_of_everybody_and_of_oneself(server: DiscordServer, bot: Bot) -> None:
    async with bot.running():
        empty = await answer(await server.slash("queue", {}))
        bot.engine.open.clear()
        await server.slash("imagine", A_CAT)
        await server.slash("imagine", {**A_CAT, "prompt": "a dog"}, user_id="43")
        await until(lambda: len(bot.engine.requests) == 2)
        full = await answer(await server.slash("queue", {}))
        bot.engine.open.set()

    assert empty.text == "Nothing waits, and nothing is being drawn."
    assert "2 are being drawn." in full.text
    assert "- **a cat** · being drawn · <t:" in full.text
    assert "a dog" not in full.text


async def test_the_only_request_is_cancelled_without_naming_it(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        nothing = await answer(await server.slash("cancel", {}))
        bot.engine.open.clear()
        asked = await server.slash("imagine", A_CAT)
        await until(lambda: bool(bot.engine.requests))
        done = await answer(await server.slash("cancel", {}))
        await asked.message_when(lambda message: message.text.startswith("Cancelled"))
        bot.engine.open.set()

    assert nothing.text == "You have no request that waits or is being drawn."
    assert done.text == "Cancelled: **a cat**. Nothing was taken from your allowance."
    assert await bot.allowance_left() == 90


async def test_of_several_requests_one_is_chosen_from_those_of_the_person(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        bot.engine.open.clear()
        await server.slash("imagine", A_CAT)
        await server.slash("imagine", {**A_CAT, "prompt": "a *dog*"})
        await server.slash("imagine", {**A_CAT, "prompt": "a bird"}, user_id="43")
        await until(lambda: len(bot.engine.requests) == 3)
        which = await answer(await server.slash("cancel", {}))
        all_ = await server.autocomplete("cancel", {"request": ""}, "request")
        [dog] = await server.autocomplete("cancel", {"request": "DOG"}, "request")
        done = await answer(await server.slash("cancel", {"request": dog["value"]}))
        [bird] = await server.autocomplete("cancel", {"request": ""}, "request", user_id="43")
        foreign = await answer(await server.slash("cancel", {"request": bird["value"]}))
        bot.engine.open.set()

    assert which.text == "You have several requests: choose one of them with /cancel."
    assert {choice["name"] for choice in all_} == {"a cat", "a *dog*"}
    assert done.text.startswith(r"Cancelled: **a \*dog\***.")
    assert foreign.text.startswith("There is nothing to cancel")


async def test_settings_are_kept_and_told_in_the_language_that_they_choose(
    server: DiscordServer, bot: Bot
) -> None:
    chosen = {"pictures": 4, "style": "clay", "language": "de", "direct_messages": True}
    async with bot.running():
        told = await answer(await server.slash("settings", chosen))
        profile = await bot.desk.profile(ADA)
        forgotten = await answer(await server.slash("settings", {"reset": True}))
        after = await bot.desk.profile(ADA)

    assert told.text == (
        "**Deine Einstellungen**\nBilder: 4\nStil: Knetfigur\nSprache: Deutsch\n"
        "Direktnachrichten, wo nötig: ja\nBilder zuerst verdeckt: nein"
    )
    assert profile == Profile(picture_count=4, style="clay", language="de", may_dm=True)
    assert forgotten.text.startswith("**Your settings**\nPictures: as usual")
    assert after == Profile()


# --------------------------------------------------------------------- what was before


async def test_the_history_is_turned_page_by_page_also_after_a_restart(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        for number in range(7):
            await drawn(server, prompt=f"cat {number}")
        await settled(bot, 7)
        page = await answer(await server.slash("history", {}))
        newest = page.text
    async with bot.running():
        await server.click(page, "Older")
        await server.world.until(lambda: page.text != newest, 10.0, lambda: page.text)
        older = page.text
        await server.click(page, "Newest")
        await server.world.until(lambda: page.text != older, 10.0, lambda: page.text)
        again = page.text

    seen = [{n for n in range(7) if f"cat {n}" in text} for text in (newest, older)]
    assert [len(numbers) for numbers in seen] == [5, 2]
    assert seen[0] | seen[1] == set(range(7))
    assert again == newest
    assert newest.startswith("**cat ")
    assert "1 picture · seed 7" in newest


async def test_what_is_in_the_history_is_shown_again_to_its_person_only(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        await drawn(server)
        await settled(bot, 1)
        [choice] = await server.autocomplete("show", {"request": "cat"}, "request")
        hidden = await server.slash("show", {"request": choice["value"]})
        alone = await hidden.pictures()
        shown = await server.slash("show", {"request": choice["value"], "public": True})
        public = await shown.pictures()
        nobodys = await server.slash("show", {"request": choice["value"]}, user_id="43")
        refused = await answer(nobodys)
        page = await answer(await server.slash("history", {}))
        clicked = await server.click(page, "Show")
        from_page = await clicked.pictures()

    assert (alone.is_ephemeral, public.is_ephemeral, from_page.is_ephemeral) == (True, False, True)
    assert alone.gallery == public.gallery == from_page.gallery
    assert refused.text.startswith("Nothing is kept of these pictures any more.")


# ----------------------------------------------------------------------------- privacy


async def test_everything_is_handed_over_as_a_file_and_deleted_after_a_question(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        await drawn(server)
        await settled(bot, 1)
        told = await answer(await server.slash("privacy show", {}))
        export = await answer(await server.slash("privacy export", {}))
        question = await answer(await server.slash("privacy delete", {}))
        asked_back = question.text
        still_there = await bot.studio.history(ADA)
        await server.click(question, "Delete everything")
        await server.world.until(lambda: "Deleted" in question.text, 10.0, lambda: question.text)
        left = await bot.studio.history(ADA)

    [file] = export.attachments
    assert "What is kept about you" in told.text
    assert file.filename == "imagine-export.json"
    assert "a cat" in json.dumps(json.loads(file.data))
    assert "Delete everything that is kept about you?" in asked_back
    assert (len(still_there), left) == (1, [])
    assert question.text == "Deleted, with 1 request."


# ------------------------------------------------------------------------------- menus


async def test_the_words_of_a_message_are_drawn_from_its_menu(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        asked = await server.menu("Imagine this", server.say("a green\n**hill**"))
        message = await asked.pictures()
        silent = await server.menu("Imagine this", server.say(""))
        nothing = await silent.message_when(lambda message: bool(message.text))
        long = await server.menu("Imagine this", server.say("a" * 1_200))
        too_long = await long.message_when(lambda message: bool(message.text))

    assert message.text.startswith(r"**a green \*\*hill\*\***")
    assert [request.prompt for request in bot.engine.requests] == ["a green **hill**"]
    assert nothing.text == "There are no words in this message that could be drawn."
    assert too_long.text.startswith("This message is too long for a prompt: at most 9")


async def test_what_a_picture_file_says_of_itself_is_read_back(
    server: DiscordServer, bot: Bot
) -> None:
    pixels = np.zeros((64, 64, 3), dtype=np.uint8)
    info = PictureInfo(
        prompt="a <@1> cat",
        seed=4_294_967_295,
        index=2,
        options=SamplingOptions(top_k=9),
        model="mini",
    )
    plain_file = io.BytesIO()
    Image.fromarray(pixels).save(plain_file, "PNG")
    files = {
        "one.png": encode_png(pixels, info),
        "two.webp": encode_webp(pixels, info),
        "three.png": plain_file.getvalue(),
    }
    async with bot.running():
        asked = await server.menu("Picture info", server.say("look", attachments=files))
        told = await answer(asked)
        none = await answer(await server.menu("Picture info", server.say("look")))

    said = "**a \\<\\@1\\> cat**\n-# candidate 3 · seed 4294967295 · mini · top_k 9"
    assert told.text == (
        f"one.png\n{said}\n\ntwo.webp\n{said}\n\nthree.png\nThis file does not say how it was made."
    )
    assert none.text == "There is no picture file in this message."


async def test_pictures_are_reported_from_the_menu_of_their_message(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        asked = await drawn(server)
        await settled(bot, 1)
        assert asked.message is not None
        opened = await server.menu("Report picture", asked.message, user_id="43")
        sent = await server.submit(
            opened, {"What is wrong with these pictures?": "not a cat"}, user_id="43"
        )
        thanks = await answer(sent)
        other = await server.menu("Report picture", server.say("a cat"))
        not_ours = await answer(other)
        [report] = await bot.desk.reports()

    assert (report.person, report.reason) == (BEA, "not a cat")
    assert thanks.text.startswith("Thank you.")
    assert not_ours.text.startswith("These are not pictures of this bot.")


# ------------------------------------------------------------------------------ admins


async def admin(server: DiscordServer, name: str, **options: object) -> Message:
    command = f"imagine-admin {name}"
    return await answer(
        await server.slash(command, options, member_permissions=MANAGE_SERVER, user_id="1")
    )


async def test_admins_set_the_rules_of_their_server(server: DiscordServer, bot: Bot) -> None:
    bot.tiers = {"gold": Limits(daily_count=900)}
    async with bot.running():
        before = await admin(server, "show")
        await admin(server, "limits", daily_pictures=500, jobs_at_once=20)
        await admin(server, "tier", role="77", tier="gold")
        await admin(server, "moderation", level="strict")
        await admin(server, "language", language="ko")
        await admin(server, "channel", channel=CHANNEL_ID, allowed=True)
        after = await admin(server, "pause")
        rules = await bot.desk.community(Platform.DISCORD, GUILD_ID)
        unknown = await admin(server, "tier", role="77", tier="lead")
        acts = {entry.by for entry in await bot.desk.audit()}

    assert before.text == (
        "**Settings of this server**\nPictures a day for everybody together: as usual\n"
        "Requests at the same time: as usual\nTiers by role: no\nChannels: all\n"
        "Moderation: as usual\nLanguage: each person's own\nPaused: no"
    )
    assert after.text == (
        "**Settings of this server**\nPictures a day for everybody together: 500\n"
        f"Requests at the same time: 20\nTiers by role: <@&77> gold\nChannels: <#{CHANNEL_ID}>\n"
        "Moderation: strict\nLanguage: 한국어\nPaused: yes"
    )
    assert rules == CommunityRules(
        channels=(CHANNEL_ID,),
        role_tiers={"77": "gold"},
        moderation="strict",
        language="ko",
        is_paused=True,
        daily_pictures=500,
        jobs_at_once=20,
    )
    assert unknown.text == "There is no such tier. The bot's admin has defined: gold."
    assert acts == {"discord:1"}


async def test_who_may_not_manage_the_server_is_not_offered_the_group(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        for place in ("guild", "dm", "elsewhere"):
            with pytest.raises(AssertionError, match="imagine-admin is"):
                await server.slash("imagine-admin show", {}, place=place)  # pyright: ignore[reportArgumentType] # pytest widens the literals


async def test_a_channel_that_is_not_allowed_names_those_that_are(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        await admin(server, "channel", channel="700000000000000077", allowed=True)
        refused = await server.slash("imagine", A_CAT)
        message = await refused.message_when(lambda message: bool(message.text))
        await admin(server, "channel", channel="700000000000000077", allowed=False)
        await drawn(server)

    assert message.text == (
        "Pictures may be asked for only in <#700000000000000077>. "
        "Nothing was taken from your allowance."
    )


async def test_a_blocked_person_is_refused_until_they_are_unblocked(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        done = await admin(server, "block", person="42", days=3, reason="*spam*")
        refused = await server.slash("imagine", A_CAT)
        message = await refused.message_when(lambda message: bool(message.text))
        listed = await admin(server, "blocks")
        undone = await admin(server, "unblock", person="42")
        again = await admin(server, "unblock", person="42")
        nobody = await admin(server, "blocks")
        await drawn(server)

    assert done.text == "<@42> is blocked on this server."
    assert message.text.startswith("An admin has blocked you from asking the bot here")
    assert listed.text.startswith("**1 person is blocked:**\n- <@42> · <t:")
    assert listed.text.endswith(r" · \*spam\*")
    assert undone.text == "<@42> is no longer blocked on this server."
    assert again.text == "<@42> was not blocked on this server."
    assert nobody.text == "Nobody is blocked on this server."


async def test_a_paused_server_takes_nothing_until_it_is_resumed(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        await admin(server, "pause")
        refused = await server.slash("imagine", A_CAT)
        message = await refused.message_when(lambda message: bool(message.text))
        await admin(server, "resume")
        await drawn(server)
        await settled(bot, 1)

    assert message.text.startswith("Drawing is paused here by an admin.")


async def test_stats_tell_what_was_drawn_on_the_server(server: DiscordServer, bot: Bot) -> None:
    bot.ahead = datetime(2026, 6, 9, tzinfo=UTC) - datetime.now(UTC) + timedelta(days=1)
    async with bot.running():
        await drawn(server, pictures=3)
        await settled(bot, 1)
        told = await admin(server, "stats")

    assert told.text == (
        "**The last 7 days**\n1 request\n3 pictures\n1 person asked\n"
        "0 requests came to nothing through the bot's fault"
    )


# ---------------------------------------------------------------------------- the names


async def test_names_are_told_in_every_language_and_only_when_they_change(
    server: DiscordServer, bot: Bot
) -> None:
    async with bot.running():
        pass
    async with bot.running():
        commands = {command["name"]: command for command in server.world.commands}

    assert server.world.sync_count == 1
    assert commands["queue"]["name_localizations"] == {
        "de": "warteschlange",
        "es-ES": "cola",
        "es-419": "cola",
        "fr": "file",
        "ja": "順番待ち",
        "ko": "대기열",
        "pt-BR": "fila",
        "uk": "черга",
    }
    assert len(commands["imagine"]["description_localizations"]) == 8
    assert commands["imagine-admin"]["default_member_permissions"] == MANAGE_SERVER
    assert commands["imagine-admin"]["integration_types"] == [0]
    assert commands["imagine-admin"]["contexts"] == [0]
    assert {name for name, command in commands.items() if command["type"] == 3} == {
        "Imagine this",
        "Picture info",
        "Report picture",
    }
