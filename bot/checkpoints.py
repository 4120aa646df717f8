"""Which folder the settings mean by their checkpoint, and how a checkpoint gets there.

The words ``mini`` and ``mega`` stand for the folders that ``imagine fetch`` fills. How
files are fetched is the engine's knowledge; here it is shown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from bot import sentences
from engine.api import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from engine.fetch import Progress as Fetched

RELEASED: Final = ("mini", "mega")

_MODEL_FILE: Final = "flax_model.msgpack"
_NEEDED: Final = tuple(
    f"{model}/{name}"
    for model in ("dalle_bart", "vqgan", "clip")
    for name in ("config.json", _MODEL_FILE)
)


def folder_of(checkpoint: Path, data_dir: Path) -> Path:
    """Turn ``ENGINE_CHECKPOINT`` into a folder: ``mini`` and ``mega`` lie in the data folder."""
    name = str(checkpoint)
    return data_dir / "checkpoints" / name if name in RELEASED else checkpoint


def complete_folder_of(checkpoint: Path, data_dir: Path) -> Path:
    """The same, after a look whether the files of a model are there, without loading them.

    Raises:
        CheckpointError: Some are not.
    """
    folder = folder_of(checkpoint, data_dir)
    missing = [name for name in _NEEDED if not _is_there(folder / name)]
    if missing and folder != checkpoint:
        raise CheckpointError(sentences.checkpoint_not_fetched(str(checkpoint)))
    if missing:
        raise CheckpointError(sentences.checkpoint_incomplete(str(folder), ", ".join(missing)))
    return folder


def _is_there(path: Path) -> bool:
    """Whether a file is there; a model may be split into several, which an index lists."""
    index = path.with_name(f"{path.name}.index.json")
    return path.is_file() or (path.name == _MODEL_FILE and index.is_file())


def fetch(source: str, folder: Path | None, *, data_dir: Path, console: Console) -> str:
    """Fetch a checkpoint with a bar for each file.

    Args:
        source: ``mini``, ``mega`` or another source (`engine/sources/released.py`).
        folder: Where to; by default a folder in ``data_dir`` named after the source.
        data_dir: The data folder.
        console: Shows the bars, if it is a terminal.

    Returns:
        The value of ``ENGINE_CHECKPOINT`` that uses it.

    Raises:
        CheckpointError: It could not be fetched.
    """
    from engine import fetch as fetching  # noqa: PLC0415 # only this command needs it

    to = folder or data_dir / "checkpoints" / _folder_name(source)
    with _bars(console) as bars:
        fetching.fetch(source, to, show=_Bars(bars).show)
    return source if folder is None and source in RELEASED else str(to.absolute())


def _folder_name(source: str) -> str:
    """Example: ``wandb:dalle-mini/dalle-mini/mega-1-fp16:v14`` becomes ``mega-1-fp16-v14``."""
    last = source.rstrip("/").rsplit("/", maxsplit=1)[-1]
    return re.sub(r"[^\w.-]+", "-", last).strip("-.") or "other"


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


class _Bars:
    """A bar for all files, and one for each, in the order in which they come."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._all = bars.add_task("all files", total=None)
        self._ids: dict[str, TaskID] = {}
        self._done_bytes: dict[str, int] = {}

    def show(self, fetched: Fetched) -> None:
        if fetched.name not in self._ids:
            self._ids[fetched.name] = self._bars.add_task(fetched.name, total=fetched.size_bytes)
        self._done_bytes[fetched.name] = fetched.done_bytes
        self._bars.update(self._ids[fetched.name], completed=fetched.done_bytes)
        all_done_bytes = sum(self._done_bytes.values())
        self._bars.update(self._all, completed=all_done_bytes, total=fetched.total_bytes)
