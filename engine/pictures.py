"""Arrays to PNG files and back to what a file says about itself; grids of pictures.

Every file tells how it was made (prompt, seed, options, model), so that it can be drawn
again, and carries the mark by which platforms recognise a machine's pictures. This module
knows nothing of how the pixels came to be.
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, PngImagePlugin

from engine.api import InvalidRequestError, SamplingOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MIN_CELL_PX = 256
GUTTER_PX = 8
_BACKGROUND = (255, 255, 255)

_INFO_KEYWORD = "imagine-bot"
_XMP_KEYWORD = "XML:com.adobe.xmp"
# Source: IPTC Photo Metadata Standard 2023.1, "Digital Source Type"; XMP Specification
# Part 3, 1.1.5 (an uncompressed iTXt chunk with this keyword).
_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about=""'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    " Iptc4xmpExt:DigitalSourceType="
    '"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
    "</rdf:RDF></x:xmpmeta>"
    '<?xpacket end="r"?>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureInfo:
    """How a picture was made.

    Attributes:
        index: Which of the request's candidates it is; ``None`` for a grid of them all.
    """

    prompt: str
    seed: int
    index: int | None
    options: SamplingOptions
    model: str


def encode_png(pixels: NDArray[np.uint8], info: PictureInfo) -> bytes:
    """Encode RGB pixels [h, w, 3] as a PNG that says how it was made."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("Description", info.prompt.encode(errors="replace").decode())
    chunks.add_text("Software", "imagine-bot")
    chunks.add_text(_INFO_KEYWORD, json.dumps(asdict(info)))
    chunks.add_itxt(_XMP_KEYWORD, _XMP)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


def read_info(png: bytes) -> PictureInfo | None:
    """Return what a PNG of ours says about itself; ``None`` if it is not one of ours."""
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            fields: dict[str, Any] = dict(json.loads(image.info[_INFO_KEYWORD]))
        options = SamplingOptions(**fields.pop("options"))
        return PictureInfo(**fields, options=options)
    except (OSError, SyntaxError, LookupError, TypeError, ValueError, InvalidRequestError):
        return None  # no PNG, or one without the words we put into ours


def grid_shape(count: int) -> tuple[int, int]:
    """Return rows and columns: wide rather than high, and few cells empty.

    Example: 1 is 1 by 1, 2 is 1 by 2, 3 is 1 by 3, 4 is 2 by 2, 5 is 2 by 3, 9 is 3 by 3.
    """
    rows = math.isqrt(count)
    return rows, math.ceil(count / rows)


def draw_grid(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Lay pictures [h, w, 3] of one size out in rows; a last row that is short is centred.

    Pictures under 256 px are enlarged by a whole factor, so that the grid can be looked at
    without a magnifying glass.
    """
    cells = [_enlarged(picture) for picture in pictures]
    rows, columns = grid_shape(len(cells))
    step_x, step_y = cells[0].width + GUTTER_PX, cells[0].height + GUTTER_PX
    size = (columns * step_x - GUTTER_PX, rows * step_y - GUTTER_PX)
    grid = Image.new("RGB", size, _BACKGROUND)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        empty_count = max(0, (row + 1) * columns - len(cells))
        grid.paste(cell, (column * step_x + empty_count * step_x // 2, row * step_y))
    return np.asarray(grid)


def _enlarged(pixels: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(pixels)
    factor = math.ceil(MIN_CELL_PX / min(image.size))
    if factor == 1:
        return image
    # Bicubic: smooth like Lanczos, but without its rings around hard edges.
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.BICUBIC)
