"""Talks to the engine process: starts it, watches it, starts it again, asks anew.

``EngineProcess`` keeps a ticket for every drawing that somebody waits for. The process may
die at any time: its tickets stay, a new process is started and gets them all again, and
since a request with its seed always gives the same pictures, nobody can tell. Only a
request that was being drawn both times when two processes died is given up, for it may be
what kills them.

Nothing here blocks the event loop: the pipes to the process are read and written by
asyncio, and all computing is on the other side.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import secrets
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never, cast

from engine.api import (
    MAX_SEED,
    CheckpointError,
    DrawEvent,
    Drawing,
    DrawingFailedError,
    Drawn,
    DrawRequest,
    EngineBusyError,
    EngineClosedError,
    EngineError,
)
from engine.process import (
    HEADER_BYTES,
    Cancel,
    Draw,
    Failed,
    FromEngine,
    Ready,
    Refused,
    Said,
    Start,
    ToEngine,
    Told,
    Unusable,
    decode_frame,
    encode_frame,
    frame_length,
)
from engine.scheduler import RequestId

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

logger = logging.getLogger(__name__)

RUNNER_LOADER = "engine.runner:load_runner"
MAX_DEATHS = 2
_END_WITHIN_S = 5.0
_MAX_RESTART_DELAY_S = 60.0
_LAST_WORDS_BYTES = 8_192

# The same import path as here, and ``engine.process`` under its own name: run by ``-m`` it
# would be ``__main__``, and its messages would not be equal to ours.
_CHILD = "import sys; sys.path[:] = sys.argv[1:]; from engine.process import main; main()"


@dataclass(slots=True, kw_only=True, eq=False)
class _Ticket:
    """A drawing that somebody waits for."""

    id: RequestId
    request: DrawRequest
    asked_at_s: float
    events: asyncio.Queue[DrawEvent | EngineError] = field(
        default_factory=asyncio.Queue["DrawEvent | EngineError"]
    )
    was_accepted: bool = False
    is_being_drawn: bool = False
    death_count: int = 0


class EngineProcess:
    """An ``engine.api.Engine`` that draws in a process of its own."""

    def __init__(
        self,
        *,
        checkpoint_dir: Path,
        slot_count: int,
        cache_dir: Path | None = None,
        max_waiting_pictures: int = 512,
        restart_delay_s: float = 1.0,
        runner_loader: str = RUNNER_LOADER,
    ) -> None:
        """Prepare; ``start`` does the work.

        Args:
            checkpoint_dir: The folder of the weights.
            slot_count: Pictures drawn at once.
            cache_dir: Where compiled programs are kept between starts.
            max_waiting_pictures: How long the waiting line may be.
            restart_delay_s: The pause after a start that failed; it doubles each time.
            runner_loader: ``module:function`` of an ``engine.process.LoadRunner``.
        """
        self._start = Start(
            runner_loader=runner_loader,
            checkpoint_dir=checkpoint_dir,
            slot_count=slot_count,
            cache_dir=cache_dir,
            max_waiting_pictures=max_waiting_pictures,
        )
        self._restart_delay_s = restart_delay_s
        self._names = itertools.count(1)
        self._tickets: dict[RequestId, _Ticket] = {}
        self._child: _Child | None = None
        self._watch: asyncio.Task[None] | None = None
        self._is_ready = False
        self._restart_count = 0

    def __repr__(self) -> str:
        condition = "ready" if self._is_ready else "stopped" if self._watch is None else "starting"
        return (
            f"<EngineProcess {condition}, {len(self._tickets)} requests, "
            f"{self._restart_count} restarts>"
        )

    @property
    def process_id(self) -> int | None:
        """The id of the running process; ``None`` while there is none."""
        return None if self._child is None else self._child.process_id

    async def start(self) -> None:
        """Start the process; return when it has loaded and compiled everything.

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
        """Give up what is not done (``EngineClosedError``) and end the process."""
        watch, self._watch = self._watch, None
        self._fail_all(EngineClosedError("The engine was closed before the pictures were done."))
        if watch is not None:
            watch.cancel()
            await asyncio.wait([watch])

    async def draw(self, request: DrawRequest) -> AsyncGenerator[DrawEvent]:
        """Draw ``request``; see ``engine.api.Engine``. Closing the iterator gives it up."""
        if self._watch is None:
            raise EngineClosedError("The engine is not running.")
        ticket = self._take(request)
        try:
            while True:
                event = await ticket.events.get()
                if isinstance(event, EngineError):
                    raise event
                yield event
                if isinstance(event, Drawn):
                    return
        finally:
            self._give_back(ticket)

    # --- tickets ----------------------------------------------------------------------

    def _take(self, request: DrawRequest) -> _Ticket:
        seed = secrets.randbelow(MAX_SEED + 1) if request.seed is None else request.seed
        ticket = _Ticket(
            id=RequestId(next(self._names)),
            request=dataclasses.replace(request, seed=seed),
            asked_at_s=time.monotonic(),
        )
        self._tickets[ticket.id] = ticket
        if self._is_ready:
            self._ask(ticket)
        return ticket

    def _ask(self, ticket: _Ticket) -> None:
        self._send(
            Draw(
                request_id=ticket.id,
                request=ticket.request,
                asked_at_s=ticket.asked_at_s,
                was_accepted_before=ticket.was_accepted,
            )
        )

    def _give_back(self, ticket: _Ticket) -> None:
        if self._tickets.pop(ticket.id, None) is not None and self._is_ready:
            self._send(Cancel(request_id=ticket.id))

    def _send(self, message: ToEngine) -> None:
        if self._child is not None:
            self._child.send(message)

    def _end_ticket(self, request_id: RequestId, end: Drawn | EngineError) -> None:
        ticket = self._tickets.pop(request_id, None)
        if ticket is not None:
            ticket.events.put_nowait(end)

    def _fail_all(self, error: EngineError) -> None:
        for request_id in list(self._tickets):
            self._end_ticket(request_id, error)

    # --- the process ------------------------------------------------------------------

    async def _watch_over(self, started: asyncio.Future[None]) -> None:
        """Keep a process running until cancelled; tell the first outcome to ``started``."""
        try:
            await self._keep_running(started)
        finally:
            if not started.done():
                started.set_exception(EngineClosedError("The engine was closed."))

    async def _keep_running(self, started: asyncio.Future[None]) -> None:
        delay_s = self._restart_delay_s
        while True:
            try:
                await self._run_once(started)
            except Exception as error:
                failure = _as_engine_error(error)
                if not started.done():
                    started.set_exception(failure)
                    return
                logger.exception("engine restart failed retry_after_s=%.1f", delay_s)
                self._fail_all(failure)  # whatever it is, nobody is left waiting
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, _MAX_RESTART_DELAY_S)
            else:
                delay_s = self._restart_delay_s
                self._count_death()
            self._restart_count += 1

    async def _run_once(self, started: asyncio.Future[None]) -> None:
        """Run a process until it ends by itself.

        Raises:
            EngineError: It ended before it was ready.
        """
        async with _Child.running(self._start) as child:
            self._child = child
            try:
                async for message in child.messages():
                    self._handle(message, started)
                exit_status = await child.wait()
                logger.error(
                    "engine process ended exit_status=%d last_words:\n%s",
                    exit_status,
                    child.last_words,
                )
                if not self._is_ready:
                    raise EngineError(
                        f"The engine process ended while it was starting (exit status "
                        f"{exit_status}); the log has its last words."
                    )
            finally:
                self._child = None
                self._is_ready = False

    def _count_death(self) -> None:
        for ticket in [t for t in self._tickets.values() if t.is_being_drawn]:
            ticket.is_being_drawn = False
            ticket.death_count += 1
            if ticket.death_count == MAX_DEATHS:
                self._end_ticket(
                    ticket.id, DrawingFailedError("The engine broke twice over this request.")
                )

    def _handle(self, message: FromEngine, started: asyncio.Future[None]) -> None:
        match message:
            case Ready():
                self._become_ready(message, started)
            case Unusable(sentence=sentence):
                raise CheckpointError(sentence)
            case Told():
                self._tell(message)
            case Refused(request_id=request_id, retry_after_s=retry_after_s):
                self._end_ticket(request_id, EngineBusyError(retry_after_s))
            case Failed(request_id=request_id):
                error = DrawingFailedError("The engine broke while it was drawing this request.")
                self._end_ticket(request_id, error)
            case Said(level=level, text=text):
                logger.log(level, "engine process says: %s", text)
            case _:
                assert_never(message)

    def _become_ready(self, ready: Ready, started: asyncio.Future[None]) -> None:
        self._is_ready = True
        logger.info("engine ready model=%s slot_count=%d", ready.model, ready.slot_count)
        for ticket in self._tickets.values():
            self._ask(ticket)
        if not started.done():
            started.set_result(None)

    def _tell(self, told: Told) -> None:
        ticket = self._tickets.get(told.request_id)
        if ticket is None:
            return  # given up while the event was on its way
        ticket.was_accepted = True
        if isinstance(told.event, Drawn):
            self._end_ticket(ticket.id, told.event)
            return
        ticket.is_being_drawn = isinstance(told.event, Drawing)
        ticket.events.put_nowait(told.event)


