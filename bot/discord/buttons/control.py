"""The one class of all buttons and menus: discord.py finds it by the name of what was pressed.

Nothing is kept for a message. ``DynamicItem`` matches names against a pattern, so a press on
a message of last year, or from before a restart, arrives like one of this minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.discord.buttons.ids import CHOSEN_IN_MENU, TEMPLATE, Press

if TYPE_CHECKING:
    import re

    from bot.discord.buttons.ids import Verb
    from bot.discord.client import DiscordClient
    from bot.jobs import JobId


class Control(ui.DynamicItem[ui.Item[Any]], template=TEMPLATE):
    """A button or a menu; what it does is ``Presses``' matter."""

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003 - discord.py's signature
        item: ui.Item[Any],
        match: re.Match[str],  # noqa: ARG003 - as above
        /,
    ) -> Self:
        """Take the button that discord.py made from the message."""
        return cls(item)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand the press on; called by discord.py."""
        client: DiscordClient = interaction.client
        await client.presses.on_press(interaction)


def button(
    press: Press,
    label: str,
    emoji: str,
    *,
    style: discord.ButtonStyle = discord.ButtonStyle.secondary,
) -> Control:
    """A button that makes ``press``."""
    return Control(ui.Button[Any](label=label, emoji=emoji, style=style, custom_id=press.custom_id))


def menu(verb: Verb, job_id: JobId, placeholder: str, options: dict[int, str]) -> Control:
    """A menu in which a picture is chosen by its rank."""
    custom_id = Press(verb=verb, job_id=job_id, n=CHOSEN_IN_MENU).custom_id
    return Control(
        ui.Select[Any](
            custom_id=custom_id,
            placeholder=placeholder,
            options=[
                discord.SelectOption(label=label, value=str(rank))
                for rank, label in options.items()
            ],
        )
    )


def row_of(*controls: Control) -> ui.ActionRow[ui.LayoutView]:
    """At most five buttons beside each other, or one menu."""
    row = ui.ActionRow[ui.LayoutView]()
    for control in controls:
        row.add_item(control)
    return row
