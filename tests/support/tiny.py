"""The tiny reference checkpoints, laid out as one checkpoint for the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DATA = Path(__file__).parents[1] / "golden" / "data"
FOLDERS = {"dalle_bart": "dalle_mini_tiny", "vqgan": "vqgan_tiny", "clip": "clip_tiny"}


def golden(name: str) -> dict[str, NDArray[Any]]:
    """The arrays that the original code computed."""
    with np.load(DATA / "golden" / f"{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def tiny_checkpoint(folder: Path, *, dalle_bart: str = "dalle_mini_tiny") -> Path:
    """Lay the tiny DalleBart, VQGAN and CLIP out in ``folder``; they draw noise."""
    for ours, theirs in (FOLDERS | {"dalle_bart": dalle_bart}).items():
        (folder / ours).symlink_to(DATA / theirs, target_is_directory=True)
    return folder
