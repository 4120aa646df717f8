"""Several engine processes, one for each device, as one engine.

Each request goes to the process with the least to do. A process that dies is started again
by its own supervisor and draws its requests anew; if that fails for good, they are drawn
by another one, with the same pictures.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from engine.api import (
    CheckpointError,
    DrawEvent,
    DrawRequest,
    Engine,
    EngineError,
    EngineStats,
    Priority,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    T = TypeVar("T")


class Member(Engine, Protocol):
    """What the pool must know of each of its engines: ``engine.client.EngineProcess``."""

    @property
    def is_ready(self) -> bool:
        """Whether it draws just now."""
        ...

    @property
    def picture_count(self) -> int:
        """Pictures that somebody waits for."""
        ...


class EnginePool:
    """An ``engine.api.Engine`` made of several."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = tuple(members)
        self._is_open = False

    def __repr__(self) -> str:
        return f"<EnginePool {', '.join(map(repr, self._members))}>"

    async def start(self) -> None:
        """Start all members at once; return when all are ready.

        Raises:
            EngineError: One of them cannot start; the others are closed again.
        """
        self._is_open = True
        try:
            await asyncio.gather(*(member.start() for member in self._members))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Give up what is not done (``EngineClosedError``) and end all processes."""
        self._is_open = False
        await asyncio.gather(*(member.close() for member in self._members))

    async def draw(
        self, request: DrawRequest, *, requester: str = "", priority: Priority = Priority.NORMAL
    ) -> AsyncGenerator[DrawEvent]:
        """Draw ``request``; see ``engine.api.Engine``. Closing the iterator gives it up."""
        tried: list[Member] = []
        while True:
            tried.append(self._least_busy(tried))
            events = tried[-1].draw(request, requester=requester, priority=priority)
            try:
                async with contextlib.aclosing(events):
                    async for event in events:
                        yield event
            except EngineError as error:
                if not self._can_others_help(error, tried):
                    raise
            else:
                return

    async def upscale(self, picture: bytes) -> bytes:
        """Return the picture four times as wide and high; see ``engine.api.Engine``."""
        return await self._ask(lambda member: member.upscale(picture))

    async def encode(self, picture: bytes) -> tuple[int, ...]:
        """Return the image tokens of a picture; see ``engine.api.Engine``."""
        return await self._ask(lambda member: member.encode(picture))

    async def render(self, request: DrawRequest, index: int, tokens: tuple[int, ...]) -> bytes:
        """Return the file of a picture from its tokens; see ``engine.api.Engine``."""
        return await self._ask(lambda member: member.render(request, index, tokens))

    async def stats(self) -> EngineStats:
        """Add up how all members are doing; what a chunk takes is their mean."""
        each = await asyncio.gather(*(member.stats() for member in self._members))
        return EngineStats(
            **{field.name: _total(each, field.name) for field in fields(EngineStats)}
        )

    async def _ask(self, ask: Callable[[Member], Awaitable[T]]) -> T:
        tried: list[Member] = []
        while True:
            tried.append(self._least_busy(tried))
            try:
                return await ask(tried[-1])
            except EngineError as error:
                if not self._can_others_help(error, tried):
                    raise

    def _least_busy(self, tried: Sequence[Member]) -> Member:
        """The member with the least to do; one that is ready before one that is not."""
        left = [member for member in self._members if member not in tried]
        return min(left, key=lambda member: (not member.is_ready, member.picture_count))

    def _can_others_help(self, error: EngineError, tried: Sequence[Member]) -> bool:
        """Whether the error is the member's own: its process could not be started again."""
        is_its_own = type(error) in (EngineError, CheckpointError)
        others = [member for member in self._members if member not in tried]
        return self._is_open and is_its_own and any(member.is_ready for member in others)


def _total(each: Sequence[EngineStats], name: str) -> Any:
    values = [value for stats in each if (value := getattr(stats, name)) is not None]
    if not values:
        return None
    total = sum(values)
    return total / len(values) if name == "chunk_s" else total
