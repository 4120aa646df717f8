"""What can be chosen from the menu of a message: draw its words, look into its pictures, report.

Discord allows discord.py five of a kind; these are three.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

import discord
from discord import app_commands

from bot.discord.buttons.ids import Press, Verb, press_of
from bot.discord.buttons.modals import report_modal
from bot.discord.commands import lines
from bot.discord.commands.imagine import MAX_WORDS_CHARS, ask
from bot.discord.commands.naming import told
from bot.discord.errors import FOREIGN
from bot.discord.intake import Answer, open_dialog
from bot.discord.words import words_of
from engine.pictures import read_info

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.discord.client import DiscordClient
    from bot.discord.commands.clerk import Call, Clerk
    from engine.pictures import PictureInfo

    Interaction = discord.Interaction[DiscordClient]

log = logging.getLogger(__name__)

MAX_FILES: Final = 10
MAX_FILE_BYTES: Final = 25 * 1024 * 1024


def add_to(tree: app_commands.CommandTree[DiscordClient], clerk: Clerk) -> None:
    """Define the menus."""

    async def imagine(
        interaction: discord.Interaction[DiscordClient], message: discord.Message
    ) -> None:
        async def work(call: Call) -> None:
            await draw_words_of(clerk, call, message)

        await clerk.attend(interaction, work, Answer.MESSAGE)

    async def info(
        interaction: discord.Interaction[DiscordClient], message: discord.Message
    ) -> None:
        async def work(call: Call) -> None:
            await tell_info(call, message)

        await clerk.attend(interaction, work)

    async def report(
        interaction: discord.Interaction[DiscordClient], message: discord.Message
    ) -> None:
        await ask_what_is_wrong(clerk, interaction, message)

    for name, callback in (("imagine", imagine), ("info", info), ("report", report)):
        menu: app_commands.ContextMenu = app_commands.ContextMenu(
            name=told(f"menu_{name}"), callback=callback
        )
        tree.add_command(menu)


async def draw_words_of(clerk: Clerk, call: Call, message: discord.Message) -> None:
    """Submit the words of a message as a prompt, as the person prefers their pictures."""
    words = " ".join(message.content.split())
    if not words:
        await call.say("menu_no_words")
    elif len(words) > MAX_WORDS_CHARS:
        await call.say("menu_too_long", limit=MAX_WORDS_CHARS)
    else:
        await ask(clerk, call, words)


async def tell_info(call: Call, message: discord.Message) -> None:
    """Answer with what the pictures of a message say of themselves."""
    files = [file for file in message.attachments if file.size <= MAX_FILE_BYTES][:MAX_FILES]
    if not files:
        await call.say("info_no_pictures")
        return
    try:
        infos = [(file.filename, await _info_of(file)) for file in files]
    except FOREIGN as error:
        log.info("attachment not read: error=%s", type(error).__name__)
        await call.say("info_unreadable")
        return
    await call.tell(lines.info_text(infos, call.words))


async def _info_of(file: discord.Attachment) -> PictureInfo | None:
    return await asyncio.to_thread(read_info, await file.read())


async def ask_what_is_wrong(
    clerk: Clerk, interaction: Interaction, message: discord.Message
) -> None:
    """Open the dialog of a report, which is the sign of life itself; or say why there is none."""
    press = report_of(message, interaction.application_id)
    if press is None:

        async def work(call: Call) -> None:
            await call.say("report_not_mine")

        await clerk.attend(interaction, work)
        return
    await open_dialog(interaction, report_modal(press, words_of(str(interaction.locale))))


def report_of(message: discord.Message, application_id: int) -> Press | None:
    """Return the report of the pictures that a message of ours shows, as its buttons say."""
    if message.author.id != application_id:
        return None
    presses = (press_of(custom_id) for custom_id in _custom_ids(message.components))
    job_id = next((press.job_id for press in presses if press is not None), None)
    return None if job_id is None else Press(verb=Verb.REPORT, job_id=job_id)


def _custom_ids(components: Any) -> Iterator[str]:
    for component in components:
        if custom_id := getattr(component, "custom_id", None):
            yield custom_id
        yield from _custom_ids(getattr(component, "children", ()))
