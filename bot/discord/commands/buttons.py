"""Buttons on what only one person sees: pages of their history, a question put to them.

A button is nothing but its id, ``me:<verb>:<of>``, so it works for as long as its message is
there, whatever process is running then.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import discord
from discord import ui

if TYPE_CHECKING:
    from bot.discord.cards import Layout
    from bot.discord.client import DiscordClient


def own_button(
    verb: str,
    of: str,
    label: str,
    *,
    style: discord.ButtonStyle = discord.ButtonStyle.secondary,
) -> ui.Button[Layout]:
    """Return a button that does ``verb``, as ``Clerk.on_press`` was told."""
    return ui.Button(label=label, style=style, custom_id=f"me:{verb}:{of}")


class OwnButton(
    ui.DynamicItem[ui.Button[Any]], template=re.compile(r"me:(?P<verb>[a-z]+):(?P<of>\w+)")
):
    """A press of such a button."""

    def __init__(self, verb: str, of: str) -> None:
        super().__init__(ui.Button(custom_id=f"me:{verb}:{of}"))
        self._verb = verb
        self._of = of

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003 - as discord.py calls it
        item: ui.Item[Any],  # noqa: ARG003
        match: re.Match[str],
        /,
    ) -> OwnButton:
        """Make the button anew from its id."""
        return cls(match["verb"], match["of"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do what it is for."""
        client: DiscordClient = interaction.client
        await client.clerk.press(interaction, self._verb, self._of)
