"""The small super-resolution network: a picture, four times as wide and high.

Eighteen convolutions with PReLU, a pixel shuffle, and the picture itself, enlarged by
repeating pixels, added at the end. It was made for drawn pictures.

Source: Real-ESRGAN, `realesr-animevideov3` (SRVGGNetCompact); checked by
`tests/golden/test_upscaler.py`.
"""

from __future__ import annotations

import itertools
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

FACTOR = 4

_WIDTH = 64
_MIDDLE_COUNT = 16

# --- modules --------------------------------------------------------------------------


class Upscaler(nnx.Module):
    """Pixels in [0, 1] to pixels, not clipped, ``FACTOR`` times as wide and high."""

    def __init__(self, *, dtype: Any = jnp.float32, rngs: nnx.Rngs) -> None:
        widths = [3, *[_WIDTH] * (_MIDDLE_COUNT + 1), 3 * FACTOR**2]
        self.convs = nnx.List(
            [
                nnx.Conv(c_in, c_out, (3, 3), dtype=dtype, rngs=rngs)
                for c_in, c_out in itertools.pairwise(widths)
            ]
        )
        self.slopes = nnx.List(
            [nnx.Param(jnp.zeros(_WIDTH, dtype)) for _ in range(_MIDDLE_COUNT + 1)]
        )

    def __call__(self, pixels: Float[Array, "B h w 3"]) -> Float[Array, "B H W 3"]:
        """Enlarge pictures."""
        x = pixels
        for conv, slope in zip(self.convs, self.slopes, strict=False):
            y = conv(x)
            x = jnp.where(y > 0, y, y * slope[...])
        return _shuffled(self.convs[-1](x)) + _repeated(pixels)


def _shuffled(x: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
    """Each place's 48 channels become its 4 x 4 pixels: (colour, row, column)."""
    batch, height, width, _ = x.shape
    x = x.reshape(batch, height, width, 3, FACTOR, FACTOR)  # B h w colour row column
    x = x.transpose(0, 1, 4, 2, 5, 3)  # B h row w column colour
    return x.reshape(batch, height * FACTOR, width * FACTOR, 3)


def _repeated(x: Float[Array, "B h w 3"]) -> Float[Array, "B H W 3"]:
    return x.repeat(FACTOR, axis=1).repeat(FACTOR, axis=2)


# --- names: ours -> the file's ---------------------------------------------------------

NAMES = (
    (r"^convs/(\d+)/kernel$", r"conv\1.w"),
    (r"^convs/(\d+)/bias$", r"conv\1.b"),
    (r"^slopes/(\d+)$", r"prelu\1"),
)
