"""Shows how far a job is, seldom enough that its result never waits.

Discord takes one edit of an interaction's message at a time, and after about five in a row
makes each wait. So: at most one edit in ``interval_s``, only the newest state, and no edit
under way when the result is sent. An edit that is already on its way gets a moment to
arrive, since cancelling it could let it arrive *after* the result and hide the pictures.

The message cannot be edited for ever. Its last state, the farewell, says how the pictures
will come instead.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.jobs import JobId

log = logging.getLogger(__name__)

GRACE_S: Final = 1.0

State = TypeVar("State")


@dataclass(slots=True)
class _Line(Generic[State]):
    """The progress of one job; ``changed`` is set while there is something to show."""

    state: State
    farewell: State | None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    is_editing: bool = False
    is_leaving: bool = False
    is_ending: bool = False

    def leave(self) -> None:
        """Show the farewell next, and then nothing more."""
        self.is_leaving = True
        self.changed.set()


class Progress(Generic[State]):
    """Owns one background task per job whose progress is shown."""

    def __init__(self, *, interval_s: float) -> None:
        self._interval_s = interval_s
        self._lines: dict[JobId, tuple[_Line[State], asyncio.Task[None]]] = {}

    def __repr__(self) -> str:
        return f"<Progress of {len(self._lines)} jobs>"

    def newest(self, job_id: JobId) -> State | None:
        """What was to be shown last of a job, while its progress is shown."""
        return self._lines[job_id][0].state if job_id in self._lines else None

    def show(
        self,
        job_id: JobId,
        state: State,
        edit: Callable[[State], Awaitable[None]],
        *,
        farewell: State | None = None,
        farewell_in_s: float | None = None,
    ) -> None:
        """Show ``state`` with ``edit``, at once or when the interval allows; never blocks.

        Args:
            job_id: Whose progress it is.
            state: What to show.
            edit: Shows it.
            farewell: What to show last of all, ``farewell_in_s`` seconds after the first
                call for this job; only the first call's counts.
            farewell_in_s: As above.
        """
        if job_id not in self._lines:
            line = _Line(state, farewell)
            task = asyncio.create_task(self._follow(line, edit), name=f"progress of {job_id}")
            if farewell_in_s is not None:
                leaving = asyncio.get_running_loop().call_later(farewell_in_s, line.leave)
                task.add_done_callback(lambda _: leaving.cancel())
            self._lines[job_id] = line, task
        line, _ = self._lines[job_id]
        line.state = state
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

    async def _follow(self, line: _Line[State], edit: Callable[[State], Awaitable[None]]) -> None:
        try:
            while not line.is_ending:
                await line.changed.wait()
                is_last = line.is_leaving
                await self._show_newest(line, edit)
                if is_last:
                    return
                await asyncio.sleep(0 if line.is_ending else self._interval_s)
        except Exception as error:  # noqa: BLE001 - one background task: progress may fail
            log.info("progress not shown: error=%s", type(error).__name__)

    async def _show_newest(
        self, line: _Line[State], edit: Callable[[State], Awaitable[None]]
    ) -> None:
        line.changed.clear()
        line.is_editing = True
        try:
            await edit(line.farewell if line.is_leaving and line.farewell else line.state)
        finally:
            line.is_editing = False
