"""An event loop whose time jumps: nobody waits, and every run is the same.

When nothing can go on before a timer is due, the loop's selector moves the time to that
timer instead of sleeping. Nothing in such a loop may wait for a socket or a thread.
"""

from __future__ import annotations

import asyncio
import selectors
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from tests.support.clock import NOON

if TYPE_CHECKING:
    from collections.abc import Coroutine

    T = TypeVar("T")


class StuckError(Exception):
    """Everything waits for something that will never happen."""


class _JumpingSelector(selectors.SelectSelector):
    """Moves the time by as much as it was to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StuckError("nothing is ready and no timer runs")
        self.now_s += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """``present`` is the clock that goes with it."""

    def __init__(self, *, begin: datetime = NOON) -> None:
        self._begin = begin
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s

    def present(self) -> datetime:
        return self._begin + timedelta(seconds=self._jumping.now_s)


def run_virtually(loop: VirtualLoop, work: Coroutine[None, None, T]) -> T:
    """Run ``work`` to its end in ``loop``, which stays open."""
    return loop.run_until_complete(work)
