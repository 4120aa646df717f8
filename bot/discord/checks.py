"""Looks at Discord without listening or posting.

At the token, at what of the portal's settings would keep commands from arriving, at what the
install link grants, and at what the bot may do in the servers that it is in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import discord

from bot import admin_sentences as sentences
from bot.discord.client import point_to
from bot.discord.errors import FOREIGN, as_start_error, persistently

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.discord.config import DiscordConfig

# Source: Discord API documentation, "Application Integration Types".
GUILD_INSTALL: Final = "0"
USER_INSTALL: Final = "1"

# What an answer later than 15 minutes needs (README, "Add Discord").
NEEDED_PERMISSIONS: Final[Mapping[str, int]] = {
    "View Channels": discord.Permissions.view_channel.flag,
    "Send Messages": discord.Permissions.send_messages.flag,
    "Send Messages in Threads": discord.Permissions.send_messages_in_threads.flag,
    "Attach Files": discord.Permissions.attach_files.flag,
    "Read Message History": discord.Permissions.read_message_history.flag,
}
NEEDED_SCOPES: Final = ("bot", "applications.commands")

# Source: Discord API documentation, "Application Flags"; with and without "limited", which
# stands for a bot in fewer than 100 servers.
PRIVILEGED_INTENTS: Final[Mapping[str, int]] = {
    "Presence": 1 << 12 | 1 << 13,
    "Server Members": 1 << 14 | 1 << 15,
    "Message Content": 1 << 18 | 1 << 19,
}
SERVERS_LOOKED_AT: Final = 200


class DiscordCheckError(Exception):
    """The application is not set up as it must be. ``str(error)`` is a sentence."""


async def check(config: DiscordConfig) -> str:
    """Ask Discord who the bot is and how it is installed; return a few words.

    Raises:
        DiscordStartError: Discord does not accept the token or cannot be reached.
        DiscordCheckError: The application's settings are not as they must be.
    """
    point_to(config)
    client = discord.Client(intents=discord.Intents.none())
    try:
        await persistently(lambda: _log_in(client, config), config.retry_waits_s)
        application = await persistently(client.http.application_info, config.retry_waits_s)
        servers = await persistently(
            lambda: client.http.get_guilds(SERVERS_LOOKED_AT), config.retry_waits_s
        )
    except FOREIGN as error:
        raise as_start_error(error) from error
    finally:
        await client.close()
    name = "" if client.user is None else str(client.user)
    about = cast("Mapping[str, Any]", application)
    _require_usable(name, about)
    return sentences.discord_checked(
        name,
        is_for_users=USER_INSTALL in about.get("integration_types_config", {}),
        server_count=len(servers),
        lacking=lacking_in(cast("Sequence[Mapping[str, Any]]", servers)),
        surplus_intents=intents_of(int(about.get("flags") or 0)),
    )


async def _log_in(client: discord.Client, config: DiscordConfig) -> None:
    await client.http.close()  # what an earlier try left open, and its connector with it
    client.http.connector = discord.utils.MISSING
    await client.login(config.token)


def _require_usable(name: str, about: Mapping[str, Any]) -> None:
    """Refuse what would keep commands from arriving or answers from being posted.

    Raises:
        DiscordCheckError: With the sentence that says what to change.
    """
    if about.get("interactions_endpoint_url"):
        raise DiscordCheckError(sentences.discord_endpoint_set(name))
    if about.get("bot_require_code_grant"):
        raise DiscordCheckError(sentences.discord_code_grant_needed(name))
    missing = missing_of(cast("Mapping[str, Any]", about.get("integration_types_config", {})))
    if missing:
        raise DiscordCheckError(sentences.discord_install_lacks(name, missing))


def intents_of(flags: int) -> list[str]:
    """The privileged intents that are on, in the portal's words; the bot needs none."""
    return [name for name, bits in PRIVILEGED_INTENTS.items() if bits & flags]


def lacking_in(servers: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What the bot's roles do not allow it, by the name of the server.

    Channels may allow less: that is for their admins to see.
    """
    lacking = {str(server["name"]): _not_in(int(server["permissions"])) for server in servers}
    return {name: permissions for name, permissions in lacking.items() if permissions}


def missing_of(kinds: Mapping[str, Any]) -> list[str]:
    """What the install link for guilds does not grant, in the portal's words.

    Args:
        kinds: The application's ``integration_types_config``.
    """
    guild = kinds.get(GUILD_INSTALL)
    if guild is None:
        return ["Guild Install"]
    granted = cast("Mapping[str, Any]", guild.get("oauth2_install_params") or {})
    scopes = cast("list[str]", granted.get("scopes", []))
    permissions = int(granted.get("permissions", 0))
    lacking = [f"the scope {scope}" for scope in NEEDED_SCOPES if scope not in scopes]
    return lacking + _not_in(permissions)


def _not_in(permissions: int) -> list[str]:
    """What of all that is needed is not among these; an administrator may do everything."""
    if discord.Permissions.administrator.flag & permissions:
        return []
    return [name for name, flag in NEEDED_PERMISSIONS.items() if not flag & permissions]
