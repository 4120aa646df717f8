"""The ways in which a message reaches people: an edit, a post, a direct message, a whisper.

An edit of the answer to an interaction may be repeated at will: it leaves one message. A post
carries a nonce, for which Discord returns the first post instead of posting again (for some
minutes). So all of these outlast a bad network, and a refusal is never tried again.

Source: Discord API documentation, "Receiving and Responding to Interactions" and
"Create Message" (``enforce_nonce``).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import discord

from bot.discord.errors import TokenGoneError, delivery_errors, persistently

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.discord.address import Address
    from bot.discord.client import DiscordClient

    # Makes a message anew for every try: an upload is used up by the try that sent it.
    Compose = Callable[[], tuple[discord.ui.LayoutView, list[discord.File]]]

# The name under which Discord knows the answer of an interaction; discord.py's types want
# a number here, its code does not.
ORIGINAL: Final[Any] = "@original"

RELABEL_WITHIN_S: Final = 20.0

# Those of a quarter of an hour are enough: after that a token is known to be dead.
REMEMBERED_TOKENS: Final = 1_000


class Mail:
    """Sends messages, by the tokens of interactions or as the bot. Waits for the login.

    Every method may raise a ``DeliveryError``: the message did not arrive. A token that Discord
    has refused is never used again.
    """

    def __init__(self, client: DiscordClient, waits_s: Sequence[float]) -> None:
        self._client = client
        self._waits_s = waits_s
        self._refused_tokens: deque[str] = deque(maxlen=REMEMBERED_TOKENS)

    def __repr__(self) -> str:
        return f"<Mail by {self._client!r}>"

    async def edit(self, address: Address, compose: Compose) -> None:
        """Make the answer of an interaction look like that."""
        await self._edit(address, compose, self._waits_s)

    async def edit_once(self, address: Address, compose: Compose) -> None:
        """Do it without trying again."""
        await self._edit(address, compose, ())

    async def _edit(self, address: Address, compose: Compose, waits_s: Sequence[float]) -> None:
        async def attempt() -> None:
            webhook = await self._webhook(address)
            layout, files = compose()
            await webhook.edit_message(ORIGINAL, attachments=files, view=layout)

        if address.token in self._refused_tokens:
            raise TokenGoneError("Discord refused this token before")
        try:
            with delivery_errors():
                await persistently(attempt, waits_s)
        except TokenGoneError:
            self._refused_tokens.append(address.token)
            raise

    async def relabel(self, address: Address, layout: discord.ui.LayoutView) -> None:
        """Change a message but for its files, which stay as they are.

        Where Discord lets an old message wait before it may be changed, nobody waits with it.
        """

        async def attempt() -> None:
            await (await self._webhook(address)).edit_message(ORIGINAL, view=layout)

        with delivery_errors():
            async with asyncio.timeout(RELABEL_WITHIN_S):
                await persistently(attempt, self._waits_s)

    async def remove(self, address: Address) -> None:
        """Delete the message that an interaction answered with, or whose button was pressed."""

        async def attempt() -> None:
            try:
                await (await self._webhook(address)).delete_message(ORIGINAL)
            except discord.NotFound:
                return  # an earlier try did it

        with delivery_errors():
            await persistently(attempt, self._waits_s)

    async def whisper(self, interaction: discord.Interaction[Any], sentence: str) -> None:
        """Tell one person something beside the message whose button was pressed.

        This is tried once: it has no nonce, and Discord grants an interaction few of them.
        """
        with delivery_errors():
            await interaction.followup.send(sentence, ephemeral=True)

    async def post(self, channel_id: int, user_id: int, compose: Compose, *, nonce: str) -> None:
        """Write into a channel, as the bot; nobody but the person can be pinged by it."""
        await self._client.wait_until_logged_in()
        channel = self._client.get_partial_messageable(channel_id)
        with delivery_errors():
            await persistently(lambda: _send(channel, user_id, compose, nonce), self._waits_s)

    async def direct(self, user_id: int, compose: Compose, *, nonce: str) -> None:
        """Write to somebody in private."""
        await self._client.wait_until_logged_in()

        async def attempt() -> None:
            channel = await self._client.create_dm(discord.Object(user_id))
            await _send(channel, user_id, compose, nonce)

        with delivery_errors():
            await persistently(attempt, self._waits_s)

    async def read(self, channel_id: int, message_id: int) -> discord.Message:
        """Look, as the bot, how a message stands now."""
        await self._client.wait_until_logged_in()
        channel = self._client.get_partial_messageable(channel_id)
        with delivery_errors():
            return await persistently(lambda: channel.fetch_message(message_id), self._waits_s)

    async def _webhook(self, address: Address) -> discord.Webhook:
        await self._client.wait_until_logged_in()
        return discord.Webhook.partial(address.application_id, address.token, client=self._client)


async def _send(
    channel: discord.abc.Messageable, user_id: int, compose: Compose, nonce: str
) -> None:
    only_them = discord.AllowedMentions(users=[discord.Object(user_id)])
    layout, files = compose()
    await channel.send(view=layout, files=files, nonce=nonce, allowed_mentions=only_them)
