"""``/privacy``: what is kept about somebody, as a text, as a file, and not at all."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING, Any, Final

import discord
from discord import app_commands, ui

from bot.discord.cards import Layout
from bot.discord.commands.buttons import own_button
from bot.discord.commands.naming import named
from bot.discord.intake import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.discord.client import DiscordClient
    from bot.discord.commands.clerk import Call, Clerk
    from bot.discord.words import Words

FILE: Final = "imagine-export.json"


def add_to(tree: app_commands.CommandTree[DiscordClient], clerk: Clerk) -> None:
    """Define the group, and what the button under its question does."""
    clerk.on_press("erase", Answer.CHANGE, lambda call, of: erase(clerk, call, of))
    group = app_commands.Group(**named("privacy"))

    async def tell(call: Call) -> None:
        await call.say("privacy_text")

    @group.command(**named("privacy_show"))
    async def show(interaction: discord.Interaction[DiscordClient]) -> None:
        await clerk.attend(interaction, tell)

    async def hand_over(call: Call) -> None:
        await export(clerk, call)

    @group.command(**named("privacy_export"))
    async def export_(interaction: discord.Interaction[DiscordClient]) -> None:
        await clerk.attend(interaction, hand_over)

    async def ask_back(call: Call) -> None:
        layout = question(call.guest.person.id, call.words)
        await call.show(lambda: (layout, []))

    @group.command(**named("privacy_delete"))
    async def delete(interaction: discord.Interaction[DiscordClient]) -> None:
        await clerk.attend(interaction, ask_back)

    tree.add_command(group)


async def export(clerk: Clerk, call: Call) -> None:
    """Answer with a file of everything that is kept about the person."""
    kept = await clerk.desk.export(call.guest.person)
    name, content = file_of(kept, limit_bytes=call.interaction.filesize_limit)
    if not content:
        await call.say("privacy_too_big")
        return

    def compose() -> tuple[Layout, Sequence[discord.File]]:
        file = discord.File(io.BytesIO(content), filename=name)
        layout: Layout = ui.LayoutView(timeout=None)
        layout.add_item(ui.TextDisplay[Layout](call.words.say("privacy_exported")))
        layout.add_item(ui.File[Layout](file))
        return layout, [file]

    await call.show(compose)


def file_of(kept: Any, *, limit_bytes: int) -> tuple[str, bytes]:
    """Return name and content of a file, packed where it is too big; empty if that is, too."""
    content = json.dumps(kept, ensure_ascii=False, indent=1).encode()
    if len(content) <= limit_bytes:
        return FILE, content
    packed = gzip.compress(content)
    return f"{FILE}.gz", packed if len(packed) <= limit_bytes else b""


def question(user_id: str, words: Words) -> Layout:
    """Ask whether everything shall go, with a button that says yes."""
    layout: Layout = ui.LayoutView(timeout=None)
    layout.add_item(ui.TextDisplay[Layout](words.say("privacy_ask")))
    label = words.say("privacy_confirm")
    button = own_button("erase", user_id, label, style=discord.ButtonStyle.danger)
    layout.add_item(ui.ActionRow[Layout](button))
    return layout


async def erase(clerk: Clerk, call: Call, user_id: str) -> None:
    """Delete everything about the person, who was asked before."""
    person = call.guest.person
    if person.id == user_id:  # only they see the question, but an id is never proof
        count = await clerk.desk.erase(person, by=f"discord:{person.id}")
        await call.say("privacy_deleted", count=count)
