"""Finds what is known of a job, and its pictures, wherever that still is.

The board knows the jobs under way, the gallery's files those of the page; and of whatever is
not (any more) among the files, the store knows enough to make it again: the tokens of each
picture, out of which the engine makes the same file.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from bot.jobs import JobId, Platform, UnknownPictureError
from bot.web import views
from bot.web.gallery import is_picture_name
from engine.pictures import MediaType, grid_of, recode

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from bot.jobs import Person
    from bot.store.history import Past
    from bot.web.board import Board
    from bot.web.gallery import Gallery
    from bot.web.views import View

log = logging.getLogger(__name__)


class Archive(Protocol):
    """The part of ``bot.studio`` that the album sees."""

    async def past(self, job_id: JobId) -> Past | None:
        """What the store keeps of a job."""
        ...

    async def history(
        self, person: Person, *, limit: int = 20, before: JobId | None = None
    ) -> list[Past]:
        """The newest jobs of somebody, or those older than ``before``."""
        ...

    async def picture(self, job_id: JobId, rank: int) -> bytes:
        """A picture as a PNG, drawn again from its tokens.

        Raises:
            UnknownPictureError: It is not kept (any more).
        """
        ...

    async def upscaled(self, job_id: JobId, rank: int) -> bytes:
        """The same, four times as wide and high.

        Raises:
            UnknownPictureError: It is not kept (any more).
        """
        ...


class Album:
    """All jobs of the page and their pictures, old and new."""

    def __init__(self, board: Board, gallery: Gallery, archive: Archive) -> None:
        self._board = board
        self._gallery = gallery
        self._archive = archive
        self._making: dict[tuple[JobId, str], asyncio.Task[bytes]] = {}

    async def view(self, job_id: JobId) -> View | None:
        """What is known of a job of the page; ``None`` if there is no such job."""
        if self._board.latest(job_id) is None:
            end = await asyncio.to_thread(self._gallery.read, job_id)
            if end is not None:
                return end
        past = await self._archive.past(job_id)
        if past is None or past.job.submission.person.platform is not Platform.WEB:
            return self._board.latest(job_id)
        return await self._view_of(past)

    async def history(self, person: Person, *, limit: int, before: JobId | None) -> list[View]:
        """The newest jobs of somebody, newest first; or those older than ``before``."""
        jobs = await self._archive.history(person, limit=limit, before=before)
        return [await self._view_of(past) for past in jobs]

    async def picture(self, job_id: JobId, name: str) -> Path | bytes:
        """A picture by the name of its file: where it lies, or else made again.

        Raises:
            UnknownPictureError: There is none (any more).
            EngineError: It could not be made again.
        """
        path = await asyncio.to_thread(self._gallery.picture_path, job_id, name)
        if path is not None:
            return path
        if not is_picture_name(name) or await self._picture_count(job_id) == 0:
            raise UnknownPictureError
        return await self._made_once(job_id, name)

    async def close(self) -> None:
        """Give up what is being made."""
        for task in (tasks := list(self._making.values())):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _view_of(self, past: Past) -> View:
        """What is known of a job that the store knows.

        A job may end without a word at the board: by a command beside this process, by another
        process, or because its end could not be written.
        """
        latest = self._board.latest(past.job.id)
        if latest is not None and past.finished_at is None:
            return latest
        return await asyncio.to_thread(self._gallery.read, past.job.id) or views.past(past)

    async def _picture_count(self, job_id: JobId) -> int:
        view = await self.view(job_id)
        pictures = None if view is None else view.get("pictures")
        return len(pictures) if isinstance(pictures, list) else 0

    async def _made_once(self, job_id: JobId, name: str) -> bytes:
        """Make a picture; whoever asks for it meanwhile gets the same one."""
        key = (job_id, name)
        if key not in self._making:
            task = asyncio.create_task(self._made(job_id, name), name=f"picture {job_id} {name}")
            self._making[key] = task
            task.add_done_callback(lambda done: self._is_made(key, done))
        return await asyncio.shield(self._making[key])

    def _is_made(self, key: tuple[JobId, str], task: asyncio.Task[bytes]) -> None:
        del self._making[key]
        if not task.cancelled():
            task.exception()  # whoever asked was told; perhaps everybody has left

    async def _made(self, job_id: JobId, name: str) -> bytes:
        content = await self._content(job_id, name)
        with suppress(OSError):  # it is shown all the same, and made again the next time
            await asyncio.to_thread(self._gallery.write_picture, job_id, name, content)
        log.info("picture made job_id=%s name=%s", job_id, name)
        return content

    def _content(self, job_id: JobId, name: str) -> Coroutine[None, None, bytes]:
        stem, _, kind = name.partition(".")
        if kind == "webp":
            return self._as_webp(job_id, f"{stem}.png")
        if stem == "grid":
            return self._grid(job_id)
        rank, _, is_large = stem.partition("-")
        make = self._archive.upscaled if is_large else self._archive.picture
        return make(job_id, int(rank))

    async def _as_webp(self, job_id: JobId, png_name: str) -> bytes:
        png = await self._bytes(job_id, png_name)
        return await asyncio.to_thread(recode, png, MediaType.WEBP)

    async def _grid(self, job_id: JobId) -> bytes:
        ranks = range(1, await self._picture_count(job_id) + 1)
        pngs = [await self._bytes(job_id, views.picture_name(rank)) for rank in ranks]
        return await asyncio.to_thread(grid_of, pngs)

    async def _bytes(self, job_id: JobId, name: str) -> bytes:
        found = await self.picture(job_id, name)
        return found if isinstance(found, bytes) else await asyncio.to_thread(found.read_bytes)
