from __future__ import annotations

import dataclasses
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from engine.api import (
    Drawn,
    DrawRequest,
    InvalidRequestError,
    PictureCheck,
    PicturesWithheldError,
    Verdict,
)
from engine.contract import Ranking
from engine.pictures import PictureInfo, draw_grid, read_info
from engine.rendering import Moments, Tokens, draw_up, encode, preview, render, upscale
from engine.verdicts import CLASSES
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


def test_what_is_not_safe_as_it_stands_is_blank_in_a_preview(tmp_path: Path) -> None:
    (tmp_path / "explicit").write_text("10")
    (tmp_path / "suggestive").write_text("20")
    values = [10, 20, 100]
    parts = {
        index: Tokens(tokens=tokens(value), drawn_count=TOKEN_COUNT)
        for index, value in enumerate(values)
    }
    runner = ArithmeticRunner(tmp_path, 4)

    seen = opened(preview(runner, REQUEST, parts)).astype(int)

    nothing = np.full((SIDE, SIDE, 3), BLANK, np.uint8)
    safe = runner.render(tokens(100)[None])[0]
    wanted = draw_grid([nothing, nothing, safe, nothing]).astype(int)
    assert np.abs(seen - wanted).mean() < 4  # what WebP loses


def drawn_up(runner: ArithmeticRunner, request: DrawRequest, values: list[int]) -> Drawn:
    moments = Moments(asked_at_s=0, placed_at_s=0, decoded_at_s=0)
    return draw_up(runner, request, np.stack([tokens(v) for v in values]), moments, lambda: 0.0)


def test_a_request_may_ask_for_the_stricter_check() -> None:
    class Doubting(ArithmeticRunner):
        def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            seen = {"Drawing": 0.0, "Hentai": 0.4, "Neutral": 0.15, "Porn": 0.45, "Sexy": 0.0}
            return np.array([[seen[name] for name in CLASSES]] * len(pixels), np.float32)

    doubting = Doubting(Path("/nowhere"), 4)

    drawn = drawn_up(doubting, REQUEST, [1, 2, 3, 4])

    assert {picture.verdict for picture in drawn.pictures} == {Verdict.BORDERLINE}
    with pytest.raises(PicturesWithheldError):
        drawn_up(doubting, dataclasses.replace(REQUEST, strict=True), [1, 2, 3, 4])


def test_the_suspicion_of_clip_is_held_against_its_picture_only() -> None:
    class Suspecting(ArithmeticRunner):
        def rank(self, prompt: str, pixels: NDArray[np.uint8]) -> Ranking:
            scores, _ = super().rank(prompt, pixels)
            return Ranking(scores, np.array([0.1, 0.95, 0.2, 0.3], np.float32))

    drawn = drawn_up(Suspecting(Path("/nowhere"), 4), REQUEST, [1, 2, 3, 4])

    hidden = [picture.index for picture in drawn.pictures if picture.verdict is not Verdict.SAFE]
    assert hidden == [1]


def test_a_check_that_is_off_looks_at_nothing(tmp_path: Path) -> None:
    class Blind(ArithmeticRunner):
        picture_check = PictureCheck.OFF

        def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            raise AssertionError(pixels)

    drawn = drawn_up(Blind(tmp_path, 4), dataclasses.replace(REQUEST, strict=True), [1, 2, 3, 4])

    assert [(picture.verdict, picture.safety) for picture in drawn.pictures] == [
        (Verdict.SAFE, {})
    ] * 4


def test_of_a_withheld_picture_its_hash_and_what_was_seen_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "explicit").write_text("2")

    drawn_up(ArithmeticRunner(tmp_path, 4), REQUEST, [1, 2, 3, 4])

    (line,) = caplog.messages
    digest = hashlib.sha256(opened_tokens(2).tobytes()).hexdigest()[:16]
    assert line == (
        f"picture withheld sha256={digest} drawing=0.00 hentai=0.00 neutral=0.00 porn=1.00 "
        "sexy=0.00"
    )


def opened_tokens(value: int) -> NDArray[np.uint8]:
    return ArithmeticRunner(Path("/nowhere"), 1).render(tokens(value)[None])[0]


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
