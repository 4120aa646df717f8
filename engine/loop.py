"""The cycle of the engine process: admit, step, finish.

The life of a request here: ``EngineLoop.receive`` puts it into the line. Each ``turn``
admits pictures to free slots, steps all slots by one chunk and finishes what is complete:
its tokens are read before their slots are given away, and handed to the finisher
(``engine.finisher``), which renders, ranks and encodes them in a second thread while the
loop goes on, and tells ``Drawn``.

One thread calls everything here.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, assert_never

import numpy as np

from engine import rendering
from engine.api import MAX_PICTURE_COUNT, DrawRequest, EngineStats, Preview
from engine.contract import Placement
from engine.finisher import Finisher
from engine.memory import resident_bytes
from engine.messages import (
    Alive,
    Busy,
    Cancel,
    Done,
    Draw,
    Encode,
    Failed,
    FromEngine,
    Look,
    Render,
    Seen,
    ToEngine,
    Told,
    Upscale,
    Wake,
)
from engine.pace import Pace
from engine.progress import Progress
from engine.scheduler import LineFullError, RequestId, Scheduler, Seat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from engine.contract import Runner
    from engine.finisher import Submit

logger = logging.getLogger(__name__)

_ALIVE_EVERY_S: Final = 1.0
_PREVIEWS_AT: Final = (0.25, 0.5, 0.75)


@dataclass(slots=True, kw_only=True)
class _Sketch:
    """What is known of a request while it is drawn."""

    draw: Draw
    placed_at_s: float = 0.0
    previews_due: list[float] = field(default_factory=list[float])
    tokens: dict[int, NDArray[np.int32]] = field(default_factory=dict[int, "NDArray[np.int32]"])

    @property
    def request(self) -> DrawRequest:
        return self.draw.request


class EngineLoop:
    """Draws what it receives, many pictures at once; tells through ``send``."""

    def __init__(
        self,
        runner: Runner,
        send: Callable[[FromEngine], None],
        *,
        submit: Submit,
        max_waiting_pictures: int,
        wake: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nothing to draw.

        Args:
            runner: Draws; nobody else places and steps.
            send: Takes what is told; the finisher calls it from its thread.
            submit: Runs the finisher's work.
            max_waiting_pictures: How long the waiting line may be.
            wake: Called when the finisher has done something.
            clock: The system's monotonic clock.
        """
        self._runner = runner
        self._send = send
        self._clock = clock
        self._pace = Pace(clock)
        self._finisher = Finisher(
            send,
            submit=submit,
            wake=wake,
            max_pictures=2 * max(MAX_PICTURE_COUNT, runner.slot_count),
            clock=clock,
        )
        self._scheduler = Scheduler(
            slot_count=runner.slot_count,
            chunk_count=runner.chunk_count,
            max_waiting=max_waiting_pictures,
        )
        self._progress = Progress(
            self._scheduler,
            self._pace,
            send,
            slot_count=runner.slot_count,
            backlog=lambda: self._finisher.backlog,
            clock=clock,
        )
        self._sketches: dict[RequestId, _Sketch] = {}
        self._alive_at_s = clock()

    def __repr__(self) -> str:
        return f"<EngineLoop {len(self._sketches)} requests, {self._scheduler!r}>"

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to draw, or nothing that may be begun now."""
        return not self._scheduler.held_count and (
            self._scheduler.is_idle or not self._finisher.has_room
        )

    def receive(self, message: ToEngine) -> None:
        """Take a request into the line, or out of wherever it is."""
        match message:
            case Draw():
                self._accept(message)
            case Cancel(request_id=request_id):
                self._drop(request_id)
            case Upscale(request_id=request_id, picture=picture):
                self._on_the_side(request_id, lambda: rendering.upscale(self._runner, picture))
            case Encode(request_id=request_id, picture=picture):
                self._on_the_side(request_id, lambda: rendering.encode(self._runner, picture))
            case Render():
                self._on_the_side(
                    message.request_id,
                    lambda: rendering.render(
                        self._runner, message.request, message.index, message.tokens
                    ),
                )
            case Look(request_id=request_id):
                self._send(Seen(request_id=request_id, stats=self.stats()))
            case Wake():
                pass
            case _:
                assert_never(message)

    def turn(self) -> None:
        """Admit, step, finish: draw one chunk of everything that has a slot."""
        begun_at_s = self._clock()
        self._admit()
        span = self._scheduler.span
        if span:
            self._runner.step()
            self._finish()
            self._show_previews()
            self._progress.tell_begun()
            self._pace.note_chunk(span, self._clock() - begun_at_s)
        self._progress.tell_waiting()
        self._say_that_it_turns()

    def rest(self) -> None:
        """Use the time in which there is nothing to draw to look after itself."""
        if self._scheduler.is_idle:
            self._scheduler.check_integrity()

    def stats(self) -> EngineStats:
        """Tell how it goes."""
        counted = self._runner.stats()
        return EngineStats(
            slot_count=self._runner.slot_count,
            busy_slot_count=self._scheduler.held_count,
            waiting_picture_count=self._scheduler.waiting_count,
            finishing_picture_count=self._finisher.picture_count,
            chunks_per_s=self._pace.chunks.per_s(),
            pictures_per_s=self._pace.pictures.per_s(),
            chunk_s=self._pace.chunk_s(self._scheduler.span),
            text_cache_hits=counted.text_cache_hits,
            text_cache_misses=counted.text_cache_misses,
            compile_count=counted.compile_count,
            memory_bytes=resident_bytes(),
            device_bytes=counted.device_bytes,
        )

    # --- in and out of the line -------------------------------------------------------

    def _accept(self, draw: Draw) -> None:
        try:
            self._scheduler.add(
                draw.request_id,
                draw.request.picture_count,
                requester=draw.requester,
                priority=draw.priority,
                was_accepted_before=draw.was_accepted_before,
            )
        except LineFullError as error:
            chunk_s = self._pace.chunk_s(self._runner.slot_count) or 0.0
            retry_after_s = max(1.0, error.chunks_until_room * chunk_s)
            self._send(Busy(request_id=draw.request_id, retry_after_s=retry_after_s))
        else:
            due = list(_PREVIEWS_AT) if draw.request.preview else []
            self._sketches[draw.request_id] = _Sketch(draw=draw, previews_due=due)
            self._progress.begin(draw.request_id, draw.request.picture_count)

    def _drop(self, request_id: RequestId) -> None:
        """Take a request out, also one that is unknown or done by now."""
        self._finisher.cancel(request_id)
        self._sketches.pop(request_id, None)
        self._progress.end(request_id)
        slots = self._scheduler.cancel(request_id)
        if slots:
            self._runner.vacate(slots)

    def _on_the_side(
        self, request_id: RequestId, answer: Callable[[], bytes | tuple[int, ...]]
    ) -> None:
        self._finisher.add(request_id, 0, lambda: Done(request_id=request_id, answer=answer()))

    # --- admit ------------------------------------------------------------------------

    def _admit(self) -> None:
        if not self._finisher.has_room:
            return
        seats: defaultdict[RequestId, list[Seat]] = defaultdict(list)
        for seat in self._scheduler.admit():
            seats[seat.request_id].append(seat)
        # Told before the runner sees it: should it take the process down, it is known who did.
        if seats:
            self._progress.line_has_moved()
            self._progress.tell_begun()
        for request_id, its_seats in seats.items():
            self._place(self._sketches[request_id], its_seats)

    def _place(self, sketch: _Sketch, seats: Iterable[Seat]) -> None:
        sketch.placed_at_s = sketch.placed_at_s or self._clock()
        try:
            self._runner.place([_placement(sketch.request, seat) for seat in seats])
        except Exception:
            request_id = sketch.draw.request_id
            logger.exception("request failed request_id=%d", request_id)
            self._drop(request_id)
            self._send(Failed(request_id=request_id))

    # --- finish -----------------------------------------------------------------------

    def _finish(self) -> None:
        seats = self._scheduler.finish()
        if not seats:
            return
        self._progress.line_has_moved()
        for seat, tokens in zip(seats, self._runner.tokens([s.slot for s in seats]), strict=True):
            self._sketches[seat.request_id].tokens[seat.index] = tokens
        for request_id in {seat.request_id: None for seat in seats}:
            sketch = self._sketches[request_id]
            if len(sketch.tokens) == sketch.request.picture_count:
                self._hand_over(sketch)

    def _hand_over(self, sketch: _Sketch) -> None:
        request_id, request = sketch.draw.request_id, sketch.request
        del self._sketches[request_id]
        moments = rendering.Moments(
            asked_at_s=sketch.draw.asked_at_s,
            placed_at_s=sketch.placed_at_s,
            decoded_at_s=self._clock(),
        )
        tokens = np.stack([sketch.tokens[index] for index in range(request.picture_count)])
        self._progress.end_drawn(request_id)

        def draw_up() -> Told:
            begun_at_s = self._clock()
            drawn = rendering.draw_up(self._runner, request, tokens, moments, self._clock)
            self._pace.note_pictures(request.picture_count, self._clock() - begun_at_s)
            return Told(request_id=request_id, event=drawn)

        self._finisher.add(request_id, request.picture_count, draw_up)

    # --- previews ---------------------------------------------------------------------

    def _show_previews(self) -> None:
        """Show what is there of those who asked for it, if it is due and the finisher free."""
        for request_id in self._scheduler.begun_ids:
            sketch = self._sketches[request_id]
            fraction = self._scheduler.fraction(request_id) if sketch.previews_due else 0.0
            if sketch.previews_due and fraction >= sketch.previews_due[0]:
                sketch.previews_due = [due for due in sketch.previews_due if due > fraction]
                if self._finisher.is_idle:
                    self._show(sketch, fraction)

    def _show(self, sketch: _Sketch, fraction: float) -> None:
        request_id, request = sketch.draw.request_id, sketch.request
        parts = self._parts(sketch)

        def show() -> Told:
            picture = rendering.preview(self._runner, request, parts)
            return Told(request_id=request_id, event=Preview(fraction=fraction, picture=picture))

        self._finisher.try_aside(request_id, show)

    def _parts(self, sketch: _Sketch) -> dict[int, rendering.Tokens]:
        """Return what is there of a request's pictures."""
        length, keep = self._runner.image_length, sketch.request.keep
        parts = {
            index: rendering.Tokens(tokens=tokens, drawn_count=length)
            for index, tokens in sketch.tokens.items()
        }
        drawn = self._scheduler.drawn_chunks(sketch.draw.request_id)
        rows = self._runner.tokens([seat.slot for seat in drawn])
        for (seat, chunks), tokens in zip(drawn.items(), rows, strict=True):
            count = max(len(keep), chunks * length // self._runner.chunk_count)
            row = np.concatenate([np.asarray(keep, np.int32), tokens[len(keep) :]])
            if count:
                parts[seat.index] = rendering.Tokens(tokens=row, drawn_count=count)
        return parts

    def _say_that_it_turns(self) -> None:
        if self._clock() >= self._alive_at_s + _ALIVE_EVERY_S:
            self._alive_at_s = self._clock()
            self._send(Alive())


def _placement(request: DrawRequest, seat: Seat) -> Placement:
    return Placement(
        slot=seat.slot,
        prompt=request.prompt,
        seed=rendering.seed_of(request),
        index=seat.index,
        options=request.options,
        keep=request.keep,
    )
