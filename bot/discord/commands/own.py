"""What concerns only the person: allowance, queue, cancelling, preferences, help."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import discord
from discord import app_commands

from bot.desk import Profile
from bot.discord.commands import lines
from bot.discord.commands.clerk import suggested
from bot.discord.commands.imagine import MAX_PICTURES  # noqa: TC001 - discord.py reads it
from bot.discord.commands.naming import choices_of, named, options, told
from bot.discord.guests import person_of
from bot.discord.styles import NO_STYLE, STYLES
from bot.discord.words import words_of
from bot.jobs import JobId
from bot.phrases import GRAMMARS

if TYPE_CHECKING:
    from bot.discord.client import DiscordClient
    from bot.discord.commands.clerk import Call, Clerk

AUTO: Final = "auto"
MAX_CHOICES: Final = 25  # Source: Discord API documentation, "Application Command Option"


def language_choices(none: str) -> list[app_commands.Choice[str]]:
    """Return the languages under their own names, after the phrase ``none`` for no choice."""
    auto = app_commands.Choice(name=told(none), value=AUTO)
    return [
        auto,
        *(
            app_commands.Choice(name=words_of(each).say("language"), value=each)
            for each in GRAMMARS
        ),
    ]


def add_to(tree: app_commands.CommandTree[DiscordClient], clerk: Clerk) -> None:
    """Define the commands."""
    _add_quota(tree, clerk)
    _add_queue(tree, clerk)
    _add_cancel(tree, clerk)
    _add_settings(tree, clerk)
    _add_help(tree, clerk)


def _add_quota(tree: app_commands.CommandTree[DiscordClient], clerk: Clerk) -> None:
    async def work(call: Call) -> None:
        guest = call.guest
        standing = await clerk.service.standing(
            guest.person, community=guest.community, tiers=guest.tiers
        )
        await call.tell(lines.quota_text(standing, call.words))

    @tree.command(**named("quota"))
    async def quota(interaction: discord.Interaction[DiscordClient]) -> None:
        await clerk.attend(interaction, work)


def _add_queue(tree: app_commands.CommandTree[DiscordClient], clerk: Clerk) -> None:
    async def work(call: Call) -> None:
        view = await clerk.studio.queue(call.guest.person)
        await call.tell(lines.queue_text(view, call.words))

    @tree.command(**named("queue"))
    async def queue(interaction: discord.Interaction[DiscordClient]) -> None:
        await clerk.attend(interaction, work)


def _add_cancel(tree: app_commands.CommandTree[DiscordClient], clerk: Clerk) -> None:
    async def suggest(
        interaction: discord.Interaction[DiscordClient], current: str
    ) -> list[app_commands.Choice[str]]:
        async def find() -> list[app_commands.Choice[str]]:
            own = (await clerk.studio.queue(person_of(interaction))).own
            fitting = [job for job in own if current.lower() in lines.choice_of(job).lower()]
            return [
                app_commands.Choice(name=lines.choice_of(job), value=job.id)
                for job in fitting[:MAX_CHOICES]
            ]

        return await suggested(interaction, find)

    @tree.command(**named("cancel"))
    @options("request")
    @app_commands.autocomplete(request=suggest)
    async def cancel(
        interaction: discord.Interaction[DiscordClient], request: str | None = None
    ) -> None:
        async def work(call: Call) -> None:
            await cancel_one(clerk, call, request)

        await clerk.attend(interaction, work)


async def cancel_one(clerk: Clerk, call: Call, request: str | None) -> None:
    """Cancel the request of that id, or the only one that there is.

    Raises:
        NotCancellableError: It is over, on its way, or another's.
    """
    if request is None:
        own = (await clerk.studio.queue(call.guest.person)).own
        if len(own) != 1:
            await call.say("cancel_which" if own else "cancel_none")
            return
        request = own[0].id
    job = await clerk.service.cancel(JobId(request), call.guest.person)
    await call.say("cancel_done", prompt=lines.prompt_of(job))
    await clerk.delivery.cancelled(job)  # in the message where the pictures would have been


def _add_settings(tree: app_commands.CommandTree[DiscordClient], clerk: Clerk) -> None:
    @tree.command(**named("settings"))
    @options(
        "style",
        "language",
        "reset",
        pictures="usual_pictures",
        direct_messages="direct_messages",
        spoiler="spoiler",
    )
    @app_commands.choices(
        style=choices_of("style", [NO_STYLE, *STYLES]),
        language=language_choices("language_discord"),
    )
    async def settings(
        interaction: discord.Interaction[DiscordClient],
        *,
        pictures: app_commands.Range[int, 1, MAX_PICTURES] | None = None,
        style: str | None = None,
        language: str | None = None,
        direct_messages: bool | None = None,
        spoiler: bool | None = None,
        reset: bool = False,
    ) -> None:
        async def work(call: Call) -> None:
            before = call.guest.profile
            after = changed(
                Profile() if reset else before,
                pictures=pictures,
                style=style,
                language=language,
                direct_messages=direct_messages,
                spoiler=spoiler,
            )
            if after != before:
                await clerk.desk.set_profile(call.guest.person, after)
            words = words_of(after.language or call.guest.locale)
            await call.tell(lines.profile_text(after, words))

        await clerk.attend(interaction, work)


def changed(
    profile: Profile,
    *,
    pictures: int | None,
    style: str | None,
    language: str | None,
    direct_messages: bool | None,
    spoiler: bool | None,
) -> Profile:
    """Return ``profile`` with what was chosen anew; ``None`` leaves something as it is."""
    if pictures is not None:
        profile = replace(profile, picture_count=pictures)
    if style is not None:
        profile = replace(profile, style=None if style == NO_STYLE else style)
    if language is not None:
        profile = replace(profile, language=None if language == AUTO else language)
    if direct_messages is not None:
        profile = replace(profile, may_dm=direct_messages)
    if spoiler is not None:
        profile = replace(profile, spoiler=spoiler)
    return profile


def _add_help(tree: app_commands.CommandTree[DiscordClient], clerk: Clerk) -> None:
    async def work(call: Call) -> None:
        await call.say("help")

    @tree.command(**named("help"))
    async def help_(interaction: discord.Interaction[DiscordClient]) -> None:
        await clerk.attend(interaction, work)
