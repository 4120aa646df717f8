"""What can be chosen from the menu of a message: draw its words, look into its pictures, report.

Discord allows discord.py five of a kind; these are three.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any, Final

import discord
from discord import app_commands

from bot.discord.commands import lines
from bot.discord.commands.imagine import MAX_WORDS_CHARS, ask
from bot.discord.commands.naming import told
from bot.discord.errors import FOREIGN
from bot.discord.intake import Answer
from bot.jobs import JobId
from engine.pictures import read_info

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.discord.client import DiscordClient
    from bot.discord.commands.clerk import Call, Clerk
    from engine.pictures import PictureInfo

log = logging.getLogger(__name__)

MAX_FILES: Final = 10
MAX_FILE_BYTES: Final = 25 * 1024 * 1024
MAX_REASON_CHARS: Final = 300
_JOB: Final = re.compile(r"im:[a-z]+:(?P<job_id>\w+):\d+")


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
        async def work(call: Call) -> None:
            await take_report(clerk, call, message)

        await clerk.attend(interaction, work)

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


async def take_report(clerk: Clerk, call: Call, message: discord.Message) -> None:
    """Note that somebody finds fault with the pictures of a message.

    Raises:
        UnknownPictureError: Nothing is kept of them any more.
    """
    job_id = None
    if message.author.id == call.interaction.application_id:
        job_id = job_of(message)
    if job_id is None:
        await call.say("report_not_mine")
        return
    await clerk.studio.report(job_id, call.guest.person, reason="")
    await call.say("report_done")


def job_of(message: discord.Message) -> JobId | None:
    """Return whose pictures a message of ours shows, as its buttons say."""
    for custom_id in _custom_ids(message.components):
        if match := _JOB.fullmatch(custom_id):
            return JobId(match["job_id"])
    return None


def _custom_ids(components: Any) -> Iterator[str]:
    for component in components:
        if custom_id := getattr(component, "custom_id", None):
            yield custom_id
        yield from _custom_ids(getattr(component, "children", ()))
