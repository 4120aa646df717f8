"""Where the answer to one interaction goes, in the form that is stored with its job."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import discord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.jobs import Json

# An edit that begins in the last moments of the token may arrive after them, and a refused
# token counts towards a ban: it is left alone in the last of its fifteen minutes.
TOKEN_MARGIN = timedelta(seconds=60)

# Under this name an interaction remembers the message that answers it (``Interaction.extras``).
MESSAGE_ID = "message_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The place of an answer.

    Attributes:
        application_id: With ``token``: names the message that the interaction created.
        token: Lets its holder edit that message until ``expires_at``. A secret.
        channel_id: The channel of the interaction, if Discord told.
        may_post: Whether the bot itself may post pictures in that channel. It may not where
            only a person has installed it.
        filesize_limit_bytes: The most that one file may weigh there.
        message_id: The answer itself, if Discord told when it was acknowledged.
        locale: The language of the answer, as ``words_of`` takes it; ``None`` is English.
    """

    application_id: int
    token: str = field(repr=False)
    expires_at: datetime
    channel_id: int | None
    user_id: int
    may_post: bool
    filesize_limit_bytes: int
    message_id: int | None = None
    locale: str | None = None

    @property
    def usable_until(self) -> datetime:
        """When the message of the interaction is edited no more."""
        return self.expires_at - TOKEN_MARGIN

    def has_live_token(self, now: datetime) -> bool:
        """Whether the message of the interaction can still be edited."""
        return now < self.usable_until

    def to_json(self) -> dict[str, Json]:
        """Return the stored form. Ids become text: they do not fit into a JSON double."""
        return {
            "application_id": str(self.application_id),
            "token": self.token,
            "expires_at": self.expires_at.isoformat(),
            "channel_id": None if self.channel_id is None else str(self.channel_id),
            "user_id": str(self.user_id),
            "may_post": self.may_post,
            "filesize_limit_bytes": self.filesize_limit_bytes,
            "message_id": None if self.message_id is None else str(self.message_id),
            "locale": self.locale,
        }


def address_of(interaction: discord.Interaction[Any], *, locale: str | None = None) -> Address:
    """Return where the answer to ``interaction`` goes.

    Args:
        interaction: What somebody did.
        message_id: The answer itself, if Discord told when it was acknowledged.
        locale: The language of the answer; that of the person's Discord by default.
    """
    return Address(
        application_id=interaction.application_id,
        token=interaction.token,
        expires_at=interaction.expires_at,
        channel_id=interaction.channel_id,
        user_id=interaction.user.id,
        may_post=_may_post(interaction),
        filesize_limit_bytes=interaction.filesize_limit,
        message_id=interaction.extras.get(MESSAGE_ID),
        locale=locale or str(interaction.locale),
    )


def address_from(stored: Mapping[str, Any]) -> Address:
    """Return the address whose ``to_json`` is ``stored``."""
    channel_id, message_id = stored["channel_id"], stored.get("message_id")
    return Address(
        application_id=int(stored["application_id"]),
        token=stored["token"],
        expires_at=datetime.fromisoformat(stored["expires_at"]),
        channel_id=None if channel_id is None else int(channel_id),
        user_id=int(stored["user_id"]),
        may_post=stored["may_post"],
        filesize_limit_bytes=stored["filesize_limit_bytes"],
        message_id=None if message_id is None else int(message_id),
        locale=stored.get("locale"),  # addresses of version 0.1 have none
    )


def _may_post(interaction: discord.Interaction[Any]) -> bool:
    if interaction.context.dm_channel:
        return True
    if not interaction.is_guild_integration():
        return False  # installed by the person only: the bot itself is not there
    can = interaction.app_permissions
    in_thread = isinstance(interaction.channel, discord.Thread)
    can_send = can.send_messages_in_threads if in_thread else can.send_messages
    return can.view_channel and can_send and can.attach_files
