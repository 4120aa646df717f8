"""Forgets the page's files: those of erased jobs at once, old ones once a day.

The store keeps a picture as its tokens; the page also keeps files, one folder per job. What
is gone from the store must not stay on the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from typing import TYPE_CHECKING, Final

from bot.jobs import Platform

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from bot.clock import Clock
    from bot.jobs import JobId, Person

EVERY_S: Final = 24 * 60 * 60.0

_log = logging.getLogger(__name__)


class Keeper:
    """Removes folders of jobs. Called as ``bot.desk.Eraser``.

    Args:
        folder: Where the folders of all jobs are.
        kept_for: How long; ``None`` is for ever.
        clock: Tells the present.
        sleep: Waits until the next day.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kept_for: timedelta | None,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._folder = folder
        self._kept_for = kept_for
        self._clock = clock
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Keeper {self._folder}>"

    async def __call__(self, person: Person, job_ids: Sequence[JobId], /) -> None:
        """Remove what is kept of these jobs of somebody.

        Raises:
            OSError: Something could not be removed.
        """
        if person.platform is Platform.WEB:
            await asyncio.to_thread(self._erase, job_ids)

    async def purge(self, before: datetime) -> int:
        """Remove the folders that were changed last before then; return how many."""
        return await asyncio.to_thread(self._purge, before)

    def start(self) -> None:
        """Purge now and once a day, in the background."""
        if self._kept_for is not None:
            self._task = asyncio.create_task(self._purge_daily(self._kept_for), name="keeper")

    async def close(self) -> None:
        """Purge no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _purge_daily(self, kept_for: timedelta) -> None:
        while True:
            try:
                count = await self.purge(self._clock() - kept_for)
            except OSError as error:
                _log.warning("old pictures not removed error=%s", error.strerror)
            else:
                _log.info("old pictures removed count=%d", count)
            await self._sleep(EVERY_S)

    def _erase(self, job_ids: Sequence[JobId]) -> None:
        for job_id in job_ids:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self._folder / job_id)

    def _purge(self, before: datetime) -> int:
        if not self._folder.is_dir():
            return 0
        old = [each for each in self._folder.iterdir() if _changed_s(each) < before.timestamp()]
        for folder in old:
            shutil.rmtree(folder)
        return len(old)


def _changed_s(folder: Path) -> float:
    """When something in a folder was written last: its own time, or that of a file in it."""
    return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
