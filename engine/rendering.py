"""From image tokens to what a person gets: pixels, scores, files. And from files to tokens.

Pure functions of a runner and of plain data, so that a second thread can run them while
the loop goes on drawing.
"""

from __future__ import annotations

import hashlib
import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from engine.api import (
    MAX_PICTURE_COUNT,
    Drawn,
    InvalidRequestError,
    Picture,
    PictureCheck,
    PicturesWithheldError,
    Timings,
    Verdict,
)
from engine.pictures import PictureInfo, draw_grid, encode_png, encode_webp, read_info
from engine.uploads import centre_square, decode_picture
from engine.verdicts import CLASSES, level_of, verdict_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from engine.api import DrawRequest
    from engine.contract import Runner

logger = logging.getLogger(__name__)

MAX_UPSCALED_SIDE_PX: Final = 1_024
_BLANK: Final = 235  # light grey: unlike the gutters of the grid, so that the places show
_PREVIEW_QUALITY: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The image tokens [S] of a picture, of which the first ``drawn_count`` are there."""

    tokens: NDArray[np.int32]
    drawn_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """When what happened to a request, on the system's monotonic clock."""

    asked_at_s: float
    placed_at_s: float
    decoded_at_s: float


class Look(NamedTuple):
    """What the picture check saw in a picture, and what follows from it."""

    verdict: Verdict
    safety: dict[str, float]


def draw_up(
    runner: Runner,
    request: DrawRequest,
    tokens: NDArray[np.int32],
    moments: Moments,
    clock: Callable[[], float],
) -> Drawn:
    """Render, rank, check and encode the pictures of a request from their tokens [n, S].

    Raises:
        PicturesWithheldError: None of them is safe.
    """
    pixels = runner.render(tokens)
    scores, suspicions = runner.rank(request.prompt, pixels)
    looks = _looks(runner, request, pixels, suspicions)
    is_unsafe = [look.verdict is Verdict.UNSAFE for look in looks]
    _log_withheld(pixels[is_unsafe], [look for look in looks if look.verdict is Verdict.UNSAFE])
    if all(is_unsafe):
        raise PicturesWithheldError("The picture check lets none of these pictures be shown.")
    by_score = [int(index) for index in np.argsort(-scores, kind="stable")]
    best_first = [index for index in by_score if not is_unsafe[index]]
    pictures = tuple(
        Picture(
            png=encode_png(pixels[index], _info(runner, request, index)),
            score=float(scores[index]),
            index=index,
            tokens=tuple(tokens[index].tolist()),
            verdict=looks[index].verdict,
            safety=looks[index].safety,
        )
        for index in best_first
    )
    grid = draw_grid([pixels[index] for index in best_first])
    return Drawn(
        pictures=pictures,
        grid_png=encode_png(grid, _info(runner, request, None)),
        seed=seed_of(request),
        model=runner.model,
        timings=Timings(
            waited_s=moments.placed_at_s - moments.asked_at_s,
            decoded_s=moments.decoded_at_s - moments.placed_at_s,
            rendered_s=clock() - moments.decoded_at_s,
        ),
        withheld_count=sum(is_unsafe),
    )


def _looks(
    runner: Runner,
    request: DrawRequest,
    pixels: NDArray[np.uint8],
    suspicions: NDArray[np.float32] | None = None,
) -> list[Look]:
    level = level_of(runner.picture_check, strict=request.strict)
    if level is PictureCheck.OFF:
        return [Look(Verdict.SAFE, {}) for _ in pixels]
    seen = [dict(zip(CLASSES, map(float, row), strict=True)) for row in runner.classify(pixels)]
    suspected = [None] * len(seen) if suspicions is None else suspicions.tolist()
    return [
        Look(verdict_of(safety, suspicion, level), safety)
        for safety, suspicion in zip(seen, suspected, strict=True)
    ]


def _log_withheld(pixels: NDArray[np.uint8], looks: list[Look]) -> None:
    """Tell of each picture by a hash and what was seen: the picture itself is not kept."""
    for picture, look in zip(pixels, looks, strict=True):
        digest = hashlib.sha256(picture.tobytes()).hexdigest()[:16]
        seen = " ".join(f"{name.lower()}={share:.2f}" for name, share in look.safety.items())
        logger.warning("picture withheld sha256=%s %s", digest, seen)


