"""Hands results over: into the answer of the interaction, or else where the person finds them.

The token of an interaction edits its answer for 15 minutes; in the last of them the bot
leaves it alone. What is done later, or after a restart that took longer, goes the first of
these ways that is open:

1. a post in the channel, where the bot itself may post pictures;
2. a direct message, if the person has allowed that;
3. the history: the pictures count as delivered, and ``/history`` shows them.

Shortly before, the answer says which it will be (``bot.discord.states.farewell_of``).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bot.desk import Profile
from bot.discord.address import address_from
from bot.discord.cards import (
    result_card,
    result_of,
    result_of_past,
    says,
    shows_result_of,
    text_card,
)
from bot.discord.config import CardKind
from bot.discord.errors import ClosedError, TokenGoneError, TooBigError
from bot.discord.files import shown_again, shown_of, uploads_of
from bot.discord.mail import Mail
from bot.discord.progress import Progress
from bot.discord.reasons import reason
from bot.discord.states import composed, farewell_of, state_of
from bot.discord.words import words_of
from bot.jobs import UnknownPictureError
from bot.store import StoreError
from engine.api import Queued

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import discord

    from bot.desk import Desk
    from bot.discord.address import Address
    from bot.discord.cards import Result
    from bot.discord.client import DiscordClient
    from bot.discord.config import DiscordConfig
    from bot.discord.files import Shown
    from bot.discord.mail import Compose
    from bot.discord.states import State
    from bot.jobs import Job
    from bot.jobs import Progress as Event
    from bot.store import Past
    from bot.studio import Studio
    from engine.api import Drawn

    # As ``Compose``; the argument is put before everything else, as in "@somebody, your
    # pictures are ready".
    Introduced = Callable[[str], tuple[discord.ui.LayoutView, list[discord.File]]]

log = logging.getLogger(__name__)

# From here on the result is so near that one more edit could only delay it.
NEARLY_DONE: Final = 0.9
# How long before the end of the token the answer says what comes instead of an edit.
FAREWELL_S: Final = 30.0
# The part of the limit that is tried when Discord refuses files that keep the limit it told.
SMALLER: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parcel:
    """A message that is to reach the person of a job, whichever way.

    Attributes:
        what: Which of the job's messages it is.
        compose: Makes it anew for every try; see ``Introduced``.
        is_there: Whether a message of the bot is this one already.
    """

    job: Job
    what: str
    compose: Introduced
    is_there: Callable[[discord.Message], bool]

    @property
    def address(self) -> Address:
        return address_from(self.job.submission.address)


class DiscordDelivery:
    """Implements ``bot.jobs.Delivery``. Waits for the login where it has to."""

    def __init__(
        self,
        client: DiscordClient,
        config: DiscordConfig,
        *,
        studio: Studio,
        desk: Desk,
        clock: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._as_grid = config.card is CardKind.GRID
        self._clock = clock
        self._studio = studio
        self._desk = desk
        self._progress: Progress[State] = Progress(interval_s=config.progress_interval_s)
        self.mail = Mail(client, config.retry_waits_s)

    # --------------------------------------------------------------------- until it is done

    async def show_progress(self, job: Job, event: Event) -> None:
        """Note the newest state; the edit happens in the background."""
        address, now = address_from(job.submission.address), self._clock()
        is_near = not isinstance(event, Queued) and event.fraction >= NEARLY_DONE
        if is_near or not self._can_edit(address):
            return
        words = words_of(address.locale)
        before = self._progress.newest(job.id)
        self._progress.show(
            job.id,
            state_of(job.id, event, words, now=now, before=before),
            lambda state: self.mail.edit_once(address, lambda: composed(state, words)),
            farewell=farewell_of(job.id, address, words),
            farewell_in_s=(address.usable_until - now).total_seconds() - FAREWELL_S,
        )

    async def cancelled(self, job: Job, *, through: Address | None = None) -> None:
        """Say in the answer that its person has cancelled the job.

        Args:
            job: What was cancelled.
            through: The press of a button of that answer, which can edit it at any time.

        Raises:
            DeliveryError: It did not arrive.
        """
        await self._end_progress(job, "progress_cancelled", through)

    async def postpone(self, job: Job) -> None:
        """Say so where the pictures will be; not worth a message of its own.

        Raises:
            DeliveryError: It did not arrive.
        """
        await self._end_progress(job, "reason_postponed")

    async def _end_progress(self, job: Job, key: str, through: Address | None = None) -> None:
        await self._progress.stop(job.id)
        address = through or address_from(job.submission.address)
        if self._can_edit(address):
            await self.answer(address, words_of(address.locale).say(key))

    def _can_edit(self, address: Address) -> bool:
        return self._client.is_logged_in and address.has_live_token(self._clock())

    # ---------------------------------------------------------------------------- the result

    async def deliver(self, job: Job, drawn: Drawn) -> int | None:
        """Put the pictures, best first, where the person finds them.

        Returns:
            How many were shown, where some could not be made to fit.

        Raises:
            DeliveryError: They did not arrive.
        """
        result = result_of(job, drawn, as_grid=self._as_grid)
        is_covered = job.submission.is_soft or (await self._profile(job)).spoiler
        words = words_of(address_from(job.submission.address).locale)
        pictures = shown_of(drawn, result, words, is_covered=is_covered)
        await self._progress.stop(job.id)
        try:
            shown_count = await self._send_pictures(job, result, pictures)
        except ClosedError as error:
            log.info("left for the history: job_id=%s reason=%s", job.id, error)
            return None
        is_whole = self._as_grid or shown_count == len(drawn.pictures)
        return None if is_whole else shown_count

    async def show(self, address: Address, past: Past) -> None:
        """Paint the pictures of a past job again, into the answer of another interaction.

        Raises:
            UnknownPictureError: They are not kept.
            EngineError: They cannot be painted.
            DeliveryError: They did not arrive.
        """
        await self.mail.edit(address, await self.repainted(address, past))

    async def repainted(
        self, address: Address, past: Past, *, limit_bytes: int | None = None
    ) -> Compose:
        """Return the card of a past job, for a place where a file may weigh ``limit_bytes``.

        Raises:
            UnknownPictureError: They are not kept.
            EngineError: They cannot be painted.
        """
        if not past.pictures:
            raise UnknownPictureError
        words, result = words_of(address.locale), result_of_past(past)
        pngs = [await self._studio.picture(past.job.id, kept.rank) for kept in past.pictures]
        uploads = await asyncio.to_thread(
            uploads_of,
            shown_again(past, pngs, words),
            each_limit_bytes=limit_bytes or address.filesize_limit_bytes,
        )
        return lambda: (result_card(result, uploads, words), [u.file() for u in uploads])

    async def apologise(self, job: Job, error: Exception) -> None:
        """Say into the answer or into the channel why there are no pictures.

        Raises:
            DeliveryError: It did not arrive.
        """
        sentence = self.explain(error, address_from(job.submission.address).locale)
        await self._progress.stop(job.id)
        await self._hand_over(
            _Parcel(
                job=job,
                what="apology",
                compose=lambda intro: (text_card(f"{intro} {sentence}".strip()), []),
                is_there=lambda message: says(message, sentence),
            )
        )

    def explain(self, error: Exception, locale: str | None = None) -> str:
        """Put ``error`` into words, moments in Discord's own way."""
        return reason(error, self._clock(), words_of(locale))

    async def answer(self, address: Address, sentence: str) -> None:
        """Put ``sentence`` into the answer of an interaction.

        Raises:
            DeliveryError: It did not arrive.
        """
        await self.mail.edit(address, lambda: (text_card(sentence), []))

    async def close(self) -> None:
        """Stop showing progress; what is being handed over is the caller's to await."""
        await self._progress.close()

    async def _send_pictures(self, job: Job, result: Result, pictures: Sequence[Shown]) -> int:
        """Send as much as fits; if Discord takes less than it told, smaller files."""
        limit_bytes = address_from(job.submission.address).filesize_limit_bytes
        try:
            return await self._send_within(limit_bytes, job, result, pictures)
        except TooBigError as error:
            log.warning("files smaller than told: job_id=%s reason=%s", job.id, error)
            return await self._send_within(limit_bytes // SMALLER, job, result, pictures)

    async def _send_within(
        self, limit_bytes: int, job: Job, result: Result, pictures: Sequence[Shown]
    ) -> int:
        words = words_of(address_from(job.submission.address).locale)
        uploads = await asyncio.to_thread(uploads_of, pictures, each_limit_bytes=limit_bytes)

        def compose(intro: str) -> tuple[discord.ui.LayoutView, list[discord.File]]:
            card = result_card(result, uploads, words, intro=intro)
            return card, [upload.file() for upload in uploads]

        await self._hand_over(
            _Parcel(
                job=job,
                what="pictures",
                compose=compose,
                is_there=lambda message: shows_result_of(message, job.id),
            )
        )
        return len(uploads)

    async def _hand_over(self, parcel: _Parcel) -> None:
        address, may_have_arrived = parcel.address, parcel.job.attempt_count > 0
        await self._client.wait_until_logged_in()
        if address.has_live_token(self._clock()):
            try:
                return await self.mail.edit(address, lambda: parcel.compose(""))
            except TokenGoneError as error:
                may_have_arrived = True  # by a try whose answer was lost
                log.info("answer no longer editable: reason=%s", error)
        if may_have_arrived and await self._has_arrived(parcel):
            return None
        if address.may_post and address.channel_id is not None:
            try:
                return await self._post(parcel, address.channel_id)
            except ClosedError as error:
                log.info("channel closed: job_id=%s reason=%s", parcel.job.id, error)
        if not (await self._profile(parcel.job)).may_dm:
            raise ClosedError("the interaction is over and the bot may not write to the person")
        return await self._direct(parcel)

    async def _has_arrived(self, parcel: _Parcel) -> bool:
        """Whether an earlier try put it into the answer and did not live to learn so.

        Where the bot may not look, it cannot know.
        """
        address = parcel.address
        if address.channel_id is None or address.message_id is None:
            return False
        try:
            message = await self.mail.read(address.channel_id, address.message_id)
        except ClosedError as error:
            log.info("answer not readable: job_id=%s reason=%s", parcel.job.id, error)
            return False
        return parcel.is_there(message)

    async def _post(self, parcel: _Parcel, channel_id: int) -> None:
        user_id = parcel.address.user_id
        intro = words_of(parcel.address.locale).say("card_late", user=str(user_id))
        nonce = nonce_of(parcel.job.id, parcel.what)
        await self.mail.post(channel_id, user_id, lambda: parcel.compose(intro), nonce=nonce)

    async def _direct(self, parcel: _Parcel) -> None:
        intro = words_of(parcel.address.locale).say("card_direct")
        nonce = nonce_of(parcel.job.id, f"{parcel.what} in private")
        compose = parcel.compose
        await self.mail.direct(parcel.address.user_id, lambda: compose(intro), nonce=nonce)

    async def _profile(self, job: Job) -> Profile:
        """What the person has chosen; a store that fails does not keep pictures from anybody."""
        try:
            return await self._desk.profile(job.submission.person)
        except StoreError as error:
            log.warning("choices not read: job_id=%s error=%s", job.id, error)
            return Profile()


def nonce_of(name: str, what: str) -> str:
    """At most 25 characters, the same for every try of one message, of no other."""
    return hashlib.blake2b(f"{name} {what}".encode(), digest_size=12).hexdigest()
