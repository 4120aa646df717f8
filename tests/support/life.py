"""The bot in a process of its own, with the real adapters and squares for pictures.

Everything is what ``imagine run`` builds (``bot.app.run``): settings, store, service, page,
discord.py and tweepy over TCP. Only the engine is scripted, so that a life costs a fraction
of a second and can be ended at any point.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot import app
from bot.settings import Settings
from tests.support.bot_process import free_port
from tests.support.killable import BurningEngine, Fuse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

# The interpreter and all modules are loaded once; each life is a fork of that.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.support.life"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a process is given.

    Attributes:
        variables: Its settings, as in the environment.
        pause_s: Before each event of the engine.
        burns_at: At which event of the engine it dies.
    """

    data_dir: Path
    variables: Mapping[str, str]
    pause_s: float = 0.0
    burns_at: int | None = None


@dataclass(slots=True)
class Life:
    """One process after the other on the same data."""

    data_dir: Path
    variables: Mapping[str, str]
    pause_s: float = 0.0
    kill_count: int = 0
    _process: ForkServerProcess | None = field(default=None, init=False)

    def begin(self, *, burns_at: int | None = None) -> None:
        """Start a process; it is not waited for, not even until it has logged in."""
        given = Given(
            data_dir=self.data_dir,
            variables=self.variables,
            pause_s=self.pause_s,
            burns_at=burns_at,
        )
        self._process = processes.Process(target=live, args=(given,), daemon=True)
        self._process.start()

    def kill(self) -> None:
        """End it as a power cut would, at once."""
        if self._process is not None and self._process.exitcode is None:
            self._process.kill()
            self.kill_count += 1

    @property
    def is_over(self) -> bool:
        """Whether the last process has ended."""
        return self._process is None or self._process.exitcode is not None

    async def ended(self, within_s: float = 30.0) -> int | None:
        """Wait until it has ended; return its exit status, or ``None`` if it lives on."""
        assert self._process is not None
        await asyncio.to_thread(self._process.join, within_s)
        return self._process.exitcode

    async def stop(self) -> int:
        """Ask it to stop, as a service manager would, and return its exit status."""
        assert self._process is not None
        self._process.terminate()
        status = await self.ended()
        assert status is not None, "it does not stop"
        return status


def live(given: Given) -> None:
    """The whole life of a process."""
    logging.disable(logging.CRITICAL)  # what breaks here breaks on purpose
    settings = Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue] # pydantic's own
        data_dir=given.data_dir,
        web_port=free_port(),
        **{name.lower(): value for name, value in given.variables.items()},  # pyright: ignore[reportArgumentType] # pydantic reads texts
    )
    engine = BurningEngine(Fuse(given.burns_at), given.pause_s)
    asyncio.run(_live(settings, engine))


async def _live(settings: Settings, engine: BurningEngine) -> None:
    task = asyncio.ensure_future(app.run(settings, announce=lambda _: None, engine=engine))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
