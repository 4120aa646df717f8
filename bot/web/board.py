"""Tells everybody who watches a job what is new about it.

A slow watcher misses steps in between, never the last one, and nothing piles up for it.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bot.web.views import is_final

if TYPE_CHECKING:
    from collections.abc import Generator

    from bot.jobs import JobId
    from bot.web.views import View


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


class Board:
    """The latest view of each unfinished job, and who watches it."""

    def __init__(self) -> None:
        self._latest: dict[JobId, View] = {}
        self._watches: dict[JobId, set[Watch]] = {}
        self._is_closed = False

    def post(self, job_id: JobId, view: View) -> None:
        """Tell the watchers of a job; a final view is told and forgotten."""
        if is_final(view):
            self._latest.pop(job_id, None)
        else:
            self._latest[job_id] = view
        for watch in self._watches.get(job_id, ()):
            watch.tell(view)

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
