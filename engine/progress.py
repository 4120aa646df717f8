"""Tells those who wait where they stand and when they will be done.

Told is what is new: at once that a request has begun and that it is drawn, all else at most
every ``TOLD_EVERY_S``. Those who wait are told in the order of the line, a few at each turn,
so that a very long line keeps nobody from drawing.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

from engine.api import Drawing, Queued
from engine.messages import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.line import RequestId
    from engine.messages import FromEngine
    from engine.pace import Backlog, Outlook, Pace
    from engine.scheduler import Forecast, Scheduler

TOLD_EVERY_S: Final = 0.25

_FORECASTS_A_TURN: Final = 128
_PLACES_LOOKED_AT: Final = 64
_LONG_LINE_COUNT: Final = 4_096  # of pictures: looking for a place in it takes too long


@dataclass(slots=True, kw_only=True)
class _Waiter:
    """Who waits for so many pictures, and what they were told last."""

    picture_count: int
    last_event: Queued | Drawing | None = None
    told_at_s: float = 0.0


class Progress:
    """Follows the scheduler's forecasts. Called by the loop's thread only."""

    def __init__(
        self,
        scheduler: Scheduler,
        pace: Pace,
        send: Callable[[FromEngine], None],
        *,
        slot_count: int,
        backlog: Callable[[], Backlog],
        clock: Callable[[], float],
    ) -> None:
        """Begin with nobody who waits.

        Args:
            scheduler: Knows how many chunks everything takes.
            pace: Knows how long chunks and pictures take.
            send: Takes what is told.
            slot_count: Pictures drawn at once.
            backlog: Says what is drawn and not yet rendered.
            clock: The system's monotonic clock.
        """
        self._scheduler = scheduler
        self._pace = pace
        self._send = send
        self._slot_count = slot_count
        self._backlog = backlog
        self._clock = clock
        self._waiters: dict[RequestId, _Waiter] = {}
        self._round: tuple[Iterator[Forecast], Outlook | None] | None = None
        self._next_round_at_s = clock()
        self._has_line_moved = False

    def begin(self, request_id: RequestId, picture_count: int) -> None:
        """Tell a newcomer in the line where it waits; far behind, as if it came last."""
        self._waiters[request_id] = _Waiter(picture_count=picture_count)
        self._has_line_moved = True
        outlook = self._outlook_beyond_the_begun()
        is_long = self._scheduler.waiting_count > _LONG_LINE_COUNT
        near = itertools.islice(self._scheduler.waiting(), 0 if is_long else _PLACES_LOOKED_AT)
        for forecast in near:
            if forecast.request_id == request_id:
                return self._tell(forecast, outlook)
            self._done_after_s(forecast, outlook)
        outlook = self._outlook_beyond_the_begun()
        if outlook is not None:
            outlook.pass_over(self._scheduler.waiting_count - picture_count)
        return self._tell(self._scheduler.at_worst(request_id), outlook)

    def end(self, request_id: RequestId) -> None:
        """Tell a request nothing more; its place in the line is free."""
        self._waiters.pop(request_id, None)
        self._has_line_moved = True

    def end_drawn(self, request_id: RequestId) -> None:
        """Tell a request that it is drawn and only has to be rendered."""
        picture_count = self._waiters.pop(request_id).picture_count
        self._has_line_moved = True
        outlook = self._outlook()
        eta_s = outlook and outlook.done_after_s(chunks_left=0, picture_count=picture_count)
        self._send(Told(request_id=request_id, event=Drawing(fraction=1.0, eta_s=eta_s)))

    def line_has_moved(self) -> None:
        """Note that slots were taken or freed: those who wait are nearer."""
        self._has_line_moved = True

    def tell_begun(self) -> None:
        """Tell the requests that are being drawn how far they are."""
        outlook = self._outlook()
        for forecast in self._scheduler.begun():
            self._tell(forecast, outlook)

    def tell_waiting(self) -> None:
        """Tell some of those who wait, in order; once all are told, begin again in front."""
        if self._round is None:
            if not self._has_line_moved or self._clock() < self._next_round_at_s:
                return
            self._has_line_moved = False
            self._next_round_at_s = self._clock() + TOLD_EVERY_S
            self._round = self._scheduler.waiting(), self._outlook_beyond_the_begun()
        waiting, outlook = self._round
        forecasts = list(itertools.islice(waiting, _FORECASTS_A_TURN))
        for forecast in forecasts:
            self._tell(forecast, outlook)
        if len(forecasts) < _FORECASTS_A_TURN:
            self._round = None

    def _tell(self, forecast: Forecast, outlook: Outlook | None) -> None:
        waiter = self._waiters.get(forecast.request_id)
        if waiter is None:
            return
        eta_s, ahead = self._done_after_s(forecast, outlook), forecast.pictures_ahead
        if ahead is None:
            event = Drawing(fraction=forecast.fraction, eta_s=eta_s)
        elif isinstance(waiter.last_event, Drawing):
            return  # it has begun since this was forecast
        else:
            event = Queued(pictures_ahead=ahead, eta_s=eta_s)
        if self._is_news(waiter, event):
            waiter.last_event, waiter.told_at_s = event, self._clock()
            self._send(Told(request_id=forecast.request_id, event=event))

    def _is_news(self, waiter: _Waiter, event: Queued | Drawing) -> bool:
        last = waiter.last_event
        if type(event) is not type(last):
            return True
        return _place(event) != _place(last) and self._clock() >= waiter.told_at_s + TOLD_EVERY_S

    def _done_after_s(self, forecast: Forecast, outlook: Outlook | None) -> float | None:
        waiter = self._waiters.get(forecast.request_id)
        if outlook is None or waiter is None:
            return None
        return outlook.done_after_s(
            chunks_left=forecast.chunks_left, picture_count=waiter.picture_count
        )

    def _outlook(self) -> Outlook | None:
        """Look ahead from now, at the pace of as many slots as are needed."""
        needed = self._scheduler.held_count + self._scheduler.waiting_count
        span = max(self._scheduler.span, min(needed, self._slot_count))
        return self._pace.outlook(span=span, backlog=self._backlog())

    def _outlook_beyond_the_begun(self) -> Outlook | None:
        outlook = self._outlook()
        for forecast in self._scheduler.begun():
            self._done_after_s(forecast, outlook)
        return outlook


def _place(event: Queued | Drawing | None) -> float | None:
    """What must change in an event for it to be news; the forecast alone does not count."""
    match event:
        case Queued(pictures_ahead=pictures_ahead):
            return pictures_ahead
        case Drawing(fraction=fraction):
            return fraction
        case None:
            return None
        case _:
            assert_never(event)
