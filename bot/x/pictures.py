"""Makes a grid fit for a timeline of X: at most 5 MB, no larger than it can show.

Most grids are fit as they are; then the very bytes are posted. What is too large is made
smaller first and, if that is not enough, a JPEG: a timeline shows it the same.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from PIL import Image

from bot.jobs import UndeliverableError
from bot.x.api import MAX_PICTURE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

# X shows a picture at 1,200 px and keeps up to 4,096; twice the shown width stays sharp on
# fine screens.
MAX_SIDE_PX: Final = 2_048
_JPEG_QUALITIES: Final = (92, 85, 75, 60)


def for_timeline(grid_png: bytes) -> bytes:
    """Return ``grid_png``, or a picture like it that X takes. Slow if it must be remade.

    Raises:
        UndeliverableError: It is no picture, or none of its forms is small enough.
    """
    try:
        with Image.open(io.BytesIO(grid_png)) as grid:
            if max(grid.size) <= MAX_SIDE_PX and len(grid_png) <= MAX_PICTURE_BYTES:
                return grid_png
            forms = _smaller_forms(grid.convert("RGB"))
            return next(form for form in forms if len(form) <= MAX_PICTURE_BYTES)
    except (OSError, StopIteration) as error:
        raise UndeliverableError(f"the grid of {len(grid_png):,} bytes is not fit") from error


def _smaller_forms(grid: Image.Image) -> Iterator[bytes]:
    grid.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))  # never enlarges
    yield _encoded(grid, "PNG", optimize=True)
    for quality in _JPEG_QUALITIES:
        yield _encoded(grid, "JPEG", quality=quality)


def _encoded(grid: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    grid.save(buffer, kind, **options)
    return buffer.getvalue()
