"""Arrays to picture files and back to what a file says about itself; grids of pictures.

Every file tells how it was made (prompt, seed, options, model), so that it can be drawn
again, and carries the mark by which platforms recognise a machine's pictures. This module
knows nothing of how the pixels came to be, and loads no JAX.
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from engine import marks
from engine.api import MAX_PICTURE_COUNT, MAX_PROMPT_CHARS, InvalidRequestError, SamplingOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

MIN_CELL_PX = 256
GUTTER_PX = 8
_BACKGROUND = (255, 255, 255)

LOSSLESS: Final = None
WEBP_QUALITY: Final = 90
JPEG_QUALITY: Final = 90
_LAST_JPEG_QUALITY: Final = 75
# zlib's level: a grid of the demo model's pictures takes 52 ms and 362 KB, and 163 ms and
# 349 KB at the usual 6.
_PNG_EFFORT: Final = 4
_LEAST_SIDE_PX: Final = 64

_MAX_MODEL_CHARS = 1_000  # so that every record fits into the 64 KB of EXIF


class MediaType(StrEnum):
    """The kinds of files that are written, by their names on the web."""

    PNG = "image/png"
    WEBP = "image/webp"
    JPEG = "image/jpeg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A picture file."""

    content: bytes
    media_type: MediaType


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

    def __post_init__(self) -> None:
        """Refuse what does not fit into a file.

        Raises:
            ValueError: A text is longer than any of ours.
        """
        if len(self.prompt) > MAX_PROMPT_CHARS or len(self.model) > _MAX_MODEL_CHARS:
            raise ValueError("the prompt or the name of the model is too long for a file")


# --- files ----------------------------------------------------------------------------


def encode_png(pixels: NDArray[np.uint8], info: PictureInfo | None) -> bytes:
    """Encode RGB pixels [h, w, 3] as a PNG that says how it was made.

    Without ``info``, here and below, only the mark and the name of the software are in it.
    """
    chunks = marks.png_chunks(*_words(info))
    return _saved(pixels, "PNG", compress_level=_PNG_EFFORT, pnginfo=chunks)


def encode_webp(
    pixels: NDArray[np.uint8], info: PictureInfo | None, *, quality: int | None = WEBP_QUALITY
) -> bytes:
    """Encode as WebP: quality 0 to 100, or ``LOSSLESS``."""
    how = {"lossless": True} if quality is LOSSLESS else {"quality": quality}
    description, record = _words(info)
    exif = marks.exif(description, record)
    return _saved(pixels, "WEBP", exif=exif, xmp=marks.xmp(description), **how)


def encode_jpeg(
    pixels: NDArray[np.uint8], info: PictureInfo | None, *, quality: int = JPEG_QUALITY
) -> bytes:
    """Encode as JPEG: quality 1 to 95. From 90 on, colours stay as sharp as brightness."""
    description, record = _words(info)
    return _saved(
        pixels,
        "JPEG",
        quality=quality,
        subsampling="4:4:4" if quality >= JPEG_QUALITY else "4:2:0",
        optimize=True,
        exif=marks.exif(description, record),
        xmp=marks.xmp(description),
    )


def recode(png: bytes, media_type: MediaType) -> bytes:
    """Turn a PNG of ours into another kind of file that says the same of itself."""
    match media_type:
        case MediaType.PNG:
            return png
        case MediaType.WEBP:
            return encode_webp(_pixels(png), read_info(png))
        case MediaType.JPEG:
            return encode_jpeg(_pixels(png), read_info(png))


def encode_within(
    pixels: NDArray[np.uint8], info: PictureInfo | None, *, limit_bytes: int
) -> Encoded | None:
    """Encode as well as a limit of bytes allows.

    The first of these that fits: PNG; lossless WebP; WebP of quality 90; JPEG of quality 75;
    then the same JPEG at ever smaller sizes, each with half as many pixels, down to 64 px on
    the shorter side. A grainy grid of 2064 px a side weighed 8.9, 7.8, 1.5 and 0.5 MB; trying
    them all blocked a core of a 2.8 GHz Xeon for 3 s, most of it for lossless WebP.

    Returns:
        ``None`` if even the last is heavier than the limit.
    """
    return fit(encode_png(pixels, info), limit_bytes=limit_bytes)


def fit(png: bytes, *, limit_bytes: int) -> Encoded | None:
    """Do the same for a PNG of ours, which stays as it is if it fits."""
    if len(png) <= limit_bytes:
        return Encoded(content=png, media_type=MediaType.PNG)
    lighter = _lighter(_pixels(png), read_info(png))
    return next((file for file in lighter if len(file.content) <= limit_bytes), None)


def read_info(file: bytes) -> PictureInfo | None:
    """Return what a picture file of ours says about itself; ``None`` if it is not one of ours."""
    try:
        with Image.open(io.BytesIO(file), formats=["PNG", "WEBP", "JPEG"]) as image:
            fields: dict[str, Any] = dict(json.loads(marks.read_record(image)))
        options = SamplingOptions(**fields.pop("options"))
        info = PictureInfo(**fields, options=options)
        _check_types(info)
    except (*marks.UNREADABLE, InvalidRequestError, RecursionError):
        return None  # no picture, or one without the words we put into ours
    return info


