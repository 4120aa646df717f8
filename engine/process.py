"""The engine process: the loop around a runner, driven by messages through two pipes.

The process belongs to the one that started it (``engine.supervisor``). Requests come in as
frames on standard input, events go out as frames on standard output, and when standard
input ends, whether the parent closed it or was killed, the process ends at once. What it
has to say in words goes to standard error, or as a ``Said`` frame to the parent's log.

Three threads: one reads what comes in, one is the loop (``engine.loop``), one finishes
what is drawn (``engine.finisher``).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import queue
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final, cast

from engine.api import CheckpointError
from engine.finisher import in_a_thread
from engine.loop import EngineLoop
from engine.messages import (
    HEADER_BYTES,
    LENGTH_BYTES,
    FromEngine,
    Ready,
    Said,
    Start,
    ToEngine,
    Unusable,
    Wake,
    decode_frame,
    encode_frame,
    frame_shape,
    part_lengths,
)

if TYPE_CHECKING:
    import io
    from collections.abc import Callable

    from engine.contract import LoadRunner, Runner

_NICENESS: Final = 5  # the bot's process answers people within seconds, also on a busy machine


class _Pipes:
    """The frames of this process: a queue that a thread fills, and a way out."""

    def __init__(self, incoming: io.BufferedReader, outgoing: io.BufferedWriter) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._sending = threading.Lock()
        self.inbox: queue.SimpleQueue[ToEngine] = queue.SimpleQueue()

    @classmethod
    def from_standard_streams(cls) -> _Pipes:
        """Take over standard input and output.

        Whatever prints or reads by mistake gets standard error and nothing, and cannot
        disturb the frames.
        """
        incoming = os.fdopen(os.dup(0), "rb")
        outgoing = os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        return cls(incoming, outgoing)

    def send(self, message: FromEngine) -> None:
        """Write a frame; blocks while the parent does not read. Safe from any thread."""
        frame = encode_frame(message)
        with self._sending:
            for piece in frame:
                self._outgoing.write(piece)
            self._outgoing.flush()

    def receive(self) -> Start | ToEngine:
        """Read a frame; blocks. Ends the process when there are no more."""
        shape = frame_shape(self._read(HEADER_BYTES))
        lengths = part_lengths(self._read(LENGTH_BYTES * shape.part_count))
        body = self._read(shape.body_bytes)
        parts = [self._read(length) for length in lengths]
        return cast("Start | ToEngine", decode_frame(body, parts))

    def _read(self, count: int) -> bytes:
        data = self._incoming.read(count)
        if len(data) < count:
            # The parent closed the pipe or is dead: nobody wants anything from here. Not
            # sys.exit: this thread is not the one that computes, and that one may be busy
            # for long.
            os._exit(0)
        return data

    def receive_in_background(self) -> None:
        """Fill ``inbox`` from now on."""
        threading.Thread(target=self._fill_inbox, name="engine-inbox", daemon=True).start()

    def _fill_inbox(self) -> None:
        while True:
            self.inbox.put(cast("ToEngine", self.receive()))


class _SayToParent(logging.Handler):
    """Sends warnings and worse to the parent's log."""

    def __init__(self, send: Callable[[FromEngine], None]) -> None:
        super().__init__(logging.WARNING)
        self._send_message = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send_message(Said(level=record.levelno, text=self.format(record)))


def main() -> None:
    """Be the engine process until standard input ends."""
    # Ctrl-C and a service manager's stop reach every process of the group. The parent
    # decides when this one ends; it may still have drawings to finish.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pipes = _Pipes.from_standard_streams()
    logging.basicConfig(
        handlers=[_SayToParent(pipes.send)], level=logging.WARNING, format="%(name)s: %(message)s"
    )
    start = cast("Start", pipes.receive())
    pipes.receive_in_background()
    _step_back(start)
    try:
        runner = _load(start)
    except CheckpointError as error:
        pipes.send(Unusable(sentence=str(error)))
        sys.exit(1)
    gc.freeze()  # the loaded program stays: no collection need look through it in mid-drawing
    pipes.send(_ready(runner))
    loop = EngineLoop(
        runner,
        pipes.send,
        submit=in_a_thread(),
        max_waiting_pictures=start.max_waiting_pictures,
        wake=lambda: pipes.inbox.put(Wake()),
    )
    run(loop, pipes.inbox)


def _step_back(start: Start) -> None:
    """Leave the processor to others first, and all of it but the cores that are given."""
    os.nice(_NICENESS)
    if start.cpu_ids is not None and sys.platform == "linux":
        with contextlib.suppress(OSError):  # a container may forbid it: it is only a share
            os.sched_setaffinity(0, start.cpu_ids)


def _load(start: Start) -> Runner:
    # Imported by name: only this process may import JAX, and tests bring a runner of
    # their own.
    module, _, function = start.runner_loader.partition(":")
    load = cast("LoadRunner", getattr(importlib.import_module(module), function))
    runner = load(start.runner)
    runner.warm_up()
    return runner


def _ready(runner: Runner) -> Ready:
    return Ready(
        model=runner.model,
        slot_count=runner.slot_count,
        image_length=runner.image_length,
        code_count=runner.code_count,
    )


def run(loop: EngineLoop, inbox: queue.SimpleQueue[ToEngine]) -> None:
    """Take what has come in, then draw a chunk, for ever."""
    while True:
        if loop.is_idle:
            loop.rest()
            loop.receive(inbox.get())
        while not inbox.empty():
            loop.receive(inbox.get())
        if not loop.is_idle:
            loop.turn()
