"""Decides which picture sits in which slot. Plain Python: no arrays, no clock, no threads.

A picture takes the same number of chunks whatever it shows, so the scheduler counts chunks
and knows when a slot is done without reading a token.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from engine.api import Priority
from engine.line import FairLine, RequestId

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Forecast", "LineFullError", "RequestId", "Scheduler", "Seat"]


class LineFullError(Exception):
    """The request does not fit into the waiting line; nothing was added.

    Attributes:
        chunks_until_room: After how many chunks it would fit.
    """

    def __init__(self, chunks_until_room: int) -> None:
        super().__init__(f"there is room after {chunks_until_room} chunks")
        self.chunks_until_room = chunks_until_room


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A picture in a slot: candidate ``index`` of a request."""

    slot: int
    request_id: RequestId
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How it stands with a request if nobody comes or leaves.

    Attributes:
        pictures_ahead: Pictures drawn before its first; ``None`` once that has begun.
        fraction: Which part (0 to 1) of its chunks is drawn.
        chunks_left: Chunks until its last picture is drawn.
    """

    request_id: RequestId
    pictures_ahead: int | None
    fraction: float
    chunks_left: int


@dataclass(slots=True, kw_only=True, eq=False)
class _Request:
    """An unfinished request: its pictures from ``next_index`` on wait for a slot."""

    request_id: RequestId
    picture_count: int
    next_index: int = 0
    finished_count: int = 0
    seats: dict[int, Seat] = field(default_factory=dict[int, Seat])

    @property
    def waiting_count(self) -> int:
        return self.picture_count - self.next_index


class Scheduler:
    """Fills free slots, the lowest first, from a fair line (``engine.line``).

    The pictures of a request stay together: once its first has a slot, the others come
    before everybody else's, whatever their priority.

    Invariant: every slot is either free or held by exactly one picture, and every picture
    of a request waits, sits in a slot or is finished.
    """

    def __init__(self, *, slot_count: int, chunk_count: int, max_waiting: int) -> None:
        """Begin with all slots free.

        Args:
            slot_count: Pictures drawn at once.
            chunk_count: Chunks from an empty picture to a finished one.
            max_waiting: How many pictures may wait. A request that finds nobody waiting is
                always taken.
        """
        self._slot_count = slot_count
        self._chunk_count = chunk_count
        self._max_waiting = max_waiting
        self._free = list(range(slot_count))  # a heap
        self._line = FairLine()
        self._requests: dict[RequestId, _Request] = {}
        self._begun: dict[RequestId, _Request] = {}  # those with a picture that waits no more
        self._entering: _Request | None = None  # the one of these whose others still wait
        self._held: dict[int, Seat] = {}
        self._drawn_chunks: dict[int, int] = {}  # per held slot
        self._waiting_count = 0

    def __repr__(self) -> str:
        return (
            f"<Scheduler {len(self._held)}/{self._slot_count} slots held, "
            f"{self._waiting_count} pictures waiting>"
        )

    @property
    def held_count(self) -> int:
        """Slots in which a picture is drawn."""
        return len(self._held)

    @property
    def waiting_count(self) -> int:
        """Pictures that wait for a slot."""
        return self._waiting_count

    @property
    def begun_ids(self) -> tuple[RequestId, ...]:
        """The unfinished requests of which a picture has or had a slot, in that order."""
        return tuple(self._begun)

    @property
    def span(self) -> int:
        """How many slots, from the first on, hold all pictures that are drawn."""
        return max(self._held, default=-1) + 1

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to draw."""
        return not self._waiting_count and not self._held

    def add(
        self,
        request_id: RequestId,
        picture_count: int,
        *,
        requester: str = "",
        priority: Priority = Priority.NORMAL,
        was_accepted_before: bool = False,
    ) -> None:
        """Let the pictures of a request wait.

        Args:
            request_id: A new name.
            picture_count: How many pictures.
            requester: Who shares the slots fairly with the others; any key.
            priority: Those of a higher class come first.
            was_accepted_before: The request had its place before a restart: it is taken
                however long the line is.

        Raises:
            LineFullError: The line is too long for that many.
        """
        surplus = self._waiting_count + picture_count - len(self._free) - self._max_waiting
        if surplus > 0 and self._waiting_count and not was_accepted_before:
            leaving_count = min(surplus + len(self._free), self._waiting_count)
            raise LineFullError(self._chunks_until_placed(leaving_count - 1, self._moves()))
        self._requests[request_id] = _Request(request_id=request_id, picture_count=picture_count)
        self._line.put(request_id, picture_count, requester, priority)
        self._waiting_count += picture_count

    def admit(self) -> list[Seat]:
        """Fill free slots from the line and return what was placed."""
        placed: list[Seat] = []
        while self._free and self._waiting_count:
            request = self._next_request()
            seat = Seat(
                slot=heappop(self._free), request_id=request.request_id, index=request.next_index
            )
            self._take(request, seat)
            placed.append(seat)
        return placed

    def finish(self) -> list[Seat]:
        """Count one more chunk in every held slot; free the finished ones and return them."""
        for slot in self._held:
            self._drawn_chunks[slot] += 1
        done = [s for s in self._held.values() if self._drawn_chunks[s.slot] == self._chunk_count]
        for seat in done:
            request = self._requests[seat.request_id]
            self._vacate(request, seat)
            request.finished_count += 1
            if request.finished_count == request.picture_count:
                self._forget(request)
        return done

    def cancel(self, request_id: RequestId) -> list[int]:
        """Take a request out, wherever its pictures are; return the slots it held.

        An unknown one holds none.
        """
        request = self._requests.get(request_id)
        if request is None:
            return []
        slots = list(request.seats)
        for seat in list(request.seats.values()):
            self._vacate(request, seat)
        self._waiting_count -= request.waiting_count
        self._forget(request)
        return slots

    def drawn_chunks(self, request_id: RequestId) -> dict[Seat, int]:
        """How many chunks are drawn of each picture that a known request has in a slot."""
        return {s: self._drawn_chunks[s.slot] for s in self._requests[request_id].seats.values()}

    def fraction(self, request_id: RequestId) -> float:
        """Which part (0 to 1) of a known request's chunks is drawn."""
        request = self._requests[request_id]
        chunks = sum(self._drawn_chunks[slot] for slot in request.seats)
        chunks += request.finished_count * self._chunk_count
        return chunks / (request.picture_count * self._chunk_count)

    # --- forecasts --------------------------------------------------------------------

    def begun(self) -> list[Forecast]:
        """Forecast the requests that have begun, in the order of their completion."""
        left = {name: self._chunks_left(request) for name, request in self._begun.items()}
        return [
            Forecast(
                request_id=request_id,
                pictures_ahead=None,
                fraction=self.fraction(request_id),
                chunks_left=left[request_id],
            )
            for request_id in sorted(left, key=left.__getitem__)
        ]

    def waiting(self) -> Iterator[Forecast]:
        """Forecast the requests that have not begun, in the order in which they will.

        May be consumed bit by bit while the line changes; it is then a little out of date.
        Pictures in the slots count as ahead, unless a slot is free for this request too.
        """
        moves = self._moves()
        position = self._entering.waiting_count if self._entering else 0
        for request_id in self._line.order():
            if request_id in self._line:  # or else it has begun or left meanwhile
                request = self._requests[request_id]
                yield self._forecast(request, position, moves)
                position += request.picture_count

    def at_worst(self, request_id: RequestId) -> Forecast:
        """Forecast a request that waits as if it came last: quick, however long the line."""
        request = self._requests[request_id]
        position = self._waiting_count - request.picture_count
        return self._forecast(request, position, self._moves())

    def _forecast(self, request: _Request, position: int, moves: list[int]) -> Forecast:
        is_next = position < len(self._free)
        return Forecast(
            request_id=request.request_id,
            pictures_ahead=0 if is_next else position + len(self._held),
            fraction=0.0,
            chunks_left=self._chunks_until_done(position + request.picture_count - 1, moves),
        )

    def _chunks_left(self, request: _Request) -> int:
        drawn = min((self._drawn_chunks[slot] for slot in request.seats), default=None)
        in_slots = 0 if drawn is None else self._chunk_count - drawn
        if not request.waiting_count:
            return in_slots
        return self._chunks_until_done(request.waiting_count - 1, self._moves())

    def _chunks_until_done(self, position: int, moves: list[int]) -> int:
        return self._chunks_until_placed(position, moves) + self._chunk_count

    def _chunks_until_placed(self, position: int, moves: list[int]) -> int:
        """After how many chunks the waiting picture at ``position`` (from 0) has a slot.

        Example: 2 slots with 1 and 4 chunks to go (``moves``), 4 chunks a picture. The line
        moves after 1, 4, 5, 8, 9 ... chunks, so the third picture (position 2) is placed
        after 5.
        """
        rounds, number = divmod(position, self._slot_count)
        return moves[number] + rounds * self._chunk_count

    def _moves(self) -> list[int]:
        """After how many chunks each slot is free, the soonest first."""
        left = [self._chunk_count - drawn for drawn in self._drawn_chunks.values()]
        return sorted(left + [0] * len(self._free))

    # --- the invariant ----------------------------------------------------------------

    def check_integrity(self) -> None:
        """Compare everything that is remembered twice.

        Raises:
            RuntimeError: The invariant is broken: a fault in this class.
        """
        requests = self._requests.values()
        places = Counter(seat.request_id for seat in self._held.values())
        begun = [r for r in requests if r.next_index]
        entering = [r for r in begun if r.waiting_count]
        is_sound = (
            sorted([*self._free, *self._held]) == list(range(self._slot_count))
            and self._drawn_chunks.keys() == self._held.keys()
            and all(0 <= drawn < self._chunk_count for drawn in self._drawn_chunks.values())
            and all(len(r.seats) == places[r.request_id] for r in requests)
            and all(len(r.seats) + r.finished_count == r.next_index for r in requests)
            and all(seat == self._held[s] for r in requests for s, seat in r.seats.items())
            and self._waiting_count == sum(r.waiting_count for r in requests)
            and self._begun == {r.request_id: r for r in begun}
            and entering == ([self._entering] if self._entering else [])
            and sorted(self._line.order()) == sorted(self._requests.keys() - self._begun.keys())
            and len(self._line) == len(self._requests) - len(begun)
        )
        if not is_sound:
            raise RuntimeError(f"{self!r} has lost count: {vars(self)}")

    def _next_request(self) -> _Request:
        if self._entering is None:
            self._entering = self._requests[self._line.pop()]
            self._begun[self._entering.request_id] = self._entering
        return self._entering

    def _take(self, request: _Request, seat: Seat) -> None:
        self._held[seat.slot] = request.seats[seat.slot] = seat
        self._drawn_chunks[seat.slot] = 0
        self._waiting_count -= 1
        request.next_index += 1
        if not request.waiting_count:
            self._entering = None

    def _vacate(self, request: _Request, seat: Seat) -> None:
        del self._held[seat.slot], self._drawn_chunks[seat.slot], request.seats[seat.slot]
        heappush(self._free, seat.slot)

    def _forget(self, request: _Request) -> None:
        del self._requests[request.request_id]
        if request.request_id in self._line:
            self._line.remove(request.request_id)
        else:
            del self._begun[request.request_id]
        if self._entering is request:
            self._entering = None
