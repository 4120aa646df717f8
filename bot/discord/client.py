"""The connection to Discord: discord.py's client, started so that it tells what is wrong.

discord.py takes the servers' addresses from class attributes, so one process talks to one
Discord; ``point_to`` sets them before each login, back to the real ones if nothing else is
configured.

From 2,500 servers on Discord wants several connections, shards. It is asked how many, before
each connecting; where to is never taken from its answer.

No intents are needed: interactions arrive without any. Nothing is cached.

A Discord that says no stops the start. One that cannot be reached just now is tried again
in the background, because the other platforms must not wait for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import discord
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.discord.commands.naming import CatalogueTranslator
from bot.discord.errors import FOREIGN, TRANSIENT, as_start_error, persistently
from bot.jobs import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from bot.discord.buttons.presses import Presses
    from bot.discord.commands.clerk import Clerk
    from bot.discord.config import DiscordConfig
    from bot.discord.intake import Hearer
    from bot.jobs import Cursors

log = logging.getLogger(__name__)

REAL_API_BASE: Final = Route.BASE
REAL_GATEWAY: Final = DiscordWebSocket.DEFAULT_GATEWAY

# How long the first try may take, which the start of everything else waits for.
LOG_IN_WITHIN_S: Final = 10.0

# How long start() waits for the gateway, which may be slow without anything being wrong.
CONNECT_TIMEOUT_S: Final = 30.0

# At DEBUG these print prompts and the tokens of interactions.
TALKATIVE_LOGGERS: Final = ("discord.http", "discord.webhook.async_", "discord.gateway")

COMMANDS_CURSOR: Final = "discord.commands"


def point_to(config: DiscordConfig) -> None:
    """Make discord.py talk to the configured server, or to the real one."""
    Route.BASE = config.api_base or REAL_API_BASE
    DiscordWebSocket.DEFAULT_GATEWAY = (
        yarl.URL(config.gateway_url) if config.gateway_url else REAL_GATEWAY
    )


class DiscordClient(discord.AutoShardedClient):
    """discord.py's client with our commands, no intents and no caches.

    Attributes:
        tree: The commands.
        clerk: Takes what is done with their buttons; the adapter sets it before ``open``.
        presses: Takes what is done with the buttons of pictures; as above.
        heard: Hears how long signs of life took; as above.
    """

    clerk: Clerk
    presses: Presses
    heard: Hearer

    def __init__(self, config: DiscordConfig, cursors: Cursors) -> None:
        _silence_needless_warnings()
        super().__init__(
            intents=discord.Intents.none(),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
        )
        self.tree: app_commands.CommandTree[DiscordClient] = app_commands.CommandTree(
            self,
            allowed_contexts=app_commands.AppCommandContext(
                guild=True, dm_channel=True, private_channel=True
            ),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
        )
        self._config = config
        self._was_opened = False
        self._is_known = False
        self._was_left = False
        self._cursors = cursors
        self._logged_in = asyncio.Event()
        self._connected = asyncio.Event()
        self._gateway: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None

    @property
    def is_listening(self) -> bool:
        """Whether the gateway took us in and has not been lost for good since."""
        is_running = self._gateway is not None and not self._gateway.done()
        return is_running and self._connected.is_set()

    @property
    def is_logged_in(self) -> bool:
        """Whether messages can be edited and posted."""
        return self._logged_in.is_set() and not self._was_left

    async def wait_until_logged_in(self) -> None:
        """Return when messages can be edited and posted.

        Raises:
            DeliveryError: The client was closed: they no longer can.
        """
        await self._logged_in.wait()
        if self._was_left:
            raise DeliveryError("the Discord client is closed")

    async def log_in(self) -> None:
        """Show Discord the token, and nothing else yet.

        If Discord cannot be reached just now, ``open`` tries again, and longer.

        Raises:
            DiscordStartError: Discord said no; with a sentence for the admin.
        """
        with suppress(*TRANSIENT):
            async with asyncio.timeout(LOG_IN_WITHIN_S):
                await self._unless_refused(self._log_in())

    async def open(self) -> None:
        """Log in, bring the commands up to date and connect to the gateway.

        If Discord cannot be reached just now, that goes on in the background.

        Raises:
            DiscordStartError: Discord said no; with a sentence for the admin.
        """
        try:
            await self._unless_refused(self._open())
        except TRANSIENT as error:
            log.warning("discord not reached yet: error=%s", type(error).__name__)
            self._opening = asyncio.create_task(self._open_later(), name="discord opening")
            self._opening.add_done_callback(_log_end)

    async def _unless_refused(self, attempt: Coroutine[None, None, None]) -> None:
        """Go through with it, unless Discord says no: then close, with a sentence."""
        point_to(self._config)
        for name in TALKATIVE_LOGGERS:
            logging.getLogger(name).setLevel(logging.INFO)
        try:
            await attempt
        except TRANSIENT:
            raise
        except FOREIGN as error:
            await self.close()
            raise as_start_error(error) from error

    async def _open(self) -> None:
        if not self._is_known:
            await persistently(self._log_in, self._config.retry_waits_s)
        await persistently(self._sync_commands, self._config.retry_waits_s)
        self._logged_in.set()
        self.shard_count = await persistently(self._count_shards, self._config.retry_waits_s)
        await self._connect_to_gateway()

    async def _open_later(self) -> None:
        """Try until Discord says yes or no. After a no, deliveries wait for another start."""
        while True:
            await asyncio.sleep(self._config.reopen_wait_s)
            try:
                return await self._open()
            except TRANSIENT as error:
                log.info("discord still not reached: error=%s", type(error).__name__)

    async def on_connect(self) -> None:
        """Called by discord.py when the gateway has accepted the bot."""
        self._connected.set()

    async def close(self) -> None:
        """Leave the gateway and close all connections."""
        self._was_left = True
        if self._was_opened:  # discord.py closes only what was begun
            await super().close()
        self._logged_in.set()  # who waits for the login must not wait for ever
        if asyncio.current_task() is self._gateway:
            return  # Discord threw us out: whoever awaits the gateway learns why
        for task in (self._opening, self._gateway):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})

    async def _log_in(self) -> None:
        await self.http.close()  # what an earlier try left open, and its connector with it
        self.http.connector = discord.utils.MISSING
        self._was_opened = True
        await self.login(self._config.token)
        self._is_known = True

    async def _count_shards(self) -> int:
        try:
            count, _address, _limits = await self.http.get_bot_gateway()
        except discord.GatewayNotFound as error:  # which hides what was wrong
            raise error.__cause__ or error from None
        return count

    async def _sync_commands(self) -> None:
        """Tell Discord our commands, but only when they have changed.

        Discord allows 200 new commands a day; a bot that tells them at every start can be
        locked out by a restart loop.
        """
        translator = CatalogueTranslator()
        await self.tree.set_translator(translator)
        described = [
            await command.get_translated_payload(self.tree, translator)
            for command in self.tree.get_commands()
        ]
        text = json.dumps([self.application_id, Route.BASE, described], sort_keys=True)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        if await self._cursors.read_cursor(COMMANDS_CURSOR) != fingerprint:
            await self.tree.sync()
            await self._cursors.write_cursor(COMMANDS_CURSOR, fingerprint)

    async def _connect_to_gateway(self) -> None:
        gateway = self._gateway = asyncio.create_task(self.connect(), name="discord gateway")
        connected = asyncio.create_task(self._connected.wait(), name="discord connected")
        try:
            await asyncio.wait(
                {gateway, connected},
                timeout=CONNECT_TIMEOUT_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            connected.cancel()
        if gateway.done():
            await gateway  # raises why
        if not self._connected.is_set():
            log.warning("discord gateway is slow: it goes on trying in the background")
        gateway.add_done_callback(_log_end)


def _log_end(task: asyncio.Task[None]) -> None:
    """Tell the admin when Discord is lost for good, such as by a token reset."""
    if task.cancelled() or (error := task.exception()) is None:
        return
    if isinstance(error, FOREIGN):
        log.error("discord connection lost for good: %s", as_start_error(error))
    else:
        log.error("discord connection lost for good", exc_info=error)


def _without_traceback(record: logging.LogRecord) -> bool:
    """Keep a lost connection, which discord.py mends by itself, to one line."""
    if record.getMessage().startswith(("Attempting a reconnect", "Failed to connect")):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.exc_info = None
    return True


def _silence_needless_warnings() -> None:
    """Keep discord.py from warning of what is so on purpose: no voice, no guilds, reconnecting."""
    discord.VoiceClient.warn_nacl = False
    discord.VoiceClient.warn_dave = False
    logging.getLogger("discord.state").setLevel(logging.ERROR)
    for name in ("discord.client", "discord.shard"):
        logging.getLogger(name).addFilter(_without_traceback)
