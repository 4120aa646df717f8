"""The Discord adapter: its parts, and the order in which they start and stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bot.clock import utc_now
from bot.discord.client import DiscordClient
from bot.discord.commands import Commands
from bot.discord.delivery import DiscordDelivery

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.discord.config import DiscordConfig
    from bot.jobs import Cursors, Delivery, Submitter

CLOSE_WITHIN_S: Final = 5.0


class DiscordAdapter:
    """Listens on Discord and answers there.

    Attributes:
        delivery: To be registered with the service for ``Platform.DISCORD``. It may be
            called before ``start``: it waits for the login.
    """

    def __init__(
        self,
        config: DiscordConfig,
        submitter: Submitter,
        cursors: Cursors,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._client = DiscordClient(config, cursors)
        self._delivery = DiscordDelivery(self._client, config, clock)
        self._commands = Commands(submitter, self._delivery)
        self._commands.add_to(self._client.tree)

    def __repr__(self) -> str:
        return f"<DiscordAdapter {'' if self._client.is_logged_in else 'not '}logged in>"

    @property
    def is_listening(self) -> bool:
        """Whether commands arrive."""
        return self._client.is_listening

    @property
    def delivery(self) -> Delivery:
        """How the service hands results to people on Discord."""
        return self._delivery

    async def start(self) -> None:
        """Log in, bring the commands up to date and listen.

        If Discord cannot be reached just now, that goes on in the background.

        Raises:
            DiscordStartError: Discord said no; with a sentence for the admin.
        """
        await self._client.open()

    async def close(self) -> None:
        """Stop listening, finish accepting what has arrived, and leave Discord.

        Deliveries that are still under way fail with a ``DeliveryError``: the service
        finishes or hands back its jobs before.
        """
        await self._commands.finish(within_s=CLOSE_WITHIN_S)
        await self._delivery.close()
        await self._client.close()
