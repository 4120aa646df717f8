"""What each button does. By now the press is acknowledged; whatever is raised is told.

New pictures are asked for like any others: by the person who presses, within that person's
allowance. What only changes a message is for those who may (``rights``).
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from bot.discord.address import address_of
from bot.discord.buttons.ids import Verb
from bot.discord.buttons.modals import (
    COUNT,
    MAX_PICTURES,
    PROMPT,
    REASON,
    remix_modal,
    report_modal,
)
from bot.discord.buttons.rights import may_change
from bot.discord.cards import toggled, upscaled_card
from bot.discord.delivery import nonce_of
from bot.discord.errors import ClosedError
from bot.discord.files import DIRECT_LIMIT_BYTES, shown_upscaled, uploads_of
from bot.discord.guests import guest_of
from bot.discord.intake import Answer, person_of, submission_of
from bot.discord.words import words_of
from bot.jobs import BlockedError, Canceller, PausedError, Submitter, UnknownPictureError
from bot.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    import discord
    from discord import ui

    from bot.desk import Desk
    from bot.discord.address import Address
    from bot.discord.buttons.ids import Press
    from bot.discord.delivery import DiscordDelivery
    from bot.discord.words import Words
    from bot.jobs import JobId
    from bot.store import Past
    from bot.studio import Studio
    from engine.api import DrawRequest

    Interaction = discord.Interaction[Any]
    Act = Callable[[Interaction, Press], Awaitable[None]]


class Flow(Submitter, Canceller, Protocol):
    """The parts of the service that buttons need."""


class ToldError(Exception):
    """A press comes to nothing; ``key`` is the phrase that says why."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Acts:
    """Carries out presses.

    Every act may raise a ``RefusedError``, ``EngineError``, ``StoreError``, ``DeliveryError``
    or ``ToldError``.
    """

    def __init__(self, flow: Flow, studio: Studio, desk: Desk, delivery: DiscordDelivery) -> None:
        self._flow = flow
        self._studio = studio
        self._desk = desk
        self._delivery = delivery
        self._upscaling: set[int] = set()

    def __repr__(self) -> str:
        return f"<Acts {len(self._upscaling)} people upscaling>"

    def of(self, verb: Verb) -> tuple[Answer, Act]:
        """Return what to announce for a button without a dialog, and what it does."""
        return {
            Verb.UPSCALE: (Answer.MESSAGE, self.upscale),
            Verb.VARIATIONS: (Answer.MESSAGE, self.vary),
            Verb.REDRAW: (Answer.MESSAGE, self.redraw),
            Verb.SAVE: (Answer.WHISPER, self.save),
            Verb.SPOILER: (Answer.CHANGE, self.cover),
            Verb.DELETE: (Answer.CHANGE, self.delete),
            Verb.CANCEL: (Answer.CHANGE, self.cancel),
            Verb.FETCH: (Answer.CHANGE, self.fetch),
        }[verb]

    # -------------------------------------------------------------------------- new pictures

    async def vary(self, interaction: Interaction, press: Press) -> None:
        """Ask for as many pictures as there were, which begin like one of them."""
        past = await self._past(press.job_id)
        count = min(past.job.submission.request.picture_count, MAX_PICTURES)
        request = await self._studio.variation(press.job_id, press.n, picture_count=count)
        await self._submit(interaction, request, press.job_id)

    async def redraw(self, interaction: Interaction, press: Press) -> None:
        """Ask for other pictures of the same words."""
        request = await self._studio.redraw(press.job_id)
        await self._submit(interaction, request, press.job_id)

    async def remix(self, interaction: Interaction, press: Press, fields: dict[str, str]) -> None:
        """Ask for pictures of other words, with the options of those before."""
        request = await self._studio.redraw(press.job_id)
        other = replace(request, prompt=fields[PROMPT], picture_count=int(fields[COUNT]), keep=())
        await self._submit(interaction, other, press.job_id)

    async def upscale(self, interaction: Interaction, press: Press) -> None:
        """Show one picture four times as large; one at a time for each person."""
        await self._require_welcome(interaction)
        past, address = await self._past(press.job_id), await self._public(interaction)
        words = words_of(address.locale)
        with self._only_one_for(interaction.user.id):
            png = await self._studio.upscaled(press.job_id, press.n)
        shown = shown_upscaled(past, press.n, png, words)
        limit_bytes = address.filesize_limit_bytes
        uploads = await asyncio.to_thread(uploads_of, [shown], each_limit_bytes=limit_bytes)
        await self._delivery.mail.edit(
            address,
            lambda: (
                upscaled_card(past, uploads, words),
                [upload.file() for upload in uploads],
            ),
        )

    # ------------------------------------------------------------------------ old pictures

    async def save(self, interaction: Interaction, press: Press) -> None:
        """Send the pictures to the person in private."""
        past, address = await self._past(press.job_id), await self._whispered(interaction)
        limit_bytes = min(address.filesize_limit_bytes, DIRECT_LIMIT_BYTES)
        card = await self._delivery.repainted(address, past, limit_bytes=limit_bytes)
        nonce = nonce_of(str(interaction.id), "saved")
        try:
            await self._delivery.mail.direct(interaction.user.id, card, nonce=nonce)
        except ClosedError as error:
            raise ToldError("button_direct_closed") from error
        await self._say(address, "button_saved")

    async def fetch(self, interaction: Interaction, press: Press) -> None:
        """Put pictures into the message that could not be changed when they were done."""
        past = await self._past(press.job_id)
        if not may_change(interaction, past):
            raise ToldError("button_not_yours")
        if past.finished_at is None:
            raise ToldError("button_not_done")
        await self._delivery.show(await self._public(interaction), past)

    # -------------------------------------------------------------------------- the message

    async def cover(self, interaction: Interaction, press: Press) -> None:
        """Hide the pictures of the message, or show them."""
        await self._require_right(interaction, press.job_id)
        address, message = await self._public(interaction), interaction.message
        if message is not None:
            layout = toggled(message, words_of(address.locale), is_hidden=bool(press.n))
            await self._delivery.mail.relabel(address, layout)

    async def delete(self, interaction: Interaction, press: Press) -> None:
        """Take the message away."""
        await self._require_right(interaction, press.job_id)
        await self._delivery.mail.remove(address_of(interaction))

    async def cancel(self, interaction: Interaction, press: Press) -> None:
        """Give up a request that is not done, for the person whose it is."""
        job = await self._flow.cancel(press.job_id, person_of(interaction))
        await self._delivery.cancelled(job, through=await self._public(interaction))

    # --------------------------------------------------------------------------- dialogs

    async def dialog(self, press: Press, words: Words) -> ui.Modal:
        """Return the dialog that a button opens."""
        if press.verb is Verb.REPORT:
            return report_modal(press, words)
        past = await self._past(press.job_id)
        return remix_modal(press, past.job.submission.request, words)

    async def report(self, interaction: Interaction, press: Press, fields: dict[str, str]) -> None:
        """Tell the admins that somebody finds fault with the pictures."""
        await self._studio.report(press.job_id, person_of(interaction), reason=fields[REASON])
        await self._say(await self._whispered(interaction), "button_reported")

    # --------------------------------------------------------------------------- steps

    async def _submit(self, interaction: Interaction, request: DrawRequest, origin: JobId) -> None:
        guest = await guest_of(interaction, self._desk)
        submission = submission_of(interaction, request, guest=guest, origin=origin)
        await self._flow.submit(submission)

    async def locale_of(self, interaction: Interaction, *, is_public: bool) -> str:
        """The language of an answer; if the store fails, that of the person's Discord."""
        try:
            guest = await guest_of(interaction, self._desk)
        except StoreError:
            return str(interaction.locale)
        return guest.public_locale if is_public else guest.own_locale

    async def _public(self, interaction: Interaction) -> Address:
        """The place of an answer that everybody there can read."""
        return address_of(interaction, locale=await self.locale_of(interaction, is_public=True))

    async def _whispered(self, interaction: Interaction) -> Address:
        """The place of an answer that only the person can read."""
        return address_of(interaction, locale=await self.locale_of(interaction, is_public=False))

    async def _say(self, address: Address, key: str) -> None:
        await self._delivery.answer(address, words_of(address.locale).say(key))

    async def _past(self, job_id: JobId) -> Past:
        past = await self._studio.past(job_id)
        if past is None:
            raise UnknownPictureError
        return past

    async def _require_right(self, interaction: Interaction, job_id: JobId) -> None:
        if not may_change(interaction, await self._studio.past(job_id)):
            raise ToldError("button_not_yours")

    async def _require_welcome(self, interaction: Interaction) -> None:
        """Refuse what the service would refuse, for acts that do not go through it."""
        if await self._desk.is_paused():
            raise PausedError
        here = None if interaction.guild_id is None else str(interaction.guild_id)
        for community in {None, here}:
            for block in await self._desk.blocks(community):
                if block.person == person_of(interaction):
                    raise BlockedError(until=block.until, is_everywhere=community is None)

    @contextmanager
    def _only_one_for(self, user_id: int) -> Generator[None]:
        if user_id in self._upscaling:
            raise ToldError("button_busy")
        self._upscaling.add(user_id)
        try:
            yield
        finally:
            self._upscaling.discard(user_id)
