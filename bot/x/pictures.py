"""Makes a grid fit for X, which takes pictures of 5 MB and shows them all at the same width."""

from __future__ import annotations

from bot.jobs import UndeliverableError
from bot.x.api import MAX_PICTURE_BYTES
from engine.pictures import fit


def for_timeline(grid_png: bytes) -> bytes:
    """Return ``grid_png``, or if X would not take it a lighter file that says the same of itself.

    Grids of at most sixteen pictures are narrower than the 4,096 px that X keeps. Slow if it
    must be remade.

    Raises:
        UndeliverableError: None of its forms is small enough.
    """
    file = fit(grid_png, limit_bytes=MAX_PICTURE_BYTES)
    if file is None:
        raise UndeliverableError(f"the grid of {len(grid_png):,} bytes is not fit")
    return file.content
