from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from engine.api import DrawRequest, InvalidRequestError
from engine.pictures import PictureInfo, draw_grid, read_info
from engine.rendering import Tokens, encode, preview, render, upscale
from tests.support.arithmetic_runner import SIDE, TOKEN_COUNT, VOCABULARY, ArithmeticRunner

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLANK = 235
REQUEST = DrawRequest(prompt="a cat & a dog", picture_count=4, seed=1)


@pytest.fixture
def runner() -> ArithmeticRunner:
    return ArithmeticRunner(Path("/nowhere"), 4)


def tokens(value: int) -> NDArray[np.int32]:
    return np.full(TOKEN_COUNT, value, np.int32)


def opened(picture: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    red = np.arange(width, dtype=np.uint8)[None, :, None].repeat(height, axis=0)
    Image.fromarray(red.repeat(3, axis=2)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_preview_is_blank_where_nothing_is_drawn(runner: ArithmeticRunner) -> None:
    parts = {
        0: Tokens(tokens=tokens(10), drawn_count=TOKEN_COUNT),
        2: Tokens(tokens=tokens(100), drawn_count=3 * SIDE + 4),
    }

    seen = opened(preview(runner, REQUEST, parts)).astype(int)

    whole = runner.render(tokens(10)[None])[0]
    half = runner.render(tokens(100)[None])[0].copy()
    half[3, 4:] = half[4:] = BLANK
    nothing = np.full_like(whole, BLANK)
    wanted = draw_grid([whole, nothing, half, nothing]).astype(int)
    assert seen.shape == wanted.shape
    assert np.abs(seen - wanted).mean() < 4  # what WebP loses


def test_a_preview_is_marked_as_made_by_a_machine(runner: ArithmeticRunner) -> None:
    parts = {0: Tokens(tokens=tokens(10), drawn_count=1)}

    picture = preview(runner, REQUEST, parts)

    with Image.open(io.BytesIO(picture)) as image:
        assert image.format == "WEBP"
    assert b"trainedAlgorithmicMedia" in picture


def test_tokens_that_are_not_drawn_are_not_rendered() -> None:
    """What a slot holds behind its last token may be no token at all."""
    row = tokens(5)
    row[7:] = 10_000
    seen: list[int] = []

    class Watching(ArithmeticRunner):
        def render(self, tokens: NDArray[np.int32]) -> NDArray[np.uint8]:
            seen.append(int(tokens.max()))
            return super().render(tokens)

    preview(
        Watching(Path("/nowhere"), 1),
        DrawRequest(prompt="a cat", picture_count=1, seed=1),
        {0: Tokens(tokens=row, drawn_count=7)},
    )

    assert seen == [5]


def test_a_picture_made_from_its_tokens_says_how_it_was_made(runner: ArithmeticRunner) -> None:
    again = render(runner, REQUEST, 3, tuple(range(TOKEN_COUNT)))

    assert (opened(again) == runner.render(np.arange(TOKEN_COUNT, dtype=np.int32)[None])[0]).all()
    assert read_info(again) == PictureInfo(
        prompt="a cat & a dog", seed=1, index=3, options=REQUEST.options, model="arithmetic"
    )


@pytest.mark.parametrize(
    "wrong",
    [(), (0,) * (TOKEN_COUNT - 1), (0,) * (TOKEN_COUNT + 1), (VOCABULARY,) * 64, (-1,) * 64],
    ids=["none", "too few", "too many", "too high", "negative"],
)
def test_tokens_of_no_picture_of_this_model_are_not_rendered(
    runner: ArithmeticRunner, wrong: tuple[int, ...]
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        render(runner, REQUEST, 0, wrong)

    assert (
        str(caught.value) == "This picture was not drawn by this model (arithmetic): draw it anew."
    )


@pytest.mark.parametrize(("seed", "index"), [(None, 0), (1, -1), (1, 16)])
def test_a_picture_without_its_number_is_not_rendered(
    runner: ArithmeticRunner, seed: int | None, index: int
) -> None:
    request = DrawRequest(prompt="a cat", seed=seed)

    with pytest.raises(InvalidRequestError, match="its number is not known"):
        render(runner, request, index, (0,) * TOKEN_COUNT)


def test_an_enlarged_picture_of_somebody_else_says_only_what_made_it(
    runner: ArithmeticRunner,
) -> None:
    enlarged = upscale(runner, png(10, 6))

    assert opened(enlarged).shape == (24, 40, 3)
    assert read_info(enlarged) is None
    assert b"trainedAlgorithmicMedia" in enlarged


def test_a_picture_that_is_too_big_to_enlarge_is_refused(runner: ArithmeticRunner) -> None:
    assert upscale(runner, png(1_024, 1))

    with pytest.raises(InvalidRequestError) as caught:
        upscale(runner, png(1_025, 20))

    assert str(caught.value) == (
        "This picture has 1,025 by 20 pixels; only one of at most 1,024 a side can be enlarged."
    )


def test_of_a_wide_picture_the_square_in_the_middle_is_encoded(runner: ArithmeticRunner) -> None:
    codes = np.reshape(encode(runner, png(100, SIDE)), (SIDE, SIDE))

    assert codes[0].tolist() == list(range(46, 54))
    assert (codes == codes[0]).all()
