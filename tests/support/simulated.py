"""The Discord adapter on SimCord's stage: Discord as somebody else understood it.

SimCord (MIT, pinned) plays Discord inside the process: real discord.py above, its own rules
below, and a clock that only moves when told to. It waits after each act until the bot is
still, so what goes on by itself, the service and its jobs, has to live beside its sight.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import simcord

from bot.desk import Desk
from bot.discord.adapter import DiscordAdapter
from bot.discord.config import DiscordConfig
from bot.jobs import Platform
from bot.service import Service
from bot.store import Store
from bot.studio import Studio
from tests.support.clock import Clock
from tests.support.factories import database_url
from tests.support.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine
    from datetime import datetime
    from pathlib import Path

    from discord.http import Route

    from bot.discord.client import DiscordClient
    from bot.jobs import Job, Submission
    from engine.api import Engine

DAILY_PICTURES = 90


class Beside:
    """Does work in tasks that SimCord does not wait for, and hands back what comes of it."""

    def __init__(self) -> None:
        self._wanted: asyncio.Queue[Callable[[], Coroutine[Any, Any, None]]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Start what is wanted, for ever. Call it before anybody on the stage acts."""
        while True:
            task = asyncio.create_task((await self._wanted.get())(), name="beside the stage")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def do(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def hand_back() -> None:
            try:
                done.set_result(await work())
            except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
                done.set_exception(error)

        self._wanted.put_nowait(hand_back)
        return await done


class ServiceBeside:
    """The service, whose jobs begin beside the stage."""

    def __init__(self, service: Service, beside: Beside) -> None:
        self._service = service
        self._beside = beside

    def __getattr__(self, name: str) -> object:
        return getattr(self._service, name)

    async def submit(self, submission: Submission) -> Job:
        return await self._beside.do(lambda: self._service.submit(submission))


class Theatre:
    """One database and one engine, over any number of bots on the same stage."""

    def __init__(self, folder: Path, *, engine: Engine | None = None) -> None:
        self.engine = ScriptedEngine()
        self._drawing = engine or self.engine
        self._url = database_url(folder)
        self._env: simcord.Env | None = None
        self.service: Service

    @property
    def env(self) -> simcord.Env:
        assert self._env is not None, "the curtain is down"
        return self._env

    @asynccontextmanager
    async def playing(self) -> AsyncGenerator[simcord.Env]:
        """Put the bot on the stage. SimCord raises at the end what the bot has swallowed."""
        async with contextlib.AsyncExitStack() as parts:
            client, open_up = await self._new_bot(parts)
            self._env = await parts.enter_async_context(simcord.run(client, shard_count=1))
            await open_up()
            yield self._env
            await self.env.settle()
        self._env = None

    @asynccontextmanager
    async def restarted(self) -> AsyncGenerator[None]:
        """Replace the bot by a new one that remembers nothing but the database."""
        async with contextlib.AsyncExitStack() as parts:
            client, open_up = await self._new_bot(parts)
            await self.env.restart_bot(client)
            await open_up()
            yield

    async def _new_bot(
        self, parts: contextlib.AsyncExitStack
    ) -> tuple[DiscordClient, Callable[[], Coroutine[Any, Any, None]]]:
        clock, beside = Clock(), Beside()
        store = await Store.open(self._url)
        parts.push_async_callback(store.close)
        service = self.service = Service(
            store=store,
            engine=self._drawing,
            daily_pictures=DAILY_PICTURES,
            clock=clock,
            sleep=clock.sleep,
        )
        adapter = DiscordAdapter(
            DiscordConfig(token="simcord", progress_interval_s=0.01, retry_waits_s=(0.01,)),
            service=cast("Service", ServiceBeside(service, beside)),
            cursors=store,
            studio=Studio(store=store, engine=self._drawing, clock=clock),
            desk=Desk(store, clock=clock, canceller=service),
            clock=self._present,
        )
        client = adapter._client  # pyright: ignore[reportPrivateUsage] # SimCord logs it in
        service.register(Platform.DISCORD, adapter.delivery)

        async def open_up() -> None:
            """What ``adapter.start`` does after the login, which is SimCord's part."""
            _decode_paths(self.env)
            self.env.backend.subscribers.insert(0, _say_who_installed)
            running = asyncio.create_task(beside.run(), name="beside the stage")
            parts.push_async_callback(_end, running)
            parts.push_async_callback(service.close, 5.0)
            await client._sync_commands()  # pyright: ignore[reportPrivateUsage]
            client._logged_in.set()  # pyright: ignore[reportPrivateUsage]
            await service.start()

        return client, open_up

    def _present(self) -> datetime:
        return self.env.now()


def _say_who_installed(event: str, payload: Any) -> None:
    """Tell the bot that the server installed it, which SimCord 3.2.1 leaves open."""
    if event == "INTERACTION_CREATE":
        payload["authorizing_integration_owners"] = {"0": payload.get("guild_id", "0")}


def _decode_paths(env: simcord.Env) -> None:
    """Decode the paths of webhooks, as servers do and SimCord 3.2.1 does not.

    discord.py quotes the ``@`` of ``@original`` where the message is named by the caller.
    """
    wire = env._webhook_adapter  # pyright: ignore[reportPrivateUsage] # it is kept nowhere else
    handle = wire.request

    async def decoded(route: Route, *args: object, **named: object) -> object:
        route.url = unquote(route.url)
        return await handle(route, *args, **named)

    wire.request = decoded


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
