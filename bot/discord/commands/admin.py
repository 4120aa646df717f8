"""``/imagine-admin``: what the admins of a server decide for it.

Discord shows the group to those who may manage the server, unless they chose others in its
settings; that is theirs to decide, so nothing is checked again here. Every act goes into the
audit log with who did it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import discord
from discord import app_commands

from bot.discord.commands import lines
from bot.discord.commands.naming import choices_of, named, options
from bot.discord.commands.own import AUTO, MAX_CHOICES, language_choices
from bot.jobs import Person, Platform
from bot.store.house import MAX_CHANNELS, MODERATION_LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.desk import CommunityRules
    from bot.discord.client import DiscordClient
    from bot.discord.commands.clerk import Call, Clerk

    Change = Callable[[CommunityRules], CommunityRules]
    Group = app_commands.Group

USUAL: Final = "usual"
MAX_DAILY: Final = 1_000_000
MAX_AT_ONCE: Final = 1_000
MAX_DAYS: Final = 365
MAX_REASON_CHARS: Final = 200


def add_to(tree: app_commands.CommandTree[DiscordClient], clerk: Clerk) -> None:
    """Define the group."""
    group = app_commands.Group(
        **named("admin"),
        guild_only=True,
        default_permissions=discord.Permissions(manage_guild=True),
        allowed_contexts=app_commands.AppCommandContext(
            guild=True, dm_channel=False, private_channel=False
        ),
        # Who has brought the bot along for themselves decides nothing for a server.
        allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
    )
    _add_show(group, clerk)
    _add_limits(group, clerk)
    _add_tier(group, clerk)
    _add_channel(group, clerk)
    _add_choices(group, clerk)
    _add_pauses(group, clerk)
    _add_blocks(group, clerk)
    _add_stats(group, clerk)
    tree.add_command(group)


async def change(clerk: Clerk, call: Call, changed: Change) -> None:
    """Put changed rules in place of those of the server, and show them."""
    rules = changed(call.guest.rules)
    await clerk.desk.set_community(Platform.DISCORD, _server(call), rules, by=_by(call))
    await call.tell(lines.rules_text(rules, call.words))


def _add_show(group: Group, clerk: Clerk) -> None:
    async def work(call: Call) -> None:
        await call.tell(lines.rules_text(call.guest.rules, call.words))

    @group.command(**named("admin_show"))
    async def show(interaction: discord.Interaction[DiscordClient]) -> None:
        await clerk.attend(interaction, work)


def _add_limits(group: Group, clerk: Clerk) -> None:
    @group.command(**named("admin_limits"))
    @options("daily_pictures", "jobs_at_once")
    async def limits(
        interaction: discord.Interaction[DiscordClient],
        daily_pictures: app_commands.Range[int, 0, MAX_DAILY] | None = None,
        jobs_at_once: app_commands.Range[int, 0, MAX_AT_ONCE] | None = None,
    ) -> None:
        def changed(rules: CommunityRules) -> CommunityRules:
            if daily_pictures is not None:  # 0 is what the bot allows
                rules = replace(rules, daily_pictures=daily_pictures or None)
            if jobs_at_once is not None:
                rules = replace(rules, jobs_at_once=jobs_at_once or None)
            return rules

        await clerk.attend(interaction, lambda call: change(clerk, call, changed))


def _add_tier(group: Group, clerk: Clerk) -> None:
    async def suggest(
        _interaction: discord.Interaction[DiscordClient], current: str
    ) -> list[app_commands.Choice[str]]:
        fitting = [name for name in sorted(clerk.desk.tiers) if current.lower() in name.lower()]
        return [app_commands.Choice(name=name, value=name) for name in fitting[:MAX_CHOICES]]

    @group.command(**named("admin_tier"))
    @options("role", "tier")
    @app_commands.autocomplete(tier=suggest)
    async def tier_(
        interaction: discord.Interaction[DiscordClient], role: discord.Role, tier: str | None = None
    ) -> None:
        async def work(call: Call) -> None:
            known = clerk.desk.tiers
            if tier is not None and tier not in known:
                await call.say("admin_no_tier", known=", ".join(sorted(known)) or "0")
                return
            await change(clerk, call, lambda rules: with_tier(rules, str(role.id), tier))

        await clerk.attend(interaction, work)


def with_tier(rules: CommunityRules, role: str, tier: str | None) -> CommunityRules:
    """Return ``rules`` with that tier for a role; with none if there is none."""
    others = {id_: name for id_, name in rules.role_tiers.items() if id_ != role}
    return replace(rules, role_tiers=others if tier is None else {**others, role: tier})


class WhereToWrite(app_commands.Transformer[Any]):
    """A channel where people write, as Discord names it: without intents none is known by more."""

    @property
    def type(self) -> discord.AppCommandOptionType:
        """As Discord calls it."""
        return discord.AppCommandOptionType.channel

    @property
    def channel_types(self) -> list[discord.ChannelType]:
        """What can be chosen; threads go with the channel that they belong to."""
        kinds = discord.ChannelType
        return [kinds.text, kinds.news, kinds.voice, kinds.forum]

    async def transform(
        self,
        interaction: discord.Interaction[Any],  # noqa: ARG002 - as discord.py calls it
        value: app_commands.AppCommandChannel,
        /,
    ) -> app_commands.AppCommandChannel:
        """Take what was chosen as it is."""
        return value


def _add_channel(group: Group, clerk: Clerk) -> None:
    @group.command(**named("admin_channel"))
    @options("channel", "allowed")
    async def channel_(
        interaction: discord.Interaction[DiscordClient],
        *,
        channel: app_commands.Transform[app_commands.AppCommandChannel, WhereToWrite],
        allowed: bool,
    ) -> None:
        async def work(call: Call) -> None:
            if allowed and len(call.guest.rules.channels) >= MAX_CHANNELS:
                await call.say("admin_many_channels", count=MAX_CHANNELS)
                return
            await change(
                clerk, call, lambda rules: with_channel(rules, str(channel.id), allowed=allowed)
            )

        await clerk.attend(interaction, work)


def with_channel(rules: CommunityRules, channel: str, *, allowed: bool) -> CommunityRules:
    """Return ``rules`` with or without a channel among those where one may ask."""
    others = tuple(id_ for id_ in rules.channels if id_ != channel)
    return replace(rules, channels=(*others, channel) if allowed else others)


def _add_choices(group: Group, clerk: Clerk) -> None:
    @group.command(**named("admin_moderation"))
    @options("level")
    @app_commands.choices(level=choices_of("level", [USUAL, *MODERATION_LEVELS]))
    async def moderation(interaction: discord.Interaction[DiscordClient], level: str) -> None:
        chosen = None if level == USUAL else level
        await clerk.attend(
            interaction,
            lambda call: change(clerk, call, lambda rules: replace(rules, moderation=chosen)),
        )

    @group.command(**named("admin_language"))
    @options(language="server_language")
    @app_commands.choices(language=language_choices("language_auto"))
    async def language_(interaction: discord.Interaction[DiscordClient], language: str) -> None:
        chosen = None if language == AUTO else language
        await clerk.attend(
            interaction,
            lambda call: change(clerk, call, lambda rules: replace(rules, language=chosen)),
        )


def _add_pauses(group: Group, clerk: Clerk) -> None:
    @group.command(**named("admin_pause"))
    async def pause(interaction: discord.Interaction[DiscordClient]) -> None:
        await clerk.attend(interaction, lambda call: change(clerk, call, _paused))

    @group.command(**named("admin_resume"))
    async def resume(interaction: discord.Interaction[DiscordClient]) -> None:
        await clerk.attend(interaction, lambda call: change(clerk, call, _resumed))


def _paused(rules: CommunityRules) -> CommunityRules:
    return replace(rules, is_paused=True)


def _resumed(rules: CommunityRules) -> CommunityRules:
    return replace(rules, is_paused=False)


def _add_blocks(group: Group, clerk: Clerk) -> None:
    @group.command(**named("admin_block"))
    @options("person", "reason", days="block_days")
    async def block(
        interaction: discord.Interaction[DiscordClient],
        person: discord.User,
        days: app_commands.Range[int, 1, MAX_DAYS] | None = None,
        reason: app_commands.Range[str, 1, MAX_REASON_CHARS] = "",
    ) -> None:
        until = None if days is None else clerk.clock() + timedelta(days=days)

        async def work(call: Call) -> None:
            await clerk.desk.block(
                _person(person.id),
                community=_server(call),
                until=until,
                reason=reason,
                by=_by(call),
            )
            await call.say("admin_block_done", person=f"<@{person.id}>")

        await clerk.attend(interaction, work)

    @group.command(**named("admin_unblock"))
    @options("person")
    async def unblock(
        interaction: discord.Interaction[DiscordClient], person: discord.User
    ) -> None:
        async def work(call: Call) -> None:
            was_blocked = await clerk.desk.unblock(
                _person(person.id), community=_server(call), by=_by(call)
            )
            key = "admin_unblock_done" if was_blocked else "admin_not_blocked"
            await call.say(key, person=f"<@{person.id}>")

        await clerk.attend(interaction, work)

    @group.command(**named("admin_blocks"))
    async def blocks(interaction: discord.Interaction[DiscordClient]) -> None:
        async def work(call: Call) -> None:
            await call.tell(lines.blocks_text(await clerk.desk.blocks(_server(call)), call.words))

        await clerk.attend(interaction, work)


def _add_stats(group: Group, clerk: Clerk) -> None:
    @group.command(**named("admin_stats"))
    @options(days="stats_days")
    async def stats(
        interaction: discord.Interaction[DiscordClient],
        days: app_commands.Range[int, 1, MAX_DAYS] = 7,
    ) -> None:
        async def work(call: Call) -> None:
            found = await clerk.desk.community_stats(
                Platform.DISCORD, _server(call), since=clerk.clock() - timedelta(days=days)
            )
            await call.tell(lines.stats_text(found, days, call.words))

        await clerk.attend(interaction, work)


def _server(call: Call) -> str:
    assert call.guest.community is not None  # noqa: S101 - the group exists only in servers
    return call.guest.community


def _by(call: Call) -> str:
    return f"discord:{call.guest.person.id}"


def _person(id_: int) -> Person:
    return Person(platform=Platform.DISCORD, id=str(id_))
