"""Looks at Discord without listening or posting: the token, and what the install link grants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import discord

from bot import admin_sentences as sentences
from bot.discord.client import point_to
from bot.discord.errors import FOREIGN, as_start_error, persistently

if TYPE_CHECKING:
    from collections.abc import Mapping

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
}
NEEDED_SCOPES: Final = ("bot", "applications.commands")


class DiscordCheckError(Exception):
    """The application is not set up as it must be. ``str(error)`` is a sentence."""


async def check(config: DiscordConfig) -> str:
    """Ask Discord who the bot is and how it is installed; return a few words.

    Raises:
        DiscordStartError: Discord does not accept the token or cannot be reached.
        DiscordCheckError: The install settings lack something.
    """
    point_to(config)
    client = discord.Client(intents=discord.Intents.none())
    try:
        await persistently(lambda: _log_in(client, config), config.retry_waits_s)
        application = await persistently(client.http.application_info, config.retry_waits_s)
    except FOREIGN as error:
        raise as_start_error(error) from error
    finally:
        await client.close()
    name = "" if client.user is None else str(client.user)
    return _told(name, cast("Mapping[str, Any]", application))


async def _log_in(client: discord.Client, config: DiscordConfig) -> None:
    await client.http.close()  # what an earlier try left open, and its connector with it
    client.http.connector = discord.utils.MISSING
    await client.login(config.token)


def _told(name: str, application: Mapping[str, Any]) -> str:
    kinds = cast("Mapping[str, Any]", application.get("integration_types_config", {}))
    missing = missing_of(kinds)
    if missing:
        raise DiscordCheckError(sentences.discord_install_lacks(name, missing))
    return sentences.discord_checked(name, is_for_users=USER_INSTALL in kinds)


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
    if discord.Permissions.administrator.flag & permissions:
        return lacking
    return lacking + [name for name, flag in NEEDED_PERMISSIONS.items() if not flag & permissions]
