"""Who may change a message of the bot: who asked for it, and those who keep order there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import discord

    from bot.store import Past


def may_change(interaction: discord.Interaction[Any], past: Past | None) -> bool:
    """Whether the person may hide or delete the message whose button was pressed.

    Args:
        interaction: The press. Who did it, and what they may do there, is Discord's word.
        past: The job that the message shows, as the store knows it; ``None`` if it does not.
    """
    user_id = interaction.user.id
    if interaction.context.dm_channel or interaction.permissions.manage_messages:
        return True
    if past is not None and past.job.submission.person.id == str(user_id):
        return True
    caused_by = interaction.message and interaction.message.interaction_metadata
    return caused_by is not None and caused_by.user.id == user_id
