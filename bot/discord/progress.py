"""Shows how far a job is, seldom enough that its result never waits.

Discord takes one edit of an interaction's message at a time, and after about five in a row
makes each wait. So: at most one edit in ``interval_s``, only the newest text, and no edit
under way when the result is sent. An edit that is already on its way gets a moment to
arrive, since cancelling it could let it arrive *after* the result and hide the pictures.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.jobs import JobId

log = logging.getLogger(__name__)

GRACE_S: Final = 1.0


@dataclass(slots=True)
class _Line:
    """The progress of one job; ``changed`` is set while ``text`` is not shown."""

    text: str
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    is_editing: bool = False
    is_ending: bool = False


class Progress:
    """Owns one background task per job whose progress is shown."""

    def __init__(self, *, interval_s: float) -> None:
        self._interval_s = interval_s
        self._lines: dict[JobId, tuple[_Line, asyncio.Task[None]]] = {}

    def __repr__(self) -> str:
        return f"<Progress of {len(self._lines)} jobs>"

    def show(self, job_id: JobId, text: str, edit: Callable[[str], Awaitable[None]]) -> None:
        """Show ``text`` with ``edit``, at once or when the interval allows; never blocks."""
        if job_id not in self._lines:
            line = _Line(text)
            task = asyncio.create_task(self._follow(line, edit), name=f"progress of {job_id}")
            self._lines[job_id] = line, task
        line, _ = self._lines[job_id]
        line.text = text
        line.changed.set()

    async def stop(self, job_id: JobId) -> None:
        """Show no more of this job; returns when no edit is on its way any longer."""
        if job_id not in self._lines:
            return
        line, task = self._lines.pop(job_id)
        line.is_ending = True
        if line.is_editing:
            await asyncio.wait({task}, timeout=GRACE_S)
        task.cancel()
        await asyncio.wait({task})

    async def close(self) -> None:
        """Stop the progress of all jobs."""
        await asyncio.gather(*(self.stop(job_id) for job_id in list(self._lines)))

    async def _follow(self, line: _Line, edit: Callable[[str], Awaitable[None]]) -> None:
        try:
            while not line.is_ending:
                await line.changed.wait()
                await self._show_newest(line, edit)
                await asyncio.sleep(0 if line.is_ending else self._interval_s)
        except Exception as error:  # noqa: BLE001 - one background task: progress may fail
            log.info("progress not shown: error=%s", type(error).__name__)

    async def _show_newest(self, line: _Line, edit: Callable[[str], Awaitable[None]]) -> None:
        line.changed.clear()
        line.is_editing = True
        try:
            await edit(line.text)
        finally:
            line.is_editing = False
