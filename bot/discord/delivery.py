"""Hands results over: by editing the answer of the interaction, or else by a new message.

The token of an interaction edits its answer for 15 minutes. An edit may be repeated at
will: it leaves one message. After that time, or after a restart that took longer, the bot
posts in the channel itself, with a nonce made from the job, for which Discord returns the
first post instead of posting again (for some minutes).

Source: Discord API documentation, "Receiving and Responding to Interactions" and
"Create Message" (``enforce_nonce``).
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any, Final

import discord

from bot import sentences
from bot.discord.address import Address, address_from
from bot.discord.cards import picture_files, result_card, text_card
from bot.discord.errors import TokenGoneError, delivery_errors, persistently
from bot.discord.progress import Progress
from bot.jobs import UndeliverableError
from engine.api import Drawing, Preview

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.discord.client import DiscordClient
    from bot.discord.config import DiscordConfig
    from bot.jobs import Job
    from engine.api import Drawn, Queued

    # Makes the message anew for every try: an upload is used up by the try that sent it.
    # The argument is put before everything else, as in "@somebody, your pictures are ready".
    Compose = Callable[[str], tuple[discord.ui.LayoutView, list[discord.File]]]

log = logging.getLogger(__name__)

# The name under which Discord knows the answer of an interaction; discord.py's types want
# a number here, its code does not.
ORIGINAL: Final[Any] = "@original"

# From here on the result is so near that one more edit could only delay it.
NEARLY_DONE: Final = 0.9


class DiscordDelivery:
    """Implements ``bot.jobs.Delivery``. Waits for the login where it has to."""

    def __init__(
        self, client: DiscordClient, config: DiscordConfig, clock: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._waits_s = config.retry_waits_s
        self._clock = clock
        self._progress = Progress(interval_s=config.progress_interval_s)

    async def show_progress(self, job: Job, event: Queued | Drawing | Preview) -> None:
        """Note the newest state; the edit happens in the background."""
        if isinstance(event, Preview):
            return
        address = address_from(job.submission.address)
        if self._client.is_logged_in and address.has_live_token(self._clock()):
            if isinstance(event, Drawing) and event.fraction >= NEARLY_DONE:
                return
            text = sentences.discord_progress(event)
            self._progress.show(job.id, text, lambda text: self._edit(address, text_card(text), []))

    async def deliver(self, job: Job, drawn: Drawn) -> None:
        """Put the pictures, best first, into the answer or into the channel.

        Raises:
            DeliveryError: They did not arrive.
        """
        address = address_from(job.submission.address)
        prompt = job.submission.request.prompt

        def compose(intro: str) -> tuple[discord.ui.LayoutView, list[discord.File]]:
            files = picture_files(prompt, drawn, each_limit_bytes=address.filesize_limit_bytes)
            return result_card(prompt, drawn, files, intro=intro), files

        await self._progress.stop(job.id)
        await self._hand_over(address, compose, _nonce(job, "pictures"))

    async def apologise(self, job: Job, error: Exception) -> None:
        """Say into the answer or into the channel why there are no pictures.

        Raises:
            DeliveryError: It did not arrive.
        """
        sentence = self.explain(error)

        def compose(intro: str) -> tuple[discord.ui.LayoutView, list[discord.File]]:
            return text_card(f"{intro} {sentence}".strip()), []

        await self._progress.stop(job.id)
        await self._hand_over(address_from(job.submission.address), compose, _nonce(job, "apology"))

    async def postpone(self, job: Job) -> None:
        """Say so where the pictures will be; not worth a message of its own.

        Raises:
            DeliveryError: It did not arrive.
        """
        await self._progress.stop(job.id)
        address = address_from(job.submission.address)
        if self._client.is_logged_in and address.has_live_token(self._clock()):
            await self.answer(address, sentences.POSTPONED)

    def explain(self, error: Exception) -> str:
        """Put ``error`` into words, moments in Discord's own way."""
        return sentences.explain(error, self._clock(), when=sentences.discord_when)

    async def answer(self, address: Address, sentence: str) -> None:
        """Put ``sentence`` into the answer of an interaction that became no job.

        Raises:
            DeliveryError: It did not arrive.
        """
        with delivery_errors():
            await persistently(lambda: self._edit(address, text_card(sentence), []), self._waits_s)

    async def close(self) -> None:
        """Stop showing progress; what is being handed over is the caller's to await."""
        await self._progress.close()

    async def _hand_over(self, address: Address, compose: Compose, nonce: str) -> None:
        await self._client.wait_until_logged_in()
        if address.has_live_token(self._clock()):
            try:
                with delivery_errors():
                    await persistently(lambda: self._edit(address, *compose("")), self._waits_s)
            except TokenGoneError as error:
                log.info("answer no longer editable: reason=%s", error)
            else:
                return
        await self._post(address, compose, nonce)

    async def _edit(
        self, address: Address, layout: discord.ui.LayoutView, files: list[discord.File]
    ) -> None:
        await self._client.wait_until_logged_in()
        webhook = discord.Webhook.partial(
            address.application_id, address.token, client=self._client
        )
        await webhook.edit_message(ORIGINAL, attachments=files, view=layout)

    async def _post(self, address: Address, compose: Compose, nonce: str) -> None:
        if address.channel_id is None or not address.may_post:
            raise UndeliverableError("the interaction is over and the bot may not post there")
        channel = self._client.get_partial_messageable(address.channel_id)
        only_them = discord.AllowedMentions(users=[discord.Object(address.user_id)])

        async def post() -> None:
            await self._client.wait_until_logged_in()
            layout, files = compose(sentences.discord_late(address.user_id))
            await channel.send(view=layout, files=files, nonce=nonce, allowed_mentions=only_them)

        with delivery_errors():
            await persistently(post, self._waits_s)


def _nonce(job: Job, what: str) -> str:
    """At most 25 characters, the same for every try of one message, of no other."""
    return hashlib.blake2b(f"{job.id} {what}".encode(), digest_size=12).hexdigest()
