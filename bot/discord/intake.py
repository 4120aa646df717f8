"""How an interaction is taken in: acknowledged within three seconds, then made a submission.

Discord waits three seconds for a sign of life, so that comes before everything else; the
quota and the store are asked afterwards.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, Protocol, assert_never

import discord

from bot.discord.address import MESSAGE_ID, address_of
from bot.discord.errors import ALREADY_ACKNOWLEDGED, FOREIGN, persistently
from bot.discord.guests import person_of, stranger_of
from bot.jobs import Submission

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.discord.guests import Guest
    from bot.jobs import JobId
    from engine.api import DrawRequest

__all__ = ["Answer", "acknowledge", "open_dialog", "person_of", "submission_of"]

log = logging.getLogger(__name__)

# A quarter of a second less than Discord waits: later it would be wasted.
ACKNOWLEDGE_WITHIN_S: Final = 2.75
ACKNOWLEDGE_WAITS_S: Final = (0.1, 0.3, 0.6)


class Answer(Enum):
    """What an acknowledgement announces."""

    MESSAGE = auto()
    """A new message, which everybody sees."""
    WHISPER = auto()
    """A new message for nobody but the person."""
    CHANGE = auto()
    """A change of the message whose button was pressed; nothing is seen until then."""


class Hearer(Protocol):
    """Hears how long Discord waited for a sign of life: ``bot.metrics``."""

    def acknowledged(self, duration_s: float, *, is_in_time: bool) -> None:
        """An interaction was acknowledged, or Discord gave up on it, so long after it came."""
        ...


class Unheard:
    """A ``Hearer`` where nobody wants to know."""

    def acknowledged(self, duration_s: float, *, is_in_time: bool) -> None:
        """Forget it."""


def submission_of(
    interaction: discord.Interaction[Any],
    request: DrawRequest,
    *,
    guest: Guest | None = None,
    origin: JobId | None = None,
) -> Submission:
    """Return what an interaction asks for. Discord shows previews, so they are asked for too.

    Args:
        interaction: What somebody did.
        request: What to draw.
        guest: What is known of them; by default only what the interaction says.
        origin: The job whose picture or words it goes on with.
    """
    guest = guest or stranger_of(interaction)
    return Submission(
        person=guest.person,
        event_id=str(interaction.id),
        request=replace(request, preview=True),
        address=address_of(interaction, locale=guest.public_locale).to_json(),
        community=guest.community,
        channel=guest.channel,
        tiers=guest.tiers,
        origin=origin,
    )


async def acknowledge(
    interaction: discord.Interaction[Any], answer: Answer = Answer.MESSAGE
) -> bool:
    """Give the sign of life and return whether the answer can be edited from now on.

    It can when somebody acknowledged before: an earlier try that seemed lost, or this very
    process before it was killed.
    """
    return await _in_time(interaction, lambda: _defer(interaction, answer))


async def open_dialog(interaction: discord.Interaction[Any], dialog: discord.ui.Modal) -> bool:
    """Give the sign of life by a dialog and return whether it can be seen."""
    return await _in_time(interaction, lambda: interaction.response.send_modal(dialog))


async def _in_time(
    interaction: discord.Interaction[Any], attempt: Callable[[], Awaitable[object]]
) -> bool:
    loop = asyncio.get_running_loop()
    begun_s, is_in_time = loop.time(), False
    try:
        is_in_time = await _tried(interaction, attempt)
    finally:
        interaction.client.heard.acknowledged(loop.time() - begun_s, is_in_time=is_in_time)
    return is_in_time


async def _tried(
    interaction: discord.Interaction[Any], attempt: Callable[[], Awaitable[object]]
) -> bool:
    try:
        async with asyncio.timeout(ACKNOWLEDGE_WITHIN_S):
            await persistently(attempt, ACKNOWLEDGE_WAITS_S)
    except FOREIGN as error:
        if isinstance(error, discord.HTTPException) and error.code == ALREADY_ACKNOWLEDGED:
            return True
        log.warning(
            "not acknowledged in time: interaction_id=%s error=%s",
            interaction.id,
            type(error).__name__,
        )
        return False
    return True


async def _defer(interaction: discord.Interaction[Any], answer: Answer) -> None:
    match answer:
        case Answer.MESSAGE:
            told = await interaction.response.defer(thinking=True)
        case Answer.WHISPER:
            told = await interaction.response.defer(thinking=True, ephemeral=True)
        case Answer.CHANGE:
            told = await interaction.response.defer()
        case _:
            assert_never(answer)
    if told is not None:
        interaction.extras[MESSAGE_ID] = told.message_id
