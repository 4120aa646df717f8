"""Looks every few seconds how everything is, and keeps what it saw for the charts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client import CollectorRegistry

from bot.metrics import Metrics
from bot.minutes import Minutes, read_minutes
from bot.observer import Observers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from bot.clock import Clock
    from bot.vitals import Vitals

LOOK_EVERY_S: Final = 15.0
LOOKS_PER_SAVE: Final = 20

_log = logging.getLogger(__name__)


class Reader(Protocol):
    """Sees how everything is: ``bot.vitals.VitalsReader``."""

    async def read(self) -> Vitals:
        """Look at everything."""
        ...


class Monitor:
    """The counts of this process, for Prometheus and for the admin page.

    Built before the service, which tells its ``observer`` everything; ``start`` needs the
    reader, which needs the platforms.

    Attributes:
        metrics: For Prometheus.
        minutes: For the admin page.
        observer: Both, for the service.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        history: Path,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.minutes = Minutes(clock, read_minutes(history))
        self.observer = Observers([self.metrics, self.minutes])
        self._history = history
        self._sleep = sleep
        self._reader: Reader | None = None
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Monitor {self.minutes!r}>"

    def start(self, reader: Reader) -> None:
        """Look again and again in the background."""
        self._reader = reader
        self._task = asyncio.create_task(self._look_forever(), name="monitor")

    async def close(self) -> None:
        """Look no more, and write what was seen."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await self._save()

    async def look(self) -> Vitals:
        """How everything is now."""
        if self._reader is None:
            raise RuntimeError("the monitor was not started")
        return await self._reader.read()

    async def _look_forever(self) -> None:
        while True:
            for _ in range(LOOKS_PER_SAVE):
                self.minutes.look(await self.look())
                await self._sleep(LOOK_EVERY_S)
            await self._save()

    async def _save(self) -> None:
        try:
            await asyncio.to_thread(self.minutes.save, self._history)
        except OSError as error:
            _log.warning("history of the admin page not written error=%s", error.strerror)
