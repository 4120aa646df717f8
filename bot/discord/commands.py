"""The slash commands: what a person can type, and what becomes of it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import discord
from discord import app_commands

from bot import sentences
from bot.discord.address import address_of
from bot.discord.intake import acknowledge, submission_of
from bot.jobs import DeliveryError, DuplicateEventError, RefusedError
from engine.api import MAX_PROMPT_CHARS, MAX_SEED, DrawRequest, InvalidRequestError

if TYPE_CHECKING:
    from bot.discord.client import DiscordClient
    from bot.discord.delivery import DiscordDelivery
    from bot.jobs import Submitter

log = logging.getLogger(__name__)

MAX_PICTURES: Final = 9  # a message carries ten files; nine make a square


class Commands:
    """Turns slash commands into submissions. Knows its running ones, to await them at exit."""

    def __init__(self, submitter: Submitter, delivery: DiscordDelivery) -> None:
        self._submitter = submitter
        self._delivery = delivery
        self._running: set[asyncio.Task[None]] = set()

    def add_to(self, tree: app_commands.CommandTree[DiscordClient]) -> None:
        """Define the commands in ``tree``."""

        @app_commands.describe(
            prompt=sentences.DISCORD_PROMPT_HELP,
            pictures=sentences.DISCORD_PICTURES_HELP,
            seed=sentences.DISCORD_SEED_HELP,
        )
        async def imagine(
            interaction: discord.Interaction[DiscordClient],
            prompt: app_commands.Range[str, 1, MAX_PROMPT_CHARS],
            pictures: app_commands.Range[int, 1, MAX_PICTURES] = MAX_PICTURES,
            seed: app_commands.Range[int, 0, MAX_SEED] | None = None,
        ) -> None:
            await self._run(interaction, prompt, pictures, seed)

        tree.command(name="imagine", description=sentences.DISCORD_IMAGINE_HELP)(imagine)
        tree.error(self._on_error)

    async def finish(self, *, within_s: float) -> None:
        """Await the commands that are being accepted just now."""
        if self._running:
            await asyncio.wait(self._running, timeout=within_s)

    async def _run(
        self,
        interaction: discord.Interaction[DiscordClient],
        prompt: str,
        picture_count: int,
        seed: int | None,
    ) -> None:
        task = asyncio.ensure_future(self._imagine(interaction, prompt, picture_count, seed))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await task

    async def _imagine(
        self,
        interaction: discord.Interaction[DiscordClient],
        prompt: str,
        picture_count: int,
        seed: int | None,
    ) -> None:
        """Acknowledge, submit, and say why if the answer is no."""
        if not await acknowledge(interaction):
            return
        try:
            request = DrawRequest(prompt=prompt, picture_count=picture_count, seed=seed)
            await self._submitter.submit(submission_of(interaction, request))
        except DuplicateEventError:
            log.info("interaction seen before: interaction_id=%s", interaction.id)
        except (RefusedError, InvalidRequestError) as error:
            await self._answer(interaction, self._delivery.explain(error))

    async def _on_error(
        self,
        interaction: discord.Interaction[DiscordClient],
        error: app_commands.AppCommandError,
    ) -> None:
        """Answer what went wrong before or inside a command; called by discord.py."""
        if isinstance(error, app_commands.CommandInvokeError):
            log.error("command failed: interaction_id=%s", interaction.id, exc_info=error.original)
            await self._answer(interaction, self._delivery.explain(error.original))
        elif await acknowledge(interaction):
            log.info("command not understood: error=%s", type(error).__name__)
            await self._answer(interaction, sentences.DISCORD_OUTDATED_COMMAND)

    async def _answer(self, interaction: discord.Interaction[DiscordClient], sentence: str) -> None:
        try:
            await self._delivery.answer(address_of(interaction), sentence)
        except DeliveryError as error:
            log.warning("answer not shown: interaction_id=%s error=%s", interaction.id, error)
