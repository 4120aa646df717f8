"""``/imagine``: words in, pictures out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import discord
from discord import app_commands

from bot.discord.commands.naming import choices_of, named, options
from bot.discord.intake import Answer, submission_of
from bot.discord.styles import MAX_ADDED_CHARS, NO_STYLE, STYLES, styled
from engine.api import MAX_PROMPT_CHARS, MAX_SEED, DrawRequest, SamplingOptions

if TYPE_CHECKING:
    from bot.discord.client import DiscordClient
    from bot.discord.commands.clerk import Call, Clerk

MAX_PICTURES: Final = 9  # a message carries ten files; nine make a square
MAX_WORDS_CHARS: Final = MAX_PROMPT_CHARS - MAX_ADDED_CHARS


def add_to(tree: app_commands.CommandTree[DiscordClient], clerk: Clerk) -> None:
    """Define the command."""

    # Discord checks the bounds, so that nobody can ask for what ``SamplingOptions`` refuses.
    @tree.command(**named("imagine"))
    @options(
        "prompt", "pictures", "seed", "style", "temperature", "top_k", "top_p", "condition_scale"
    )
    @app_commands.choices(style=choices_of("style", [NO_STYLE, *STYLES]))
    async def imagine(
        interaction: discord.Interaction[DiscordClient],
        *,
        prompt: app_commands.Range[str, 1, MAX_WORDS_CHARS],
        pictures: app_commands.Range[int, 1, MAX_PICTURES] | None = None,
        seed: app_commands.Range[int, 0, MAX_SEED] | None = None,
        style: str | None = None,
        temperature: app_commands.Range[float, 0.01, 10.0] | None = None,
        top_k: app_commands.Range[int, 0, 65_536] | None = None,
        top_p: app_commands.Range[float, 0.01, 1.0] | None = None,
        condition_scale: app_commands.Range[float, 0.0, 100.0] | None = None,
    ) -> None:
        chosen = SamplingOptions(
            temperature=temperature, top_k=top_k, top_p=top_p, condition_scale=condition_scale
        )

        async def work(call: Call) -> None:
            await ask(clerk, call, prompt, count=pictures, seed=seed, style=style, chosen=chosen)

        await clerk.attend(interaction, work, Answer.MESSAGE)


async def ask(
    clerk: Clerk,
    call: Call,
    prompt: str,
    *,
    count: int | None = None,
    seed: int | None = None,
    style: str | None = None,
    chosen: SamplingOptions | None = None,
) -> None:
    """Submit a request; what it leaves open is as the person prefers.

    Raises:
        RefusedError: It was not accepted.
        InvalidRequestError: It cannot be drawn.
        StoreError: The database failed.
    """
    if not prompt.strip():
        await call.say("prompt_empty")
        return
    profile = call.guest.profile
    request = DrawRequest(
        prompt=styled(prompt, style or profile.style),
        picture_count=count or profile.picture_count or MAX_PICTURES,
        seed=seed,
        options=chosen or SamplingOptions(),
    )
    await clerk.service.submit(submission_of(call.interaction, request, guest=call.guest))
