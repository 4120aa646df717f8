"""How long an event loop was kept from turning by its own thread."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SCHEDSTAT = Path("/proc/thread-self/schedstat")
_PAUSE_S = 0.002
_ATTEMPTS = 3


class LongestBlock:
    """Ticks while its block lasts and remembers the longest time between two ticks.

    Not counted is the time in which the thread could have run but other processes had all
    cores: a busy machine may pause any process, which is nobody's fault.

    Source: Linux, Documentation/scheduler/sched-stats.rst: the second number of schedstat
    is the time, in ns, that the thread spent waiting for a core.
    """

    def __init__(self) -> None:
        self.ms = 0.0
        self.tick_count = 0

    async def __aenter__(self) -> Self:
        self._ticking = asyncio.create_task(self._tick(), name="ticking")
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(2 * _PAUSE_S)  # so that the last tick is seen, however late it is
        self._ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ticking

    async def _tick(self) -> None:
        while True:
            begun_at_s, waited_s = time.monotonic(), _waited_for_a_core_s()
            await asyncio.sleep(_PAUSE_S)
            took_s = time.monotonic() - begun_at_s - (_waited_for_a_core_s() - waited_s)
            self.ms = max(self.ms, round(1000 * (took_s - _PAUSE_S), 1))
            self.tick_count += 1


async def shortest_longest_block_ms(
    work: Callable[[], Awaitable[object]], *, limit_ms: float
) -> float:
    """Do ``work`` until its longest block is below the limit, three times at most.

    A block of our making comes every time, one that a busy machine makes does not.
    """
    longest_ms: list[float] = []
    while len(longest_ms) < _ATTEMPTS and min(longest_ms, default=limit_ms) >= limit_ms:
        async with LongestBlock() as longest:
            await work()
        longest_ms.append(longest.ms)
    return min(longest_ms)


def _waited_for_a_core_s() -> float:
    return int(_SCHEDSTAT.read_text().split()[1]) / 1e9