def _as_engine_error(error: Exception) -> EngineError:
    if isinstance(error, EngineError):
        return error
    return EngineError(f"The engine process cannot be run ({error}).")


class _Child:
    """One engine process and the pipes to it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._last_bytes = b""
        self._listening = asyncio.create_task(self._listen(), name="engine-stderr")
        self.process_id = process.pid

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, start: Start) -> AsyncGenerator[_Child]:
        """Have a process while the block lasts."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _CHILD,
            *sys.path,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        child = cls(process)
        try:
            child.send(start)
            yield child
        finally:
            await child.end()

    @property
    def last_words(self) -> str:
        """The end of what the process wrote to standard error."""
        return self._last_bytes.decode(errors="replace").strip()

    def send(self, message: Start | ToEngine) -> None:
        """Queue a message; if the process is dead, it is lost with it."""
        assert self._process.stdin is not None  # noqa: S101 - it was made with a pipe
        if not self._process.stdin.is_closing():
            self._process.stdin.write(encode_frame(message))

    async def messages(self) -> AsyncIterator[FromEngine]:
        """What the process tells, until it ends."""
        assert self._process.stdout is not None  # noqa: S101 - it was made with a pipe
        with contextlib.suppress(asyncio.IncompleteReadError):  # the end, also in mid-frame
            while True:
                header = await self._process.stdout.readexactly(HEADER_BYTES)
                body = await self._process.stdout.readexactly(frame_length(header))
                yield cast("FromEngine", decode_frame(body))

    async def wait(self) -> int:
        """Return the exit status once the process has ended and said everything."""
        await self._listening
        return await self._process.wait()

    async def end(self) -> None:
        """Close its standard input, which ends it; kill it if it does not listen."""
        assert self._process.stdin is not None  # noqa: S101 - it was made with a pipe
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self.wait(), _END_WITHIN_S)
        except TimeoutError:
            logger.warning("engine process killed: it did not end in %.0f s", _END_WITHIN_S)
            with contextlib.suppress(ProcessLookupError):  # it has just ended after all
                self._process.kill()
            await self._process.wait()
        finally:
            self._listening.cancel()

    async def _listen(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - it was made with a pipe
        while chunk := await self._process.stderr.read(_LAST_WORDS_BYTES):
            self._last_bytes = (self._last_bytes + chunk)[-_LAST_WORDS_BYTES:]
