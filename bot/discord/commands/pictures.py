"""Pictures of the past: ``/history``, page by page, and ``/show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import discord
from discord import app_commands, ui

from bot.discord.address import address_of
from bot.discord.cards import Layout
from bot.discord.commands import lines
from bot.discord.commands.buttons import own_button
from bot.discord.commands.clerk import suggested
from bot.discord.commands.naming import named, options
from bot.discord.commands.own import MAX_CHOICES
from bot.discord.guests import person_of
from bot.discord.intake import Answer
from bot.jobs import JobId, UnknownPictureError

if TYPE_CHECKING:
    from bot.discord.client import DiscordClient
    from bot.discord.commands.clerk import Call, Clerk
    from bot.discord.words import Words
    from bot.store import Past

PAGE: Final = 5
NEWEST: Final = "newest"


def add_to(tree: app_commands.CommandTree[DiscordClient], clerk: Clerk) -> None:
    """Define the commands, and what the buttons under a page do."""
    clerk.on_press("page", Answer.CHANGE, lambda call, of: show_page(clerk, call, _before(of)))
    clerk.on_press("show", Answer.WHISPER, lambda call, of: show_one(clerk, call, JobId(of)))

    async def work(call: Call) -> None:
        await show_page(clerk, call, None)

    @tree.command(**named("history"))
    async def history(interaction: discord.Interaction[DiscordClient]) -> None:
        await clerk.attend(interaction, work)

    async def suggest(
        interaction: discord.Interaction[DiscordClient], current: str
    ) -> list[app_commands.Choice[str]]:
        async def find() -> list[app_commands.Choice[str]]:
            found = await clerk.studio.history(person_of(interaction), limit=100)
            names = [(lines.choice_of(past.job), past.job.id) for past in found if past.pictures]
            return [
                app_commands.Choice(name=name, value=id_)
                for name, id_ in names
                if current.lower() in name.lower() or current == id_
            ][:MAX_CHOICES]

        return await suggested(interaction, find)

    @tree.command(**named("show"))
    @options("public", request="past_request")
    @app_commands.autocomplete(request=suggest)
    async def show(
        interaction: discord.Interaction[DiscordClient], *, request: str, public: bool = False
    ) -> None:
        async def work(call: Call) -> None:
            await show_one(clerk, call, JobId(request))

        await clerk.attend(interaction, work, Answer.MESSAGE if public else Answer.WHISPER)


def _before(of: str) -> JobId | None:
    return None if of == NEWEST else JobId(of)


async def show_page(clerk: Clerk, call: Call, before: JobId | None) -> None:
    """Answer with a page of one's own history."""
    found = await clerk.studio.history(call.guest.person, limit=PAGE + 1, before=before)
    layout = page(found, call.words, is_first=before is None)
    await call.show(lambda: (layout, []))


async def show_one(clerk: Clerk, call: Call, job_id: JobId) -> None:
    """Show the pictures of one's own request again.

    Raises:
        UnknownPictureError: There is none of that id, it is not theirs, or has no pictures.
    """
    past = await clerk.studio.past(job_id)
    if past is None or past.job.submission.person != call.guest.person or not past.pictures:
        raise UnknownPictureError
    await clerk.delivery.show(address_of(call.interaction, locale=call.words.language), past)


def page(found: list[Past], words: Words, *, is_first: bool) -> Layout:
    """Return a page: up to ``PAGE`` of ``found``, of which one more says that there are older."""
    layout: Layout = ui.LayoutView(timeout=None)
    shown = found[:PAGE]
    if not shown:
        layout.add_item(ui.TextDisplay[Layout](words.say("history_none")))
    for past in shown:
        text = lines.past_line(past, words)
        if past.pictures:
            layout.add_item(ui.Section[Layout](text, accessory=_show_button(past.job.id, words)))
        else:
            layout.add_item(ui.TextDisplay[Layout](text))
    turning: list[ui.Button[Layout]] = []
    if not is_first:
        turning.append(_turn_button(words.say("history_newest"), NEWEST))
    if len(found) > PAGE:
        turning.append(_turn_button(words.say("history_older"), shown[-1].job.id))
    if turning:
        layout.add_item(ui.ActionRow[Layout](*turning))
    return layout


def _show_button(job_id: str, words: Words) -> ui.Button[Layout]:
    return own_button("show", job_id, words.say("history_show"))


def _turn_button(label: str, before: str) -> ui.Button[Layout]:
    return own_button("page", before, label)
