"""How fast it goes here: from what chunks and pictures took to when a request is done.

Knows no clock of its own except the one it is given, and no requests.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_WINDOW_S: Final = 60.0
_MEMORY: Final = 12  # about so many of the latest values count in an average


class Pace:
    """Averages with a short memory: the speed changes with the load."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.chunks = Rate(clock)
        self.pictures = Rate(clock)
        self._chunk_s: dict[int, _Average] = {}  # by span
        self._picture_s = _Average()

    def note_chunk(self, span: int, took_s: float) -> None:
        """Learn how long a chunk took while the pictures sat in the first ``span`` slots."""
        self._chunk_s.setdefault(span, _Average()).note(took_s)
        self.chunks.note(1)

    def note_pictures(self, count: int, took_s: float) -> None:
        """Learn how long it took to render, rank and encode some pictures."""
        self._picture_s.note(took_s / count)
        self.pictures.note(count)

    def chunk_s(self, span: int) -> float | None:
        """How long a chunk takes; a span never seen lies between its neighbours.

        Example: with 0.1 s seen for 2 slots and 0.5 s for 4, it is 0.3 s for 3 slots and
        0.5 s for 9.
        """
        seen = sorted(self._chunk_s)
        if not seen:
            return None
        above = seen[min(bisect_left(seen, span), len(seen) - 1)]
        below = seen[max(0, bisect_left(seen, span + 1) - 1)]
        high, low = self._chunk_s[above].value, self._chunk_s[below].value
        return high if above <= below else low + (high - low) * (span - below) / (above - below)

    def outlook(self, *, span: int, backlog: Backlog) -> Outlook | None:
        """Begin to forecast when requests are done; ``None`` before anything was seen.

        Args:
            span: The slots in use meanwhile.
            backlog: What is drawn and not yet rendered.
        """
        chunk_s = self.chunk_s(span)
        if chunk_s is None:
            return None
        return Outlook(chunk_s=chunk_s, picture_s=self._picture_s.value, backlog=backlog)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What is drawn and waits to be rendered.

    Attributes:
        waiting_count: Pictures of which nothing was done yet.
        begun_count: Pictures that are being rendered.
        begun_for_s: Since when.
    """

    waiting_count: int = 0
    begun_count: int = 0
    begun_for_s: float = 0.0


class Outlook:
    """Follows requests, in the order in which they are drawn, through the second thread.

    A request is rendered when its last picture is drawn and everything before it is
    rendered. Example: a chunk takes 1 s, a picture 2 s; one request of 3 pictures is drawn
    after 4 chunks and done after 10 s, the next one of 1 picture is drawn after 5 chunks
    and done after 12 s.
    """

    def __init__(self, *, chunk_s: float, picture_s: float, backlog: Backlog) -> None:
        self._chunk_s = chunk_s
        self._picture_s = picture_s
        being_rendered_s = max(0.0, backlog.begun_count * picture_s - backlog.begun_for_s)
        self._rendered_s = being_rendered_s + backlog.waiting_count * picture_s

    def done_after_s(self, *, chunks_left: int, picture_count: int) -> float:
        """How long until the next request is done."""
        drawn_s = chunks_left * self._chunk_s
        self._rendered_s = max(self._rendered_s, drawn_s) + picture_count * self._picture_s
        return self._rendered_s

    def pass_over(self, picture_count: int) -> None:
        """Let pictures be rendered before the next request, of which no more is known."""
        self._rendered_s += picture_count * self._picture_s


class Rate:
    """How many a second, over the last minute. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun_at_s = clock()
        self._noted: deque[tuple[float, int]] = deque()
        self._count = 0
        self._lock = threading.Lock()

    def note(self, count: int) -> None:
        """Count some more."""
        with self._lock:
            self._noted.append((self._clock(), count))
            self._count += count
            self._forget_old()

    def per_s(self) -> float:
        """The rate; in the first minute, since the beginning."""
        with self._lock:
            self._forget_old()
            lasted_s = min(_WINDOW_S, self._clock() - self._begun_at_s)
            return self._count / lasted_s if lasted_s > 0 else 0.0

    def _forget_old(self) -> None:
        while self._noted and self._noted[0][0] < self._clock() - _WINDOW_S:
            self._count -= self._noted.popleft()[1]


class _Average:
    """A mean in which old values fade away."""

    def __init__(self) -> None:
        self.value = 0.0
        self._count = 0

    def note(self, value: float) -> None:
        self._count = min(self._count + 1, _MEMORY)
        self.value += (value - self.value) / self._count
