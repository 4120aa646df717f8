from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from bot.jobs import UndeliverableError
from bot.x.api import MAX_PICTURE_BYTES
from bot.x.pictures import MAX_SIDE_PX, for_timeline
from tests.support.scripted_engine import solid_png


def noise_png(side_px: int) -> bytes:
    """Noise, which no PNG makes small."""
    pixels = np.random.default_rng(7).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def size_and_form(picture: bytes) -> tuple[tuple[int, int], str | None]:
    with Image.open(io.BytesIO(picture)) as image:
        return image.size, image.format


def test_a_grid_that_fits_is_posted_as_it_is() -> None:
    grid = solid_png(1, 2, 3, side_px=784)

    assert for_timeline(grid) is grid


def test_a_grid_that_is_too_wide_is_made_smaller() -> None:
    small = for_timeline(solid_png(1, 2, 3, side_px=3_000))

    assert size_and_form(small) == ((MAX_SIDE_PX, MAX_SIDE_PX), "PNG")


def test_a_grid_of_too_many_bytes_becomes_a_jpeg() -> None:
    grid = noise_png(1_500)
    assert len(grid) > MAX_PICTURE_BYTES

    small = for_timeline(grid)

    assert size_and_form(small) == ((1_500, 1_500), "JPEG")
    assert len(small) <= MAX_PICTURE_BYTES


def test_what_is_no_picture_cannot_be_delivered() -> None:
    with pytest.raises(UndeliverableError, match="the grid of 4 bytes is not fit"):
        for_timeline(b"none")
