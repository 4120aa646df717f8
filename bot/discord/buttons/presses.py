"""How a press or a dialog is taken in: acknowledged, carried out, and told why if it fails.

Discord waits three seconds for a sign of life, so that comes first; only a dialog, which must
be the first answer itself, is made before. What each button does stands in ``acts``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

import discord

from bot.discord.address import address_of
from bot.discord.buttons.acts import ToldError
from bot.discord.buttons.control import Control
from bot.discord.buttons.ids import Verb, press_of
from bot.discord.buttons.modals import fields_of
from bot.discord.errors import TooManyEditsError
from bot.discord.intake import Answer, acknowledge, open_dialog
from bot.discord.words import words_of
from bot.jobs import DeliveryError, DuplicateEventError
from bot.outcomes import outcome_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.discord.buttons.acts import Acts
    from bot.discord.buttons.ids import Press
    from bot.discord.client import DiscordClient
    from bot.discord.delivery import DiscordDelivery

    Interaction = discord.Interaction[Any]

log = logging.getLogger(__name__)

# A dialog must be there within three seconds, and the store is asked for its words before.
DIALOG_WITHIN_S: Final = 1.0


class Presses:
    """Takes presses and dialogs. Knows the running ones, to await them at exit."""

    def __init__(self, acts: Acts, delivery: DiscordDelivery) -> None:
        self._acts = acts
        self._delivery = delivery
        self._running: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Presses {len(self._running)} running>"

    def listen(self, client: DiscordClient) -> None:
        """Take what is pressed and sent in at ``client``, on all messages of the bot."""
        client.add_dynamic_items(Control)
        client.presses = self
        client.event(self.on_interaction)

    async def finish(self, *, within_s: float) -> None:
        """Await what is being carried out just now."""
        if self._running:
            await asyncio.wait(self._running, timeout=within_s)

    async def on_press(self, interaction: Interaction) -> None:
        """Carry out the press of a button or the choice in a menu."""
        data: Any = interaction.data
        press = press_of(data["custom_id"], data.get("values", ()))
        await self._own(self._press(interaction, press))

    async def on_interaction(self, interaction: Interaction) -> None:
        """Carry out a dialog that is sent in; discord.py calls this for all that arrives."""
        data: Any = interaction.data
        if interaction.type is discord.InteractionType.modal_submit:
            press = press_of(data["custom_id"])
            await self._own(self._send_in(interaction, press, fields_of(data)))

    async def _own(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await task

    async def _press(self, interaction: Interaction, press: Press | None) -> None:
        if press is None:
            await self._carry_out(interaction, Answer.WHISPER, _outdated)
        elif press.verb in {Verb.REMIX, Verb.REPORT}:
            await self._open(interaction, press)
        else:
            announced, act = self._acts.of(press.verb)
            await self._carry_out(interaction, announced, lambda: act(interaction, press))

    async def _send_in(
        self, interaction: Interaction, press: Press | None, fields: dict[str, str]
    ) -> None:
        if press is not None and press.verb is Verb.REMIX:
            remix = self._acts.remix
            await self._carry_out(
                interaction, Answer.MESSAGE, lambda: remix(interaction, press, fields)
            )
        elif press is not None and press.verb is Verb.REPORT:
            report = self._acts.report
            await self._carry_out(
                interaction, Answer.WHISPER, lambda: report(interaction, press, fields)
            )
        else:
            await self._carry_out(interaction, Answer.WHISPER, _outdated)

    async def _open(self, interaction: Interaction, press: Press) -> None:
        """Open the dialog, or acknowledge and say why there is none."""
        try:
            async with asyncio.timeout(DIALOG_WITHIN_S):
                locale = await self._acts.locale_of(interaction, is_public=False)
                dialog = await self._acts.dialog(press, words_of(locale))
        except Exception as error:  # noqa: BLE001 - one press: the others go on
            if await acknowledge(interaction, Answer.WHISPER):
                await self._tell(interaction, Answer.WHISPER, error)
        else:
            await open_dialog(interaction, dialog)

    async def _carry_out(
        self, interaction: Interaction, announced: Answer, work: Callable[[], Awaitable[None]]
    ) -> None:
        if not await acknowledge(interaction, announced):
            return
        try:
            await work()
        except DuplicateEventError:
            log.info("interaction seen before: interaction_id=%s", interaction.id)
        except Exception as error:  # noqa: BLE001 - one press: the others go on
            await self._tell(interaction, announced, error)

    async def _tell(self, interaction: Interaction, announced: Answer, error: Exception) -> None:
        """Say what went wrong: in the answer, or beside the message that stays as it is."""
        self._log(interaction, error)
        is_public = announced is Answer.MESSAGE
        locale = await self._acts.locale_of(interaction, is_public=is_public)
        sentence = self._sentence(error, locale)
        try:
            if announced is Answer.CHANGE:
                await self._delivery.mail.whisper(interaction, sentence)
            else:
                await self._delivery.answer(address_of(interaction), sentence)
        except DeliveryError as again:
            log.warning("answer not shown: interaction_id=%s error=%s", interaction.id, again)

    def _sentence(self, error: Exception, locale: str) -> str:
        match error:
            case ToldError(key=key):
                return words_of(locale).say(key)
            case TooManyEditsError() | TimeoutError():
                return words_of(locale).say("button_not_now")
            case _:
                return self._delivery.explain(error, locale)

    def _log(self, interaction: Interaction, error: Exception) -> None:
        level = logging.INFO if isinstance(error, ToldError) else outcome_of(error).log_level
        log.log(
            level,
            "press not carried out: interaction_id=%s error=%s",
            interaction.id,
            type(error).__name__,
            exc_info=error if level >= logging.ERROR else None,
        )


async def _outdated() -> None:
    raise ToldError("button_outdated")
