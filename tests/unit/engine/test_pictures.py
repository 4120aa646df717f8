from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from engine.api import SamplingOptions
from engine.pictures import PictureInfo, draw_grid, encode_png, grid_shape, read_info

if TYPE_CHECKING:
    from numpy.typing import NDArray


def square(value: int, side_px: int) -> NDArray[np.uint8]:
    return np.full((side_px, side_px, 3), value, np.uint8)


def info(**changes: Any) -> PictureInfo:
    fields: dict[str, Any] = {
        "prompt": "a cat",
        "seed": 7,
        "index": 2,
        "options": SamplingOptions(temperature=0.5, top_k=3),
        "model": "tiny",
    }
    return PictureInfo(**(fields | changes))


def open_png(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def test_a_picture_comes_back_with_the_same_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)

    image = open_png(encode_png(pixels, info()))

    np.testing.assert_array_equal(np.asarray(image), pixels)


@settings(deadline=None)
@given(prompt=st.text(), seed=st.integers(0, 2**32 - 1), index=st.none() | st.integers(0, 15))
def test_a_picture_says_how_it_was_made(prompt: str, seed: int, index: int | None) -> None:
    made = info(prompt=prompt, seed=seed, index=index)

    assert read_info(encode_png(square(0, 1), made)) == made


def test_a_picture_is_marked_as_made_by_a_machine() -> None:
    image = open_png(encode_png(square(0, 1), info()))

    xmp = ET.fromstring(image.info["xmp"])  # noqa: S314 - written by the line above
    description = xmp.find(".//{*}Description")

    assert description is not None
    assert (
        description.get("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
        == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )


def test_a_picture_has_its_prompt_as_description_even_if_half_a_character_is_in_it() -> None:
    image = open_png(encode_png(square(0, 1), info(prompt="Kätzchen \ud83d")))

    assert image.info["Description"] == "Kätzchen ?"


def plain_png(**texts: str) -> bytes:
    chunks = PngInfo()
    for keyword, text in texts.items():
        chunks.add_text(keyword.replace("_", "-"), text)
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"not a picture",
        plain_png(),
        plain_png(imagine_bot="{"),
        plain_png(imagine_bot='{"prompt": "a cat"}'),
        plain_png(imagine_bot="[1]"),
        plain_png(imagine_bot='{"options": {"top_k": -1}}'),
    ],
)
def test_a_foreign_file_says_nothing(file: bytes) -> None:
    assert read_info(file) is None


def test_grids_are_wide_rather_than_high_and_leave_few_cells_empty() -> None:
    assert [grid_shape(count) for count in range(1, 17)] == [
        (1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (2, 3), (2, 4), (2, 4),
        (3, 3), (3, 4), (3, 4), (3, 4), (3, 5), (3, 5), (3, 5), (4, 4),
    ]  # fmt: skip


def test_pictures_lie_in_reading_order_with_a_gutter_between() -> None:
    grid = draw_grid([square(value, 256) for value in (10, 20, 30, 40)])

    assert grid.shape == (520, 520, 3)
    assert grid[0, 0, 0] == 10
    assert grid[255, 519, 0] == 20
    assert grid[264, 255, 0] == 30
    assert grid[519, 264, 0] == 40
    assert (grid[256:264] == 255).all()
    assert (grid[:, 256:264] == 255).all()


def test_a_short_last_row_is_centred() -> None:
    grid = draw_grid([square(10, 256)] * 5)

    last_row = grid[-1, :, 0]
    assert (last_row[:132] == 255).all()
    assert last_row[132] == 10
    assert last_row[132 + 264 + 255] == 10
    assert (last_row[132 + 264 + 256 :] == 255).all()


@pytest.mark.parametrize(
    ("side_px", "cell_px"), [(16, 256), (64, 256), (96, 288), (255, 510), (256, 256), (300, 300)]
)
def test_small_pictures_are_enlarged_by_a_whole_factor(side_px: int, cell_px: int) -> None:
    assert draw_grid([square(90, side_px)]).shape == (cell_px, cell_px, 3)
