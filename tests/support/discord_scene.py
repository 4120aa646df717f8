"""Who does something on Discord, and where; ids, permissions and limits that all parts share.

Source: Discord API documentation v10, "Permissions", "Message", "Receiving and Responding".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypedDict

TOKEN = "loopback.bot.token"
APPLICATION_ID = "900000000000000001"
BOT_USER = {
    "id": APPLICATION_ID,
    "username": "imagine",
    "discriminator": "0000",
    "global_name": None,
    "avatar": None,
    "bot": True,
    "flags": 0,
}
GUILD_ID = "800000000000000001"
FOREIGN_GUILD_ID = "800000000000000009"  # the bot is not in it
CHANNEL_ID = "700000000000000001"
DM_CHANNEL_ID = "700000000000000002"  # of the person with the id 42
FOREIGN_CHANNEL_ID = "700000000000000009"
PRIVATE_CHANNEL_ID = "700000000000000008"  # of two people, without the bot

DISCORD_EPOCH_MS = 1_420_070_400_000
ACK_WITHIN_S = 3.0
TOKEN_LIFE = timedelta(minutes=15)
FILE_LIMIT_BYTES = 10 * 1024 * 1024
REQUEST_LIMIT_BYTES = 25 * 1024 * 1024
COMMAND_CREATES_PER_DAY = 200
FOLLOWUPS_OF_A_GUEST = 5

SUPPRESSED, EPHEMERAL, LOADING, COMPONENTS_V2 = 1 << 2, 1 << 6, 1 << 7, 1 << 15
VIEW_CHANNEL, SEND_MESSAGES, MANAGE_MESSAGES, ATTACH_FILES = 1 << 10, 1 << 11, 1 << 13, 1 << 15
ALL_PERMISSIONS = VIEW_CHANNEL | SEND_MESSAGES | ATTACH_FILES
ADMINISTRATOR = 1 << 3
EVERYTHING = (1 << 53) - 1

TEXT_DISPLAY, MEDIA_GALLERY = 10, 12

Json = Any
Files = dict[int, tuple[str, bytes]]  # number in the form → name and content
Place = Literal["guild", "dm", "elsewhere", "private"]


class Where(TypedDict, total=False):
    """Who does something on Discord, and where; see ``Scene``."""

    user_id: str
    place: Place
    permissions: int | None
    member_permissions: int
    member_roles: tuple[str, ...]
    locale: str
    guild_locale: str
    guild_id: str
    channel_id: str
    is_nsfw: bool
    is_installed_by_person: bool


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Who does something on Discord, and where.

    ``elsewhere`` is a channel of a server that the bot is not in, ``private`` a conversation
    of other people: there the person brought the bot along. ``permissions`` are the bot's in
    that channel, ``member_permissions`` the person's. A person may have installed the bot
    that the server has installed too.
    """

    user_id: str = "42"
    place: Place = "guild"
    permissions: int | None = None
    member_permissions: int = ALL_PERMISSIONS
    member_roles: tuple[str, ...] = ()
    locale: str = "en-GB"
    guild_locale: str = "en-GB"
    guild_id: str = GUILD_ID
    channel_id: str = CHANNEL_ID
    is_nsfw: bool = False
    is_installed_by_person: bool = False

    @property
    def context(self) -> int:
        return {"guild": 0, "dm": 1, "elsewhere": 0, "private": 2}[self.place]

    @property
    def is_guest(self) -> bool:
        """Whether only the person has installed the bot."""
        return self.place in {"elsewhere", "private"}

    @property
    def owners(self) -> dict[str, str]:
        """Who brought the application there: a server ("0") or a person ("1")."""
        by_person = {"1": self.user_id} if self.is_guest or self.is_installed_by_person else {}
        if self.is_guest:
            return by_person
        return {"0": "0" if self.place == "dm" else self.guild_id, **by_person}
