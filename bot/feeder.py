"""Feeds the engine from the store: so many pictures at a time, the fair next ones first.

However many jobs wait, few are in hand: a job is either in its line in the store, where it
costs no memory, or it has a *place* here and a task that carries it out. A place is held
until the job is over; it counts against the engine's room only until the pictures are drawn,
so that a platform which cannot be reached keeps no other from drawing. Jobs of that platform
are not taken up any more once it has too many places.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bot.jobs import Platform
from bot.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.jobs import Job
    from bot.store import Store

MAX_PLACES_PER_PLATFORM: Final = 128
# Another process on the same database may have left jobs in their lines: look for them.
LOOK_EVERY_S: Final = 5.0
PAUSE_AFTER_FAILURE_S: Final = 2.0

# Somebody at a terminal waits as long as their command runs. Its process takes up its own job
# at once and nobody else's.
ATTENDED: Final = frozenset({Platform.TERMINAL})

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Place:
    """What a job in hand occupies."""

    platform: Platform
    picture_count: int
    is_drawn: bool = False


class Feeder:
    """Knows the jobs in hand, and takes up more while there is room.

    Args:
        store: Where jobs wait.
        worker: The name of this process in the store.
        room: Pictures that may be with the engine at once.
        begin: Carries a job out in the background and returns its place to ``leave``.
        sleep: Waits after a failure of the database.
    """

    def __init__(
        self,
        *,
        store: Store,
        worker: str,
        room: int,
        begin: Callable[[Job, Place], None],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._store = store
        self._worker = worker
        self._room = room
        self._begin = begin
        self._sleep = sleep
        self._platforms: set[Platform] = set()
        self._places: set[Place] = set()
        self._news = asyncio.Event()
        self._may_wait = False
        self._joined_count = 0
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        waiting = ", jobs may wait" if self._may_wait else ""
        return f"<Feeder {len(self._places)} in hand, {self._room_left()} pictures free{waiting}>"

    def add(self, platform: Platform) -> None:
        """Take up jobs of this platform too."""
        self._platforms.add(platform)

    async def start(self) -> None:
        """Take up what waits as far as there is room, and go on with that in the background.

        Raises:
            StoreError: The jobs cannot be read.
        """
        self._may_wait = True  # for all we know
        await self._feed()
        self._go_on()

    async def close(self) -> None:
        """Take up nothing more. What was taken up stays so in the store."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def place_at_once(self, platform: Platform, picture_count: int) -> Place | None:
        """A place for a new job, if nobody waits before it and there is room."""
        is_first = not self._may_wait and self._has_room(platform)
        if is_first or platform in ATTENDED:
            return self.place(platform, picture_count)
        return None

    def place(self, platform: Platform, picture_count: int) -> Place:
        """A place for a job that was taken up already."""
        place = Place(platform, picture_count)
        self._places.add(place)
        return place

    def drawn(self, place: Place) -> None:
        """Let others use the engine: this job's pictures are drawn."""
        place.is_drawn = True
        self._news.set()

    def leave(self, place: Place) -> None:
        """Free a place: its job is over, or is left to another process."""
        self._places.discard(place)
        self._news.set()

    def joined(self) -> None:
        """Learn that a job waits in its line."""
        self._may_wait = True
        self._joined_count += 1
        self._news.set()
        self._go_on()

    def _go_on(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._feed_forever(), name="feeder")

    def _room_left(self) -> int:
        return self._room - sum(p.picture_count for p in self._places if not p.is_drawn)

    def _has_room(self, platform: Platform) -> bool:
        held_count = sum(place.platform is platform for place in self._places)
        return held_count < MAX_PLACES_PER_PLATFORM and self._room_left() > 0

    async def _feed_forever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._news.wait()
            self._news.clear()
            try:
                await self._feed()
            except Exception as error:  # noqa: BLE001 - jobs must be taken up whatever happened
                grave = None if isinstance(error, StoreError) else error
                _log.error("no job taken up error=%s", error, exc_info=grave)
                self._news.set()
                await self._sleep(PAUSE_AFTER_FAILURE_S)

    async def _feed(self) -> None:
        """Take up jobs until the room is used or nobody waits."""
        while platforms := [each for each in self._platforms - ATTENDED if self._has_room(each)]:
            known_count = self._joined_count
            taken = await self._store.take_up(
                platforms, worker=self._worker, room=self._room_left()
            )
            for job in taken:
                platform = job.submission.person.platform
                self._begin(job, self.place(platform, job.submission.request.picture_count))
            if not taken:
                self._may_wait = self._may_wait and (
                    known_count != self._joined_count or len(platforms) < len(self._platforms)
                )
                return
