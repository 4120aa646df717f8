"""The Discord adapter: its parts, and the order in which they start and stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bot.clock import utc_now
from bot.discord.buttons.acts import Acts
from bot.discord.buttons.presses import Presses
from bot.discord.client import DiscordClient
from bot.discord.commands import admin, imagine, menus, own, pictures, privacy
from bot.discord.commands.buttons import OwnButton
from bot.discord.commands.clerk import Clerk
from bot.discord.delivery import DiscordDelivery
from bot.discord.intake import Unheard

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.desk import Desk
    from bot.discord.config import DiscordConfig
    from bot.discord.intake import Hearer
    from bot.jobs import Cursors, Delivery
    from bot.service import Service
    from bot.studio import Studio

CLOSE_WITHIN_S: Final = 5.0
COMMANDS: Final = (imagine, own, pictures, privacy, menus, admin)


class DiscordAdapter:
    """Listens on Discord and answers there.

    Attributes:
        delivery: To be registered with the service for ``Platform.DISCORD``. It may be
            called before ``start``: it waits for the login.
    """

    def __init__(
        self,
        config: DiscordConfig,
        *,
        service: Service,
        cursors: Cursors,
        studio: Studio,
        desk: Desk,
        heard: Hearer | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._client = DiscordClient(config, cursors)
        self._client.heard = heard or Unheard()
        self._delivery = DiscordDelivery(
            self._client, config, studio=studio, desk=desk, clock=clock
        )
        self._clerk = Clerk(
            service=service,
            studio=studio,
            desk=desk,
            delivery=self._delivery,
            clock=clock,
            retry_waits_s=config.retry_waits_s,
        )
        self._client.clerk = self._clerk
        self._client.add_dynamic_items(OwnButton)
        acts = Acts(service, studio, desk, self._delivery)
        self._presses = Presses(acts, self._delivery)
        self._presses.listen(self._client)
        self._client.tree.error(self._clerk.on_error)
        for commands in COMMANDS:
            commands.add_to(self._client.tree, self._clerk)

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

    async def log_in(self) -> None:
        """Log in, so that a wrong token is told early; nothing is listened to yet.

        If Discord cannot be reached just now, ``start`` tries again.

        Raises:
            DiscordStartError: Discord said no; with a sentence for the admin.
        """
        await self._client.log_in()

    async def start(self) -> None:
        """Log in unless ``log_in`` did, bring the commands up to date and listen.

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
        async with asyncio.TaskGroup() as both:
            both.create_task(self._clerk.finish(within_s=CLOSE_WITHIN_S))
            both.create_task(self._presses.finish(within_s=CLOSE_WITHIN_S))
        await self._delivery.close()
        await self._client.close()
