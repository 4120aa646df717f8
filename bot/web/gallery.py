"""Keeps what the page shows on disk, so that a job's page survives a restart.

One folder per job: ``job.json`` (the view of its end), ``grid.png`` and ``01.png`` and on, best
first, and what was made of them since (``01.webp``, ``01-x4.png``). ``job.json`` is written
last and in one step, so whoever reads "done" finds all the pictures. Before its end a job is
the store's alone: two writers of one file could leave the older view there. Everything here
blocks on the disk; callers use a thread.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, cast

from bot.web import views

if TYPE_CHECKING:
    from pathlib import Path

    from bot.jobs import Job, JobId
    from bot.web.views import View
    from engine.api import Drawn

_STATE_NAME = "job.json"
_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SAFE_NAME = re.compile(r"(grid|[0-9]{2}(-x4)?)\.(png|webp)")


class Gallery:
    """The folders of all jobs of the page."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make_room(self, job: Job) -> None:
        """Make the folder of a job, to learn early if nothing can be written."""
        self._made_folder(job.id)

    def write_done(self, job: Job, drawn: Drawn) -> View:
        """Keep the pictures of a job; doing it again changes nothing."""
        folder = self._made_folder(job.id)
        (folder / views.GRID_NAME).write_bytes(drawn.grid_png)
        for rank, picture in enumerate(drawn.pictures, start=1):
            (folder / views.picture_name(rank)).write_bytes(picture.png)
        return self._write_state(job.id, views.done(job, drawn))

    def write_failed(self, job: Job, sentence: str) -> View:
        """Note that a job will have no pictures."""
        return self._write_state(job.id, views.failed(job, sentence))

    def write_cancelled(self, job: Job) -> View:
        """Note that a job was given up."""
        return self._write_state(job.id, views.cancelled(job))

    def write_picture(self, job_id: JobId, name: str, content: bytes) -> None:
        """Keep a picture of a job, in one step: others may be reading it."""
        folder = self._made_folder(job_id)
        new = folder / f"{name}.{secrets.token_hex(4)}"
        new.write_bytes(content)
        new.replace(folder / name)

    def read(self, job_id: str) -> View | None:
        """Return the view of a job's end; ``None`` if none was written."""
        try:
            text = (self._folder_of(job_id) / _STATE_NAME).read_text("utf-8")
        except (OSError, ValueError):
            return None
        view = cast("View", json.loads(text))
        return view if views.is_final(view) else None  # earlier versions wrote others, too

    def picture_path(self, job_id: str, name: str) -> Path | None:
        """Return where a picture lies; ``None`` if there is none of that name."""
        if not is_picture_name(name) or not _SAFE_ID.fullmatch(job_id):
            return None
        path = self._folder_of(job_id) / name
        return path if path.is_file() else None

    def _folder_of(self, job_id: str) -> Path:
        """Return the folder of a job; an id with other characters could leave ours."""
        if not _SAFE_ID.fullmatch(job_id):
            raise ValueError("not a job id")
        return self._folder / job_id

    def _made_folder(self, job_id: JobId) -> Path:
        folder = self._folder_of(job_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _write_state(self, job_id: JobId, view: View) -> View:
        folder = self._made_folder(job_id)
        new = folder / f"{_STATE_NAME}.new"
        new.write_text(json.dumps(view), "utf-8")
        new.replace(folder / _STATE_NAME)
        return view


def is_picture_name(name: str) -> bool:
    """Whether a picture of the page may have this name."""
    return _SAFE_NAME.fullmatch(name) is not None
