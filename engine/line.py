"""Who is next: the waiting line, fair between those who wait. Plain Python, no clock.

Each requester is charged for the pictures that were begun for them, and whoever was
charged least is next. A newcomer starts level with the one who is served at the moment:
behind nobody's heap of requests, and without credit for the time before. When nobody
waits any more, all charges are forgotten.

Example: ada has three requests of 9 pictures in the line, bob comes and asks for 1. Ada's
first was begun (charged 9), so bob is next, then ada's second and third.

Source: start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", SIGCOMM
1996), with charges settled when a request begins, so that what is cancelled costs nothing.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from heapq import heappop, heappush, heapreplace
from typing import TYPE_CHECKING, NewType

from engine.api import Priority

if TYPE_CHECKING:
    from collections.abc import Iterator

RequestId = NewType("RequestId", int)


class FairLine:
    """Requests by priority, then fair between requesters, then first come, first served.

    Adding, taking and removing cost O(log n).
    """

    def __init__(self) -> None:
        self._classes = {priority: _Class() for priority in sorted(Priority)}
        self._places: dict[RequestId, tuple[Priority, str]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._places

    def put(
        self, request_id: RequestId, picture_count: int, requester: str, priority: Priority
    ) -> None:
        """Let a request wait."""
        self._places[request_id] = (priority, requester)
        self._classes[priority].put(request_id, picture_count, requester)

    def pop(self) -> RequestId:
        """Take out the request that is next. Somebody must wait."""
        request_id = next(line for line in self._classes.values() if line.count).pop()
        del self._places[request_id]
        return request_id

    def remove(self, request_id: RequestId) -> None:
        """Let a request wait no longer."""
        priority, requester = self._places.pop(request_id)
        self._classes[priority].remove(request_id, requester)

    def order(self) -> Iterator[RequestId]:
        """Forecast in which order they would be taken if nobody came or left.

        May be consumed bit by bit while the line changes; it then forecasts neither quite
        the old nor the new line, and names requests that left.
        """
        for line in self._classes.values():
            yield from line.order()


class _Class:
    """The requests of one priority."""

    def __init__(self) -> None:
        self.count = 0
        self._waiting: dict[str, OrderedDict[RequestId, int]] = {}  # to the picture count
        # A heap with one entry for each requester known: charge, a number that decides
        # between equal charges (who was served or came first), and the name. An entry
        # without requests is a charge that is still remembered.
        self._turns: list[tuple[int, int, str]] = []
        self._numbers_given = 0
        self._charge_now = 0

    def put(self, request_id: RequestId, picture_count: int, requester: str) -> None:
        if requester not in self._waiting:
            self._waiting[requester] = OrderedDict()
            heappush(self._turns, (self._charge_now, self._next_number(), requester))
        self._waiting[requester][request_id] = picture_count
        self.count += 1

    def pop(self) -> RequestId:
        while True:
            charge, _, requester = self._turns[0]
            if self._waiting[requester]:
                break
            heappop(self._turns)  # the others have caught up with this charge
            del self._waiting[requester]
        request_id, picture_count = self._waiting[requester].popitem(last=False)
        self._charge_now = charge
        heapreplace(self._turns, (charge + picture_count, self._next_number(), requester))
        self._count_down()
        return request_id

    def remove(self, request_id: RequestId, requester: str) -> None:
        del self._waiting[requester][request_id]
        self._count_down()

    def order(self) -> Iterator[RequestId]:
        turns, number = list(self._turns), self._numbers_given
        left: dict[str, deque[tuple[RequestId, int]]] = {}
        while turns:
            charge, _, requester = turns[0]
            if requester not in left:
                left[requester] = deque(self._waiting.get(requester, {}).items())
            if not left[requester]:
                heappop(turns)
                continue
            request_id, picture_count = left[requester].popleft()
            yield request_id
            number += 1
            if left[requester]:
                heapreplace(turns, (charge + picture_count, number, requester))
            else:
                heappop(turns)

    def _next_number(self) -> int:
        self._numbers_given += 1
        return self._numbers_given

    def _count_down(self) -> None:
        self.count -= 1
        if not self.count:
            self._waiting.clear()
            self._turns.clear()
            self._charge_now = 0
