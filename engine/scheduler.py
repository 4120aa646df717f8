"""Decides which picture sits in which slot. Plain Python: no arrays, no clock, no threads.

A picture takes the same number of chunks whatever it shows, so the scheduler counts chunks
and knows when a slot is done without reading a token.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import NewType

RequestId = NewType("RequestId", int)


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


class Scheduler:
    """Fills free slots first come, first served.

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
        self._free = list(reversed(range(slot_count)))
        self._waiting: deque[tuple[RequestId, int]] = deque()
        self._held: dict[int, Seat] = {}
        self._drawn_chunks: dict[int, int] = {}  # per held slot
        self._picture_count: dict[RequestId, int] = {}
        self._finished: Counter[RequestId] = Counter()

    def __repr__(self) -> str:
        return (
            f"<Scheduler {len(self._held)}/{self._slot_count} slots held, "
            f"{len(self._waiting)} pictures waiting>"
        )

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to draw."""
        return not self._waiting and not self._held

    def add(
        self, request_id: RequestId, picture_count: int, *, was_accepted_before: bool = False
    ) -> None:
        """Put the pictures of a request at the end of the line.

        Args:
            request_id: A new name.
            picture_count: How many pictures.
            was_accepted_before: The request had its place before a restart: it is taken
                however long the line is.

        Raises:
            LineFullError: The line is too long for that many.
        """
        surplus = len(self._waiting) + picture_count - len(self._free) - self._max_waiting
        if surplus > 0 and self._waiting and not was_accepted_before:
            leaving_count = min(surplus + len(self._free), len(self._waiting))
            raise LineFullError(self._chunks_until_admitted(leaving_count))
        self._picture_count[request_id] = picture_count
        self._waiting.extend((request_id, index) for index in range(picture_count))

    def admit(self) -> list[Seat]:
        """Fill free slots from the line and return what was placed."""
        placed: list[Seat] = []
        while self._free and self._waiting:
            request_id, index = self._waiting.popleft()
            seat = Seat(slot=self._free.pop(), request_id=request_id, index=index)
            self._held[seat.slot] = seat
            self._drawn_chunks[seat.slot] = 0
            placed.append(seat)
        return placed

    def finish(self) -> list[Seat]:
        """Count one more chunk in every held slot; free the finished ones and return them."""
        for slot in self._held:
            self._drawn_chunks[slot] += 1
        done = [s for s in self._held.values() if self._drawn_chunks[s.slot] == self._chunk_count]
        for seat in done:
            self._vacate(seat)
            self._finished[seat.request_id] += 1
        for request_id in {seat.request_id for seat in done}:
            if self._finished[request_id] == self._picture_count[request_id]:
                self._forget(request_id)
        return done

    def cancel(self, request_id: RequestId) -> None:
        """Take a request out, wherever its pictures are. An unknown one is none."""
        self._waiting = deque(place for place in self._waiting if place[0] != request_id)
        for seat in [s for s in self._held.values() if s.request_id == request_id]:
            self._vacate(seat)
        self._forget(request_id)

    def pictures_ahead(self) -> dict[RequestId, int]:
        """How many pictures are drawn before the first of each request that has not begun.

        Pictures in the slots count, unless a slot is free for this request too.
        """
        return {
            request_id: 0 if position < len(self._free) else position + len(self._held)
            for position, (request_id, index) in enumerate(self._waiting)
            if index == 0
        }

    def fraction(self, request_id: RequestId) -> float:
        """Which part (0 to 1) of a known request's chunks is drawn."""
        drawn = self._finished[request_id] * self._chunk_count + sum(
            self._drawn_chunks[s.slot] for s in self._held.values() if s.request_id == request_id
        )
        return drawn / (self._picture_count[request_id] * self._chunk_count)

    def check_integrity(self) -> None:
        """Compare everything that is remembered twice.

        Raises:
            RuntimeError: The invariant is broken: a fault in this class.
        """
        slots = sorted([*self._free, *self._held])
        known = Counter(self._picture_count) - self._finished
        places = Counter([name for name, _ in self._waiting])
        places.update(seat.request_id for seat in self._held.values())
        is_sound = (
            slots == list(range(self._slot_count))
            and self._drawn_chunks.keys() == self._held.keys()
            and all(0 <= drawn < self._chunk_count for drawn in self._drawn_chunks.values())
            and places == known
            and self._finished.keys() <= self._picture_count.keys()
        )
        if not is_sound:
            raise RuntimeError(f"{self!r} has lost count: {vars(self)}")

    def _vacate(self, seat: Seat) -> None:
        del self._held[seat.slot]
        del self._drawn_chunks[seat.slot]
        self._free.append(seat.slot)

    def _forget(self, request_id: RequestId) -> None:
        self._picture_count.pop(request_id, None)
        self._finished.pop(request_id, None)

    def _chunks_until_admitted(self, picture_count: int) -> int:
        """After how many chunks the first ``picture_count`` waiting pictures have slots.

        Example: 2 slots with 1 and 4 chunks to go, 4 chunks a picture. The line moves after
        1, 4, 5, 8, 9 ... chunks, so the third picture is placed after 5.
        """
        left = [self._chunk_count - drawn for drawn in self._drawn_chunks.values()]
        moves = sorted(left + [0] * len(self._free))
        rounds, number = divmod(picture_count - 1, self._slot_count)
        return moves[number] + rounds * self._chunk_count