def seed_of(request: DrawRequest) -> int:
    """Return the seed, which every request has that comes to the engine's process."""
    if request.seed is None:
        raise ValueError("a request comes here with a seed")
    return request.seed


def preview(runner: Runner, request: DrawRequest, parts: Mapping[int, Tokens]) -> bytes:
    """Return a WebP grid of a request's pictures, blank where nothing is drawn yet.

    One that is not safe as it stands is blank altogether: nobody has hidden it yet.

    Args:
        runner: Renders.
        request: What is being drawn.
        parts: What is there, by index; at least one picture.
    """
    rendered = runner.render(np.stack([_filled(part) for part in parts.values()]))
    blank = np.full_like(rendered[0], _BLANK)
    drawn = np.stack(
        [
            np.where(_is_drawn(part, pixels.shape[0]), pixels, blank)
            for part, pixels in zip(parts.values(), rendered, strict=True)
        ]
    )
    cells = [blank for _ in range(request.picture_count)]
    for index, pixels, look in zip(parts, drawn, _looks(runner, request, drawn), strict=True):
        cells[index] = pixels if look.verdict is Verdict.SAFE else blank
    return encode_webp(draw_grid(cells), _info(runner, request, None), quality=_PREVIEW_QUALITY)


def render(runner: Runner, request: DrawRequest, index: int, tokens: tuple[int, ...]) -> bytes:
    """Return the file of a picture that was drawn, from its tokens.

    Raises:
        InvalidRequestError: They are not the tokens of one of this model's pictures, or the
            request has no seed.
    """
    if request.seed is None or not 0 <= index < MAX_PICTURE_COUNT:
        raise InvalidRequestError("This picture cannot be drawn again: its number is not known.")
    are_known = all(0 <= token < runner.code_count for token in tokens)
    if len(tokens) != runner.image_length or not are_known:
        raise InvalidRequestError(
            f"This picture was not drawn by this model ({runner.model}): draw it anew."
        )
    pixels = runner.render(np.asarray(tokens, np.int32)[None])[0]
    return encode_png(pixels, _info(runner, request, index))


def upscale(runner: Runner, picture: bytes) -> bytes:
    """Return a picture four times as wide and high, as a PNG that says what the picture said.

    Raises:
        InvalidRequestError: It is no picture, or too big.
    """
    pixels = decode_picture(picture)
    height, width = pixels.shape[:2]
    if max(height, width) > MAX_UPSCALED_SIDE_PX:
        raise InvalidRequestError(
            f"This picture has {width:,} by {height:,} pixels; only one of at most "
            f"{MAX_UPSCALED_SIDE_PX:,} a side can be enlarged."
        )
    return encode_png(runner.upscale(pixels[None])[0], read_info(picture))


def encode(runner: Runner, picture: bytes) -> tuple[int, ...]:
    """Return the image tokens of the largest square in the middle of a picture.

    Raises:
        InvalidRequestError: It is no picture, or too big.
    """
    square = centre_square(decode_picture(picture), runner.picture_side_px)
    return tuple(runner.encode(square[None])[0].tolist())


def _info(runner: Runner, request: DrawRequest, index: int | None) -> PictureInfo:
    return PictureInfo(
        prompt=request.prompt,
        seed=seed_of(request),
        index=index,
        options=request.options,
        model=runner.model,
    )


def _filled(part: Tokens) -> NDArray[np.int32]:
    """Put the last token drawn for those that are not: anything, but a token."""
    tokens = part.tokens.copy()
    tokens[part.drawn_count :] = tokens[part.drawn_count - 1]
    return tokens


def _is_drawn(part: Tokens, side_px: int) -> NDArray[np.bool_]:
    """Which pixels [h, w, 1] show tokens that are drawn.

    Example: 3 of 4 tokens of a 4 px picture are there; each shows a square of 2 by 2 px,
    and the one at the bottom right is missing.
    """
    side = math.isqrt(len(part.tokens))
    patches = (np.arange(len(part.tokens)) < part.drawn_count).reshape(side, side)
    return patches.repeat(side_px // side, axis=0).repeat(side_px // side, axis=1)[..., None]
