"""Who does something on Discord, and what they and their server have chosen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import discord

from bot.desk import CommunityRules, Profile
from bot.jobs import Person, Platform

if TYPE_CHECKING:
    from bot.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """Somebody, here and now.

    Attributes:
        person: Who.
        community: The server; ``None`` where there is none.
        channel: The channel, of a thread the one that it belongs to.
        tiers: Names of the tiers that their roles give them.
        profile: What they have chosen for themselves.
        rules: What the server's admins have chosen.
        locale: The language of their Discord.
    """

    person: Person
    community: str | None
    channel: str | None
    tiers: frozenset[str] = frozenset()
    profile: Profile = field(default_factory=Profile)
    rules: CommunityRules = field(default_factory=CommunityRules)
    locale: str = "en-US"

    @property
    def own_locale(self) -> str:
        """The language of what only they see."""
        return self.profile.language or self.locale

    @property
    def public_locale(self) -> str:
        """The language of what everybody there sees."""
        return self.rules.language or self.own_locale


def person_of(interaction: discord.Interaction[Any]) -> Person:
    """Return who did that."""
    return Person(platform=Platform.DISCORD, id=str(interaction.user.id))


def stranger_of(interaction: discord.Interaction[Any]) -> Guest:
    """Return what the interaction alone says of who did that."""
    return Guest(
        person=person_of(interaction),
        community=None if interaction.guild_id is None else str(interaction.guild_id),
        channel=_channel_of(interaction),
        locale=str(interaction.locale),
    )


async def guest_of(interaction: discord.Interaction[Any], desk: Desk) -> Guest:
    """Return that together with what they and their server have chosen.

    Raises:
        StoreError: The database failed.
    """
    stranger = stranger_of(interaction)
    profile = await desk.profile(stranger.person)
    rules = CommunityRules()
    if stranger.community is not None:
        rules = await desk.community(Platform.DISCORD, stranger.community)
    return Guest(
        person=stranger.person,
        community=stranger.community,
        channel=stranger.channel,
        tiers=frozenset(
            rules.role_tiers[role] for role in _roles_of(interaction) & rules.role_tiers.keys()
        ),
        profile=profile,
        rules=rules,
        locale=stranger.locale,
    )


def _channel_of(interaction: discord.Interaction[Any]) -> str | None:
    if isinstance(interaction.channel, discord.Thread):
        return str(interaction.channel.parent_id)
    return None if interaction.channel_id is None else str(interaction.channel_id)


def _roles_of(interaction: discord.Interaction[Any]) -> frozenset[str]:
    """Return the ids of the person's roles.

    ``Member.roles`` looks them up in the server's cache, which is empty without intents.
    """
    if not isinstance(interaction.user, discord.Member):
        return frozenset()
    ids = interaction.user._roles  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return frozenset(str(id_) for id_ in ids)
