"""Keeps an engine process running: starts it, watches it, starts it again.

A process that ends is started again at once; one that ends soon after, or does not even
start, after pauses that double. A process that has work and gives no sign of life for
``hang_limit_s`` is killed, which is then like any other end. What it means for those who
wait is the listener's to say (``engine.client``).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

from engine.api import CheckpointError, EngineClosedError, EngineError
from engine.child import Child
from engine.messages import Alive, Ready, Said, Unusable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.messages import FromEngine, Start, ToEngine

logger = logging.getLogger(__name__)

MAX_FAILED_STARTS: Final = 3
_MAX_PAUSE_S: Final = 60.0
_STEADY_AFTER_S: Final = 60.0
_LOOKS_PER_LIMIT: Final = 8


class Listener(Protocol):
    """Who lives by the process."""

    @property
    def has_work(self) -> bool:
        """Whether the process has been asked for something that it has not done."""
        ...

    def became_ready(self, ready: Ready) -> None:
        """A process is ready, for the first time or again: ask it for everything."""
        ...

    def received(self, message: FromEngine) -> None:
        """It told something."""
        ...

    def lost_process(self) -> None:
        """It ended; another will be started."""
        ...

    def gave_up(self, error: EngineError) -> None:
        """There will be no process for a while: let nobody wait for it."""
        ...


class Supervisor:
    """Owns the process and the task that watches over it."""

    def __init__(
        self,
        start: Start,
        listener: Listener,
        *,
        environment: Mapping[str, str],
        restart_delay_s: float,
        hang_limit_s: float,
    ) -> None:
        """Prepare; ``start`` does the work.

        Args:
            start: What the process is told first.
            listener: Told what becomes of it.
            environment: Variables that the process gets besides our own.
            restart_delay_s: The first pause; it doubles each time.
            hang_limit_s: How long a process that has work may be silent.
        """
        self._start = start
        self._listener = listener
        self._environment = environment
        self._restart_delay_s = restart_delay_s
        self._hang_limit_s = hang_limit_s
        self._child: Child | None = None
        self._watch: asyncio.Task[None] | None = None
        self._ready_at_s: float | None = None
        self._sign_at_s = 0.0
        self.restart_count = 0

    @property
    def is_running(self) -> bool:
        """Whether there is a process, or will be one again."""
        return self._watch is not None

    @property
    def is_ready(self) -> bool:
        """Whether there is a process that draws."""
        return self._ready_at_s is not None

    @property
    def process_id(self) -> int | None:
        """The id of the running process; ``None`` while there is none."""
        return None if self._child is None else self._child.process_id

    def send(self, message: ToEngine) -> None:
        """Tell the process something, if it is ready."""
        if self._child is not None and self.is_ready:
            self._child.send(message)

    async def start(self) -> None:
        """Start the process; return when it is ready.

        Raises:
            CheckpointError: The weights cannot be used.
            EngineError: The process ended while it was starting.
        """
        if self._watch is not None:
            return
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watch = asyncio.create_task(self._watch_over(started), name="engine-watch")
        try:
            await started
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End the process and start no other."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.wait([watch])

    async def _watch_over(self, started: asyncio.Future[None]) -> None:
        """Keep a process running until cancelled; tell the first outcome to ``started``."""
        try:
            await self._keep_running(started)
        finally:
            if not started.done():
                started.set_exception(EngineClosedError("The engine was closed."))

    async def _keep_running(self, started: asyncio.Future[None]) -> None:
        pauses = _Pauses(self._restart_delay_s)
        failed_count = 0
        while True:
            try:
                lived_s = await self._run_once(started)
            except Exception as error:
                failure, failed_count = _as_engine_error(error), failed_count + 1
                if not started.done():
                    self._listener.gave_up(failure)
                    return started.set_exception(failure)
                logger.exception("engine restart failed times=%d", failed_count)
                if failed_count >= MAX_FAILED_STARTS or isinstance(failure, CheckpointError):
                    self._listener.gave_up(failure)
            else:
                failed_count = 0
                if lived_s >= _STEADY_AFTER_S:
                    pauses = _Pauses(self._restart_delay_s)
            await asyncio.sleep(pauses.next_s())
            self.restart_count += 1

    async def _run_once(self, started: asyncio.Future[None]) -> float:
        """Run a process until it ends by itself; return how long it was ready.

        Raises:
            EngineError: It ended before it was ready.
        """
        async with Child.running(self._start, self._environment) as child:
            self._child = child
            guard = asyncio.create_task(self._guard(child), name="engine-guard")
            try:
                async for message in child.messages():
                    self._handle(message, started)
                return await self._bury(child)
            finally:
                guard.cancel()
                self._child = None
                if self.is_ready:
                    self._ready_at_s = None
                    self._listener.lost_process()

    async def _bury(self, child: Child) -> float:
        status = await child.wait()
        logger.error(
            "engine process ended exit_status=%d last_words:\n%s", status, child.last_words
        )
        if self._ready_at_s is None:
            raise EngineError(
                f"The engine process ended while it was starting (exit status {status}); the log "
                "has its last words."
            )
        return _now_s() - self._ready_at_s

    def _handle(self, message: FromEngine, started: asyncio.Future[None]) -> None:
        self._sign_at_s = _now_s()
        match message:
            case Ready():
                self._ready_at_s = _now_s()
                logger.info(
                    "engine ready model=%s slot_count=%d", message.model, message.slot_count
                )
                self._listener.became_ready(message)
                if not started.done():
                    started.set_result(None)
            case Unusable(sentence=sentence):
                raise CheckpointError(sentence)
            case Said(level=level, text=text):
                logger.log(level, "engine process says: %s", text)
            case Alive():
                pass
            case _:
                self._listener.received(message)

    async def _guard(self, child: Child) -> None:
        """Kill the process if it hangs. While it compiles or has no work, it may be silent."""
        while True:
            await asyncio.sleep(self._hang_limit_s / _LOOKS_PER_LIMIT)
            if not self.is_ready or not self._listener.has_work:
                self._sign_at_s = _now_s()
            elif _now_s() - self._sign_at_s >= self._hang_limit_s:
                logger.error("engine process killed: silent for %.0f s", self._hang_limit_s)
                return child.kill()


class _Pauses:
    """None before the first restart, then doubling ones."""

    def __init__(self, first_s: float) -> None:
        self._first_s = first_s
        self._next_s = 0.0

    def next_s(self) -> float:
        pause_s = self._next_s
        self._next_s = min(max(2 * pause_s, self._first_s), _MAX_PAUSE_S)
        return pause_s


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _as_engine_error(error: Exception) -> EngineError:
    if isinstance(error, EngineError):
        return error
    return EngineError(f"The engine process cannot be run ({error}).")
