from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from bot.jobs import UndeliverableError
from bot.x import pictures
from bot.x.api import MAX_PICTURE_BYTES
from bot.x.pictures import for_timeline
from engine.api import SamplingOptions
from engine.pictures import PictureInfo, encode_png, read_info
from tests.support.scripted_engine import solid_png
from tests.support.x_world import MAGIC

INFO = PictureInfo(prompt="noise", seed=7, index=None, options=SamplingOptions(), model="demo")


def noise_png(side_px: int) -> bytes:
    """Noise, which no PNG makes small."""
    pixels = np.random.default_rng(7).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    return encode_png(pixels, INFO)


def test_a_grid_that_fits_is_posted_as_it_is() -> None:
    grid = solid_png(1, 2, 3, side_px=784)

    assert for_timeline(grid) is grid


def test_a_grid_of_too_many_bytes_becomes_a_lighter_file_that_says_the_same_of_itself() -> None:
    grid = noise_png(1_300)
    assert len(grid) > MAX_PICTURE_BYTES

    lighter = for_timeline(grid)

    with Image.open(io.BytesIO(lighter)) as image:
        assert image.size == (1_300, 1_300)
    assert len(lighter) <= MAX_PICTURE_BYTES
    assert lighter.startswith(MAGIC)
    assert read_info(lighter) == INFO


def test_a_grid_that_nothing_makes_light_enough_cannot_be_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pictures, "MAX_PICTURE_BYTES", 100)
    grid = solid_png(1, 2, 3, side_px=64)

    with pytest.raises(UndeliverableError, match=f"the grid of {len(grid)} bytes is not fit"):
        for_timeline(grid)
