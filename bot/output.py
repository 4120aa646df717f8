"""The files that a drawing at the terminal leaves: looked at before, written after.

Nothing is overwritten but empty files and pictures that the bot itself drew earlier, which
say so in their metadata. Everything here blocks on the disk; callers in an event loop use a thread.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bot import sentences
from engine.api import MAX_PICTURE_COUNT
from engine.pictures import MediaType, read_info, recode

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from engine.api import Drawn

_KINDS: Final = {
    ".png": MediaType.PNG,
    ".webp": MediaType.WEBP,
    ".jpg": MediaType.JPEG,
    ".jpeg": MediaType.JPEG,
}


class OutputError(Exception):
    """A file cannot be written; the sentence says why."""


def output_for(prompt: str, folder: Path) -> Path:
    """Name a new file in ``folder`` after the prompt: ``a-green-cube.png``."""
    words = re.findall(r"[a-z0-9]+", prompt.lower())[:8]
    stem = "-".join(words)[:60] or "imagine"
    path, number = folder / f"{stem}.png", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.png"
    return path


def single_path(folder: Path, rank: int) -> Path:
    """Where a picture by itself goes: ``01.png`` is the best."""
    return folder / f"{rank:02}.png"


def check_grid(path: Path) -> None:
    """Refuse a file that could not be written later, before anything is drawn.

    Raises:
        OutputError: With the sentence that says what to change.
    """
    with _told(path, sentences.TERMINAL_OTHER_FILE):
        if path.is_dir():
            raise OutputError(sentences.terminal_is_folder(str(path)))
        if path.suffix.lower() not in _KINDS:
            raise OutputError(sentences.terminal_unknown_kind(str(path)))
        _try_folder(path.parent)
        _check_replaceable(path, sentences.TERMINAL_OTHER_FILE)


def check_singles(folder: Path, picture_count: int, grid: Path) -> None:
    """Refuse a folder in which the single pictures could not be written, or would mix.

    Raises:
        OutputError: With the sentence that says what to change.
    """
    ours = [single_path(folder, rank) for rank in range(1, MAX_PICTURE_COUNT + 1)]
    with _told(folder, sentences.TERMINAL_OTHER_FOLDER):
        if folder.exists() and not folder.is_dir():
            raise OutputError(sentences.terminal_no_folder(str(folder)))
        _try_folder(folder if folder.exists() else folder.parent)
        if grid.resolve() in [path.resolve() for path in ours]:
            raise OutputError(sentences.terminal_twice(str(grid)))
        for path in ours[:picture_count]:
            _check_replaceable(path, sentences.TERMINAL_OTHER_FOLDER)
        for path in ours[picture_count:]:
            if path.exists():
                raise OutputError(sentences.terminal_left_over(str(path)))


def write(drawn: Drawn, grid: Path, singles_dir: Path | None) -> None:
    """Write the grid, and into ``singles_dir`` each picture: all files or, on an error, none.

    The grid is of the kind that its name ends in; single pictures are PNG files. If fewer have
    come than were asked for, none of an earlier drawing stays among them.

    Raises:
        OutputError: With the sentence that says why.
    """
    content = recode(drawn.grid_png, _KINDS[grid.suffix.lower()])
    files = [_File(path=grid, content=content, advice=sentences.TERMINAL_OTHER_FILE)]
    if singles_dir is None:
        _replace_all(files)
        return
    files += [
        _File(
            path=single_path(singles_dir, rank),
            content=picture.png,
            advice=sentences.TERMINAL_OTHER_FOLDER,
        )
        for rank, picture in enumerate(drawn.pictures, start=1)
    ]
    with _folder(singles_dir):
        _replace_all(files)
        _remove_rest(singles_dir, len(drawn.pictures))


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What goes where, and what the person can do if it cannot."""

    path: Path
    content: bytes
    advice: str


def _replace_all(files: Sequence[_File]) -> None:
    """Write everything beside its place first, for that is where a full disk shows."""
    new = [
        file.path.with_name(f".imagine-{os.getpid()}-{number}.new")
        for number, file in enumerate(files)
    ]
    try:
        for file, path in zip(files, new, strict=True):
            with _told(file.path, file.advice):
                path.write_bytes(file.content)
        for file, path in zip(files, new, strict=True):
            with _told(file.path, file.advice):
                path.replace(file.path)
    finally:
        for path in new:
            with contextlib.suppress(OSError):  # it took its place, or was never there
                path.unlink()


def _remove_rest(folder: Path, count: int) -> None:
    """Remove what an earlier drawing of ours has left behind the last of the new pictures."""
    for rank in range(count + 1, MAX_PICTURE_COUNT + 1):
        path = single_path(folder, rank)
        with _told(path, sentences.TERMINAL_OTHER_FOLDER):
            if path.is_file() and _may_be_lost(path.read_bytes()):
                path.unlink()


@contextlib.contextmanager
def _folder(folder: Path) -> Generator[None]:
    """Make a folder, unless it is there; take it away again if nothing comes into it."""
    was_there = folder.exists()
    with _told(folder, sentences.TERMINAL_OTHER_FOLDER):
        folder.mkdir(exist_ok=True)
    try:
        yield
    except OutputError:
        if not was_there:
            with contextlib.suppress(OSError):  # something is in it after all
                folder.rmdir()
        raise


@contextlib.contextmanager
def _told(path: Path, advice: str) -> Generator[None]:
    """Put what the disk says into a sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        sentence = sentences.terminal_cannot_write(str(path), reason, advice)
        raise OutputError(sentence) from error


def _try_folder(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder):
        pass


def _check_replaceable(path: Path, advice: str) -> None:
    if not path.exists():
        return
    if not path.is_file() or not _may_be_lost(path.read_bytes()):
        raise OutputError(sentences.terminal_taken(str(path), advice))
    path.open("ab").close()


def _may_be_lost(content: bytes) -> bool:
    """Whether it is nothing (as ``mktemp`` leaves it) or a picture of ours."""
    return not content or read_info(content) is not None
