"""Tells everybody who watches a job what is new about it.

A slow watcher misses steps in between, never the last one, and nothing piles up for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bot.web.views import is_final, with_preview

if TYPE_CHECKING:
    from collections.abc import Generator

    from bot.jobs import JobId
    from bot.web.views import View

_ENDED_REMEMBERED: Final = 1_000


class Watch:
    """One watcher's place at the board."""

    def __init__(self) -> None:
        self._view: View | None = None
        self._is_over = False
        self._news = asyncio.Event()

    def tell(self, view: View | None) -> None:
        """Replace what the watcher has not read yet; ``None`` is the end and stays it."""
        if not self._is_over:
            self._view = view
            self._is_over = view is None
            self._news.set()

    async def next(self) -> View | None:
        """Wait for news; ``None`` when the board was closed."""
        await self._news.wait()
        self._news.clear()
        return self._view


@dataclass(frozen=True, slots=True)
class _Sketch:
    number: int
    webp: bytes


class Board:
    """The latest view and preview of each unfinished job, and who watches it."""

    def __init__(self) -> None:
        self._latest: dict[JobId, View] = {}
        self._sketches: dict[JobId, _Sketch] = {}
        self._ended: deque[JobId] = deque(maxlen=_ENDED_REMEMBERED)
        self._watches: dict[JobId, set[Watch]] = {}
        self._is_closed = False

    def __repr__(self) -> str:
        counts = f"{len(self._latest)} jobs under way, {len(self._watches)} watched"
        return f"<Board {counts}, {len(self._sketches)} previews>"

    def post(self, job_id: JobId, view: View) -> None:
        """Tell the watchers of a job; a final view is told, and all but its end forgotten.

        Progress that comes after the end (of a job that was cancelled meanwhile) is not told.
        """
        if is_final(view):
            self._latest.pop(job_id, None)
            self._sketches.pop(job_id, None)
            self._ended.append(job_id)
        elif job_id in self._ended:
            return
        else:
            view = self._with_sketch(job_id, view)
            self._latest[job_id] = view
        for watch in self._watches.get(job_id, ()):
            watch.tell(view)

    def post_preview(self, job_id: JobId, webp: bytes) -> None:
        """Keep the newest preview of a job that is being drawn, and tell where it is."""
        view = self._latest.get(job_id)
        if view is None:
            return  # nothing was told of it yet, or everything
        before = self._sketches.get(job_id)
        self._sketches[job_id] = _Sketch(1 if before is None else before.number + 1, webp)
        self.post(job_id, view)

    def preview(self, job_id: JobId) -> bytes | None:
        """Return the newest preview of an unfinished job."""
        sketch = self._sketches.get(job_id)
        return None if sketch is None else sketch.webp

    def latest(self, job_id: JobId) -> View | None:
        """Return what was last posted about an unfinished job."""
        return self._latest.get(job_id)

    @contextmanager
    def watching(self, job_id: JobId) -> Generator[Watch]:
        """Watch a job from now on."""
        watch = Watch()
        if self._is_closed:
            watch.tell(None)
        self._watches.setdefault(job_id, set()).add(watch)
        try:
            yield watch
        finally:
            self._watches[job_id].discard(watch)
            if not self._watches[job_id]:
                del self._watches[job_id]

    def close(self) -> None:
        """Send all watchers home, those who come later too."""
        self._is_closed = True
        for watches in self._watches.values():
            for watch in watches:
                watch.tell(None)

    def _with_sketch(self, job_id: JobId, view: View) -> View:
        sketch = self._sketches.get(job_id)
        is_drawing = view["state"] == "drawing"
        return with_preview(view, sketch.number) if sketch and is_drawing else view
