"""A small Discord on a free loopback port: REST and gateway, one bot, faults on request.

It keeps the rules that a bot can trip over (three seconds to acknowledge, tokens that die
after fifteen minutes, one kind of components per message, limits of texts and uploads,
permissions) and answers with Discord's status and error codes. What it does not know is a
loud 404. Whatever the bot should not have done stands in ``violations``.

Where to find what: ``discord_scene`` (who and where) · ``discord_state`` (memory, clock,
violations) · ``discord_rest`` (routes) · ``discord_wire`` (faults, rate limits) ·
``discord_writing`` (messages) · ``discord_gateway`` (sessions) · ``discord_acts`` (what people
do) · ``discord_offers`` (what they may) · ``discord_rules`` (what messages may hold) ·
``discord_schemas`` (Discord's own description of request bodies).
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Self

from aiohttp import web

from tests.support.discord_acts import Acts
from tests.support.discord_gateway import Gateway
from tests.support.discord_rest import Rest
from tests.support.discord_scene import Scene
from tests.support.discord_state import Exchange, Interaction, Message, World
from tests.support.discord_wire import Fault, RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "DiscordServer",
    "Exchange",
    "Fault",
    "Interaction",
    "Message",
    "RateLimit",
    "Scene",
]


class DiscordServer(Acts):
    """Use as an async context manager, inside the loop of the test."""

    def __init__(self) -> None:
        self.world = World()
        self.gateway = Gateway(self.world)
        self.rest = Rest(self.world, self.gateway)
        super().__init__(self.world, self.gateway)
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(self.rest.application(), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.world.base_url = f"http://127.0.0.1:{self._port}"
        self.gateway.url = self.gateway_url
        return self

    async def __aexit__(self, *_: object) -> None:
        for fault in self.faults:
            fault.release.set()
        await self.gateway.shut()
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def api_base(self) -> str:
        return f"http://127.0.0.1:{self._port}/api/v10"

    @property
    def gateway_url(self) -> str:
        return f"ws://127.0.0.1:{self._port}/gateway"

    def variables(self) -> dict[str, str]:
        """The settings that turn the real process to this server."""
        return {
            "DISCORD_TOKEN": self.token,
            "DISCORD_API_BASE": self.api_base,
            "DISCORD_GATEWAY_URL": self.gateway_url,
        }

    # ---------------------------------------------------------------- what to look at

    @property
    def faults(self) -> list[Fault]:
        return self.rest.faults

    @property
    def limits(self) -> list[RateLimit]:
        return self.rest.limits

    @property
    def journal(self) -> list[Exchange]:
        return self.world.journal

    @property
    def violations(self) -> list[str]:
        return self.world.violations

    @property
    def interactions(self) -> dict[str, Interaction]:
        return self.world.interactions

    @property
    def posts(self) -> list[Message]:
        return self.world.posts

    @property
    def commands(self) -> list[dict[str, object]]:
        return self.world.commands

    @property
    def sync_count(self) -> int:
        return self.world.sync_count

    @property
    def forbidden_channels(self) -> set[str]:
        return self.world.forbidden_channels

    @property
    def closed_dms(self) -> set[str]:
        """People who do not let the bot write to them."""
        return self.world.closed_dms

    def requests(self, method: str, path: str) -> list[Exchange]:
        """Return the journal's entries whose path ends like the pattern ``path``."""
        return [
            exchange
            for exchange in self.journal
            if exchange.method == method and fnmatch.fnmatch(exchange.path, f"*{path}")
        ]

    async def until(
        self, condition: Callable[[], bool], timeout_s: float, describe: Callable[[], str]
    ) -> None:
        """Wait until ``condition`` holds; it is looked at whenever something happens here."""
        await self.world.until(condition, timeout_s, describe)

    async def post_when(self, count: int = 1, timeout_s: float = 10.0) -> Message:
        """Wait for the ``count``-th message that the bot posts by itself and return it."""
        await self.until(
            lambda: len(self.posts) >= count, timeout_s, lambda: f"{len(self.posts)} posts"
        )
        return self.posts[count - 1]

    # ------------------------------------------------------------------ what to change

    @property
    def token(self) -> str:
        return self.world.token

    @token.setter
    def token(self, token: str) -> None:
        self.world.token = token

    @property
    def file_limit_bytes(self) -> int:
        return self.world.file_limit_bytes

    @file_limit_bytes.setter
    def file_limit_bytes(self, limit_bytes: int) -> None:
        self.world.file_limit_bytes = limit_bytes

    @property
    def close_gateway_with(self) -> int | None:
        return self.gateway.refuse_with

    @close_gateway_with.setter
    def close_gateway_with(self, code: int | None) -> None:
        self.gateway.refuse_with = code

    def advance(self, **duration: float) -> None:
        """Move Discord's clock forward, as in ``advance(minutes=16)``."""
        self.world.advance(**duration)

    def forgive(self) -> None:
        """Forget the violations so far, where a test breaks a rule on purpose."""
        self.world.forgive()

    async def break_gateway(self, *, code: int = 1001) -> None:
        """Close the gateway's connection; the session can be resumed."""
        await self.gateway.close(code=code)