def _lighter(pixels: NDArray[np.uint8], info: PictureInfo | None) -> Iterator[Encoded]:
    for quality in (LOSSLESS, WEBP_QUALITY):
        webp = encode_webp(pixels, info, quality=quality)
        yield Encoded(content=webp, media_type=MediaType.WEBP)
    image = Image.fromarray(pixels)
    width, height, halvings = image.width, image.height, 0
    while halvings == 0 or min(width, height) >= _LEAST_SIDE_PX:
        smaller = image.resize((width, height), Image.Resampling.LANCZOS)
        jpeg = encode_jpeg(np.asarray(smaller), info, quality=_LAST_JPEG_QUALITY)
        yield Encoded(content=jpeg, media_type=MediaType.JPEG)
        halvings += 1
        scale = 0.5 ** (halvings / 2)
        width, height = round(image.width * scale), round(image.height * scale)


def _saved(pixels: NDArray[np.uint8], kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def _pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        return np.asarray(image.convert("RGB"))


def _words(info: PictureInfo | None) -> tuple[str, str]:
    """Return the description for people and the record for us."""
    if info is None:
        return "", "{}"
    return info.prompt, json.dumps(asdict(info))


def _check_types(info: PictureInfo) -> None:
    kinds = {"prompt": str, "seed": int, "index": (int, type(None)), "model": str}
    for name, kind in kinds.items():
        if not isinstance(getattr(info, name), kind):
            raise TypeError(f"{name} is of another type")


# --- grids ----------------------------------------------------------------------------


def grid_shape(count: int) -> tuple[int, int]:
    """Return rows and columns: wide rather than high, and few cells empty.

    Example: 1 is 1 by 1, 2 is 1 by 2, 3 is 1 by 3, 4 is 2 by 2, 5 is 2 by 3, 9 is 3 by 3.

    Raises:
        ValueError: ``count`` is not from 1 to 16.
    """
    if not 1 <= count <= MAX_PICTURE_COUNT:
        raise ValueError(f"a grid holds 1 to {MAX_PICTURE_COUNT} pictures, not {count}")
    rows = math.isqrt(count)
    return rows, math.ceil(count / rows)


def draw_grid(
    pictures: Sequence[NDArray[np.uint8]], *, max_side_px: int | None = None
) -> NDArray[np.uint8]:
    """Lay pictures [h, w, 3] of one size out in rows; a last row that is short is centred.

    Pictures under 256 px are enlarged by a whole factor, so that the grid can be looked at
    without a magnifying glass.

    Args:
        pictures: 1 to 16, in reading order.
        max_side_px: The most that the grid may be wide or high; pictures are made smaller
            for it, the gutters between them stay.

    Raises:
        ValueError: The pictures differ in size, or are none or too many, or do not fit.
    """
    rows, columns = grid_shape(len(pictures))
    width, height = _cell_size(_common_size(pictures), (rows, columns), max_side_px)
    step_x, step_y = width + GUTTER_PX, height + GUTTER_PX
    size = (columns * step_x - GUTTER_PX, rows * step_y - GUTTER_PX)
    grid = Image.new("RGB", size, _BACKGROUND)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        empty_count = max(0, (row + 1) * columns - len(pictures))
        cell = _resized(picture, width, height)
        grid.paste(cell, (column * step_x + empty_count * step_x // 2, row * step_y))
    return np.asarray(grid)


def grid_of(pngs: Sequence[bytes]) -> bytes:
    """Lay PNGs of ours, of one request, out in a grid: a PNG that says the same of itself."""
    info = read_info(pngs[0])
    grid = draw_grid([_pixels(png) for png in pngs])
    return encode_png(grid, None if info is None else replace(info, index=None))


def _common_size(pictures: Sequence[NDArray[np.uint8]]) -> tuple[int, int]:
    """Return width and height of all."""
    sizes = {(picture.shape[1], picture.shape[0]) for picture in pictures}
    if len(sizes) > 1:
        told = " and ".join(f"{width} by {height}" for width, height in sorted(sizes))
        raise ValueError(f"the pictures of a grid have one size, not {told} pixels")
    return sizes.pop()


def _cell_size(
    size: tuple[int, int], shape: tuple[int, int], max_side_px: int | None
) -> tuple[int, int]:
    """Return width and height of a picture in the grid.

    Example: 9 pictures of 1024 px in at most 2048 px leave (2048 - 2 * 8) // 3 = 677 px each.
    """
    factor = max(1, math.ceil(MIN_CELL_PX / min(size)))
    width, height = size[0] * factor, size[1] * factor
    if max_side_px is None:
        return width, height
    room_y, room_x = ((max_side_px - (count - 1) * GUTTER_PX) // count for count in shape)
    if width > room_x:
        width, height = room_x, height * room_x // width
    if height > room_y:
        width, height = width * room_y // height, room_y
    if min(width, height) < 1:
        raise ValueError(f"the grid does not fit into {max_side_px} pixels")
    return width, height


def _resized(pixels: NDArray[np.uint8], width: int, height: int) -> Image.Image:
    image = Image.fromarray(pixels)
    if image.size == (width, height):
        return image
    # Bicubic enlarges as smoothly as Lanczos, but without its rings around hard edges.
    is_larger = width > image.width
    kernel = Image.Resampling.BICUBIC if is_larger else Image.Resampling.LANCZOS
    return image.resize((width, height), kernel)
