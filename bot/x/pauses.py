"""Waiting until X allows calls of one kind again. Nobody waits in any other place."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from bot.x.api import PausedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class Pause:
    """Lets calls of one kind through one at a time, and none while X asks for a pause.

    One at a time, because calls that were under way together would all run into the limit
    that the first of them meets.

    Args:
        name: The kind of call, for the log.
        clock: Gives the present (aware, UTC).
        sleep: ``asyncio.sleep``, or a test's.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._name = name
        self._clock = clock
        self._sleep = sleep
        self._until = clock()
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Pause {self._name} until {self._until:%Y-%m-%d %H:%M:%S}>"

    async def call(self, action: Callable[[], Awaitable[Result]]) -> Result:
        """Run ``action`` as soon as it is allowed, again after each pause.

        What ``action`` does before it raises ``PausedError`` is done again.
        """
        async with self._turn:
            while True:
                await self._wait()
                try:
                    return await action()
                except PausedError as error:
                    self._begin(error)

    async def _wait(self) -> None:
        while (left_s := (self._until - self._clock()).total_seconds()) > 0:
            await self._sleep(left_s)

    def _begin(self, error: PausedError) -> None:
        self._until = max(self._until, error.retry_at)
        _log.warning("x paused kind=%s until=%s reason=%s", self._name, self._until, error)
