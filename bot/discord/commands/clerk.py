"""Takes every use of a command in the same way.

First the sign of life, for Discord waits only three seconds; then who asks and in which
language, from the store; then the command's own work; and a sentence if the answer is no.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from discord import app_commands

from bot.discord.cards import text_card
from bot.discord.errors import delivery_errors, persistently
from bot.discord.guests import guest_of
from bot.discord.intake import Answer, acknowledge
from bot.discord.reasons import reason
from bot.discord.words import words_of
from bot.jobs import DeliveryError, DuplicateEventError, RefusedError, UnavailableError
from bot.store import StoreError
from engine.api import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from datetime import datetime

    import discord

    from bot.desk import Desk
    from bot.discord.cards import Layout
    from bot.discord.client import DiscordClient
    from bot.discord.delivery import DiscordDelivery
    from bot.discord.guests import Guest
    from bot.discord.words import Words
    from bot.service import Service
    from bot.studio import Studio

    Interaction = discord.Interaction[DiscordClient]
    Work = Callable[["Call"], Awaitable[None]]
    # Makes the message anew for every try: an upload is used up by the try that sent it.
    Compose = Callable[[], tuple[Layout, Sequence[discord.File]]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A use of a command that was acknowledged.

    Attributes:
        interaction: As Discord told it.
        guest: Who it is.
        words: The language of the answer.
        waits_s: Pauses before another try to answer.
    """

    interaction: Interaction
    guest: Guest
    words: Words
    waits_s: Sequence[float] = ()

    async def say(self, key: str, /, **values: str | int) -> None:
        """Answer with a phrase.

        Raises:
            DeliveryError: It did not arrive.
        """
        await self.tell(self.words.say(key, **values))

    async def tell(self, text: str) -> None:
        """Answer with a text.

        Raises:
            DeliveryError: It did not arrive.
        """
        await self.show(lambda: (text_card(text), []))

    async def show(self, compose: Compose) -> None:
        """Answer with a message.

        Raises:
            DeliveryError: It did not arrive.
        """

        async def edit() -> None:
            layout, files = compose()
            await self.interaction.edit_original_response(view=layout, attachments=files)

        with delivery_errors():
            await persistently(edit, self.waits_s)


class Clerk:
    """What the commands work with. Knows those that are running, to await them at exit."""

    def __init__(
        self,
        *,
        service: Service,
        studio: Studio,
        desk: Desk,
        delivery: DiscordDelivery,
        clock: Callable[[], datetime],
        retry_waits_s: Sequence[float] = (),
    ) -> None:
        self.service = service
        self.studio = studio
        self.desk = desk
        self.delivery = delivery
        self.clock = clock
        self._waits_s = retry_waits_s
        self._presses: dict[str, tuple[Answer, Callable[[Call, str], Awaitable[None]]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def on_press(
        self, verb: str, answer: Answer, work: Callable[[Call, str], Awaitable[None]]
    ) -> None:
        """Say what a button of ``commands.buttons`` does."""
        self._presses[verb] = answer, work

    async def press(self, interaction: Interaction, verb: str, of: str) -> None:
        """Do what the button ``verb`` does, for the person, job or page ``of``."""
        answer, work = self._presses.get(verb, (Answer.WHISPER, _outdated))
        try:
            await self.attend(interaction, lambda call: work(call, of), answer)
        except Exception as error:
            log.exception("button failed: interaction_id=%s", interaction.id)
            await self._answer(interaction, error, words_of(str(interaction.locale)))

    async def attend(
        self, interaction: Interaction, work: Work, answer: Answer = Answer.WHISPER
    ) -> None:
        """Acknowledge with ``answer``, do ``work``, and say why if the answer is no."""
        await self._own(self._attend(interaction, work, answer))

    async def finish(self, *, within_s: float) -> None:
        """Await what is being attended to just now."""
        if self._running:
            await asyncio.wait(self._running, timeout=within_s)

    async def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await task

    async def _attend(self, interaction: Interaction, work: Work, answer: Answer) -> None:
        if not await acknowledge(interaction, answer):
            return
        words = words_of(str(interaction.locale))
        try:
            guest = await guest_of(interaction, self.desk)
            is_public = answer is Answer.MESSAGE
            words = words_of(guest.public_locale if is_public else guest.own_locale)
            await work(
                Call(interaction=interaction, guest=guest, words=words, waits_s=self._waits_s)
            )
        except DuplicateEventError:
            log.info("interaction seen before: interaction_id=%s", interaction.id)
        except StoreError as error:
            log.error("store failed: interaction_id=%s error=%s", interaction.id, error)  # noqa: TRY400 - expected
            await self._answer(interaction, UnavailableError(), words)
        except (RefusedError, EngineError) as error:
            await self._answer(interaction, error, words)
        except DeliveryError as error:
            log.warning("answer not shown: interaction_id=%s error=%s", interaction.id, error)

    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError) -> None:
        """Answer what went wrong before or inside a command; called by discord.py."""
        words = words_of(str(interaction.locale))
        if isinstance(error, app_commands.CommandInvokeError):
            log.error("command failed: interaction_id=%s", interaction.id, exc_info=error.original)
            await self._answer(interaction, error.original, words)
        elif await acknowledge(interaction, Answer.WHISPER):
            log.info("command not understood: error=%s", type(error).__name__)
            await self._tell(interaction, words.say("command_outdated"))

    async def _answer(self, interaction: Interaction, error: Exception, words: Words) -> None:
        await self._tell(interaction, reason(error, self.clock(), words))

    async def _tell(self, interaction: Interaction, sentence: str) -> None:
        async def edit() -> None:
            await interaction.edit_original_response(view=text_card(sentence), attachments=[])

        try:
            with delivery_errors():
                await persistently(edit, self._waits_s)
        except DeliveryError as error:
            log.warning("answer not shown: interaction_id=%s error=%s", interaction.id, error)


async def _outdated(call: Call, _of: str) -> None:
    await call.say("button_outdated")


async def suggested(
    interaction: Interaction,
    find: Callable[[], Awaitable[list[app_commands.Choice[str]]]],
    *,
    within_s: float = 1.5,
) -> list[app_commands.Choice[str]]:
    """Return suggestions, or none if they take too long or fail: a person can do without."""
    try:
        async with asyncio.timeout(within_s):
            return await find()
    except (TimeoutError, StoreError) as error:
        log.info(
            "nothing suggested: interaction_id=%s error=%s", interaction.id, type(error).__name__
        )
        return []
