"""The engine process: a loop around the runner, driven by messages through two pipes.

The process belongs to the one that started it (``engine.client``). Requests come in as
frames on standard input, events go out as frames on standard output, and when standard
input ends, whether the parent closed it or was killed, the process ends at once. What it
has to say in words goes to standard error, or as a ``Said`` frame to the parent's log.

The life of a request here: ``EngineLoop.receive`` puts it into the line; each ``turn``
admits pictures to free slots, steps all slots by one chunk and finishes what is complete:
its tokens become pixels, CLIP ranks them, PNGs are made, and ``Drawn`` is told.
"""

from __future__ import annotations

import importlib
import logging
import os
import pickle
import queue
import signal
import struct
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from engine.api import (
    CheckpointError,
    DrawEvent,
    Drawing,
    Drawn,
    DrawRequest,
    Picture,
    Queued,
    SamplingOptions,
    Timings,
)
from engine.pictures import PictureInfo, draw_grid, encode_png
from engine.scheduler import LineFullError, RequestId, Scheduler, Seat

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_HEADER = struct.Struct(">I")
HEADER_BYTES = _HEADER.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A picture to begin: what it shows, which noise it starts from, and where it sits."""

    slot: int
    prompt: str
    seed: int
    index: int
    options: SamplingOptions


class Runner(Protocol):
    """What draws. Called by one thread only."""

    @property
    def slot_count(self) -> int:
        """Pictures drawn at once."""
        ...

    @property
    def chunk_count(self) -> int:
        """Chunks from an empty picture to a finished one."""
        ...

    @property
    def model(self) -> str:
        """Its name for people."""
        ...

    def warm_up(self) -> None:
        """Compile everything."""
        ...

    def place(self, placements: Sequence[Placement]) -> None:
        """Start pictures in slots; whatever was in them is forgotten."""
        ...

    def step(self) -> None:
        """Advance all slots by one chunk."""
        ...

    def tokens(self, slots: Sequence[int]) -> NDArray[np.int32]:
        """Return the image tokens [n, S] of finished slots."""
        ...

    def render(self, tokens: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Turn image tokens [n, S] into pixels [n, h, w, 3]."""
        ...

    def rank(self, prompt: str, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return CLIP's logit [n] for each picture [n, h, w, 3] and the raw prompt."""
        ...


class LoadRunner(Protocol):
    """How a runner is made: ``engine.runner.load_runner`` in earnest."""

    def __call__(self, checkpoint_dir: Path, slot_count: int, cache_dir: Path | None) -> Runner:
        """Load a checkpoint.

        Raises:
            CheckpointError: It cannot be used.
        """
        ...


# --- messages -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The first message in. ``runner_loader`` is a ``module:function`` (``LoadRunner``)."""

    runner_loader: str
    checkpoint_dir: Path
    slot_count: int
    cache_dir: Path | None
    max_waiting_pictures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Draw a request that has a seed.

    Attributes:
        asked_at_s: When it was asked for, on the system's monotonic clock.
        was_accepted_before: It had its place in an engine process that died.
    """

    request_id: RequestId
    request: DrawRequest
    asked_at_s: float
    was_accepted_before: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Nobody waits for this request any more."""

    request_id: RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The first request would be drawn now."""

    model: str
    slot_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """The checkpoint cannot be used; the last message of this process."""

    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something about a request; after a ``Drawn`` there is nothing more."""

    request_id: RequestId
    event: DrawEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The line is too long for the request."""

    request_id: RequestId
    retry_after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The request broke; the others go on."""

    request_id: RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A line for the parent's log."""

    level: int
    text: str


ToEngine = Draw | Cancel
FromEngine = Ready | Unusable | Told | Refused | Failed | Said


def encode_frame(message: Start | ToEngine | FromEngine) -> bytes:
    """Return the message as bytes with their length in front."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _HEADER.pack(len(body)) + body


def frame_length(header: bytes) -> int:
    """Return how many bytes follow a header."""
    return cast("int", _HEADER.unpack(header)[0])


def decode_frame(body: bytes) -> Start | ToEngine | FromEngine:
    """Return the message of a frame's bytes."""
    return pickle.loads(body)  # noqa: S301 - from our own child or parent, through a pipe


# --- the loop -------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _Sketch:
    """What is known of a request while it is drawn."""

    draw: Draw
    last_event: DrawEvent | None = None
    placed_at_s: float | None = None
    tokens: dict[int, NDArray[np.int32]] = field(default_factory=dict[int, "NDArray[np.int32]"])


class EngineLoop:
    """Draws what it receives, many pictures at once; tells through ``send``."""

    def __init__(
        self,
        runner: Runner,
        send: Callable[[FromEngine], None],
        *,
        max_waiting_pictures: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner = runner
        self._send = send
        self._clock = clock
        self._scheduler = Scheduler(
            slot_count=runner.slot_count,
            chunk_count=runner.chunk_count,
            max_waiting=max_waiting_pictures,
        )
        self._sketches: dict[RequestId, _Sketch] = {}
        self._turn_s = 0.0

    def __repr__(self) -> str:
        return f"<EngineLoop {len(self._sketches)} requests, {self._scheduler!r}>"

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to draw."""
        return self._scheduler.is_idle

    def receive(self, message: ToEngine) -> None:
        """Take a request into the line, or out of wherever it is."""
        match message:
            case Draw():
                self._accept(message)
            case Cancel(request_id=request_id):
                self._drop(request_id)

    def turn(self) -> None:
        """Admit, step, finish: draw one chunk of everything that has a slot."""
        begun_at_s = self._clock()
        self._admit()
        self._runner.step()
        self._finish()
        self._tell_progress()
        # A short memory: renderings are uneven, and the speed changes with the load.
        self._turn_s += 0.2 * (self._clock() - begun_at_s - self._turn_s)

    def rest(self) -> None:
        """Use the time in which there is nothing to draw to look after itself."""
        self._scheduler.check_integrity()

    def _accept(self, draw: Draw) -> None:
        try:
            self._scheduler.add(
                draw.request_id,
                draw.request.picture_count,
                was_accepted_before=draw.was_accepted_before,
            )
        except LineFullError as error:
            retry_after_s = max(1.0, error.chunks_until_room * self._turn_s)
            self._send(Refused(request_id=draw.request_id, retry_after_s=retry_after_s))
        else:
            self._sketches[draw.request_id] = _Sketch(draw=draw)
            self._tell_progress()

    def _drop(self, request_id: RequestId) -> None:
        self._scheduler.cancel(request_id)
        self._sketches.pop(request_id, None)
        self._tell_progress()

    def _admit(self) -> None:
        seats: defaultdict[RequestId, list[Seat]] = defaultdict(list)
        for seat in self._scheduler.admit():
            seats[seat.request_id].append(seat)
        # Told before the runner sees it: should it take the process down, it is known who did.
        self._tell_progress()
        for request_id, its_seats in seats.items():
            self._place(self._sketches[request_id], its_seats)

    def _place(self, sketch: _Sketch, seats: Iterable[Seat]) -> None:
        request = sketch.draw.request
        if sketch.placed_at_s is None:
            sketch.placed_at_s = self._clock()
        try:
            self._runner.place(
                [
                    Placement(
                        slot=seat.slot,
                        prompt=request.prompt,
                        seed=_seed(request),
                        index=seat.index,
                        options=request.options,
                    )
                    for seat in seats
                ]
            )
        except Exception as error:  # noqa: BLE001 - one request breaks, the others go on
            self._fail(sketch.draw.request_id, error)

    def _finish(self) -> None:
        seats = self._scheduler.finish()
        if not seats:
            return
        for seat, tokens in zip(seats, self._runner.tokens([s.slot for s in seats]), strict=True):
            self._sketches[seat.request_id].tokens[seat.index] = tokens
        for request_id in {seat.request_id: None for seat in seats}:
            sketch = self._sketches[request_id]
            if len(sketch.tokens) == sketch.draw.request.picture_count:
                self._hand_over(sketch)

    def _hand_over(self, sketch: _Sketch) -> None:
        request_id = sketch.draw.request_id
        self._send(Told(request_id=request_id, event=Drawing(fraction=1.0)))
        try:
            drawn = self._draw_up(sketch)
        except Exception as error:  # noqa: BLE001 - one request breaks, the others go on
            self._fail(request_id, error)
        else:
            del self._sketches[request_id]
            self._send(Told(request_id=request_id, event=drawn))

    def _draw_up(self, sketch: _Sketch) -> Drawn:
        decoded_at_s = self._clock()
        request, placed_at_s = sketch.draw.request, sketch.placed_at_s or decoded_at_s
        tokens = np.stack([sketch.tokens[index] for index in range(request.picture_count)])
        pixels = self._runner.render(tokens)
        scores = self._runner.rank(request.prompt, pixels)
        best_first = [int(index) for index in np.argsort(-scores, kind="stable")]
        pictures = tuple(
            Picture(
                png=encode_png(pixels[index], self._info(request, index)),
                score=float(scores[index]),
                index=index,
                tokens=tuple(tokens[index].tolist()),
            )
            for index in best_first
        )
        grid = draw_grid([pixels[index] for index in best_first])
        return Drawn(
            pictures=pictures,
            grid_png=encode_png(grid, self._info(request, None)),
            seed=_seed(request),
            model=self._runner.model,
            timings=Timings(
                waited_s=placed_at_s - sketch.draw.asked_at_s,
                decoded_s=decoded_at_s - placed_at_s,
                rendered_s=self._clock() - decoded_at_s,
            ),
        )

    def _info(self, request: DrawRequest, index: int | None) -> PictureInfo:
        return PictureInfo(
            prompt=request.prompt,
            seed=_seed(request),
            index=index,
            options=request.options,
            model=self._runner.model,
        )

    def _fail(self, request_id: RequestId, error: Exception) -> None:
        logger.error("request failed request_id=%d", request_id, exc_info=error)
        self._scheduler.cancel(request_id)
        del self._sketches[request_id]
        self._send(Failed(request_id=request_id))

    def _tell_progress(self) -> None:
        ahead = self._scheduler.pictures_ahead()
        for request_id, sketch in self._sketches.items():
            event = (
                Queued(pictures_ahead=ahead[request_id])
                if request_id in ahead
                else Drawing(fraction=self._scheduler.fraction(request_id))
            )
            if event != sketch.last_event:
                sketch.last_event = event
                self._send(Told(request_id=request_id, event=event))


def _seed(request: DrawRequest) -> int:
    if request.seed is None:
        raise ValueError("a request comes here with a seed")
    return request.seed


# --- the process ----------------------------------------------------------------------


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
        with self._sending:
            self._outgoing.write(encode_frame(message))
            self._outgoing.flush()

    def receive(self) -> Start | ToEngine:
        """Read a frame; blocks. Ends the process when there are no more."""
        header = self._incoming.read(HEADER_BYTES)
        body = self._incoming.read(frame_length(header)) if len(header) == HEADER_BYTES else b""
        if not body:
            # The parent closed the pipe or is dead: nobody wants anything from here. Not
            # sys.exit: this thread is not the one that computes, and that one may be busy
            # for long.
            os._exit(0)
        return cast("Start | ToEngine", decode_frame(body))

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
    try:
        runner = _load(start)
    except CheckpointError as error:
        pipes.send(Unusable(sentence=str(error)))
        sys.exit(1)
    pipes.send(Ready(model=runner.model, slot_count=runner.slot_count))
    loop = EngineLoop(runner, pipes.send, max_waiting_pictures=start.max_waiting_pictures)
    run(loop, pipes.inbox)


def _load(start: Start) -> Runner:
    # Imported by name: only this process may import JAX, and tests bring a runner of
    # their own.
    module, _, function = start.runner_loader.partition(":")
    load = cast("LoadRunner", getattr(importlib.import_module(module), function))
    runner = load(start.checkpoint_dir, start.slot_count, start.cache_dir)
    runner.warm_up()
    return runner


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
