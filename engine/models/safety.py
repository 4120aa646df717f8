"""The picture classifier: is it harmless, suggestive or explicit, a photo or a drawing?

A MobileNetV2: a convolution, seventeen inverted residual blocks (widen, filter each channel,
narrow), a convolution, the mean over all places, three dense layers. Batch norms are folded
into the convolutions before them (`engine/training/safety.py`).

Source: nsfwjs 4.3.0, `mobilenet_v2` (Keras); checked by `tests/golden/test_safety.py`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

SIDE_PX = 224
"""The side of the pictures that it was trained on."""

CLASS_COUNT = 5

# Of each block: how often it widens, channels out, stride. Source: MobileNetV2 (Sandler et
# al. 2018), table 2, with its repetitions written out.
_BLOCKS = (
    (1, 16, 1),
    *((6, 24, 2), (6, 24, 1)),
    *((6, 32, 2), (6, 32, 1), (6, 32, 1)),
    *((6, 64, 2), (6, 64, 1), (6, 64, 1), (6, 64, 1)),
    *((6, 96, 1), (6, 96, 1), (6, 96, 1)),
    *((6, 160, 2), (6, 160, 1), (6, 160, 1)),
    (6, 320, 1),
)
_FIRST_WIDTH, _LAST_WIDTH = 32, 1280
_DENSE_WIDTHS = (256, 128)

# --- modules --------------------------------------------------------------------------


class SafetyNet(nnx.Module):
    """Pixels in [0, 1], of any side that is a multiple of 32, to probabilities of classes."""

    def __init__(self, *, dtype: Any = jnp.float32, rngs: nnx.Rngs) -> None:
        self.first = nnx.Conv(3, _FIRST_WIDTH, (3, 3), strides=2, dtype=dtype, rngs=rngs)
        width = _FIRST_WIDTH
        blocks: list[Block] = []
        for factor, width_out, stride in _BLOCKS:
            blocks.append(Block(width, factor, width_out, stride, dtype))
            width = width_out
        self.blocks = nnx.List(blocks)
        self.last = Pointwise(width, _LAST_WIDTH, dtype)
        self.dense_1 = nnx.Linear(_LAST_WIDTH, _DENSE_WIDTHS[0], dtype=dtype, rngs=rngs)
        self.dense_2 = nnx.Linear(*_DENSE_WIDTHS, dtype=dtype, rngs=rngs)
        self.dense_3 = nnx.Linear(_DENSE_WIDTHS[1], CLASS_COUNT, dtype=dtype, rngs=rngs)

    def __call__(self, pixels: Float[Array, "B H W 3"]) -> Float[Array, "B C"]:
        """Judge pictures."""
        # "SAME" pads an even side on the right and below only, as Keras does for stride 2.
        x = jax.nn.relu6(self.first(pixels))
        for block in self.blocks:
            x = block(x)
        x = jax.nn.relu6(self.last(x)).mean(axis=(1, 2))  # B 1280
        x = jax.nn.relu(self.dense_1(x))
        x = jax.nn.relu(self.dense_2(x))
        return jax.nn.softmax(self.dense_3(x).astype(jnp.float32))


class Block(nnx.Module):
    """An inverted residual block."""

    def __init__(self, width: int, factor: int, width_out: int, stride: int, dtype: Any) -> None:
        inner = width * factor
        self.expand = nnx.data(Pointwise(width, inner, dtype) if factor > 1 else None)
        self.depthwise = Depthwise(inner, stride, dtype)
        self.project = Pointwise(inner, width_out, dtype)
        self.has_shortcut = stride == 1 and width == width_out

    def __call__(self, x: Float[Array, "B H W D"]) -> Float[Array, "B h w E"]:
        """One step."""
        y = x if self.expand is None else jax.nn.relu6(self.expand(x))
        y = self.project(jax.nn.relu6(self.depthwise(y)))
        return x + y if self.has_shortcut else y


class Pointwise(nnx.Module):
    """A convolution of 1 by 1, which is a product."""

    def __init__(self, width: int, width_out: int, dtype: Any) -> None:
        self.kernel = nnx.Param(jnp.zeros((1, 1, width, width_out), dtype))
        self.bias = nnx.Param(jnp.zeros(width_out, dtype))

    def __call__(self, x: Float[Array, "B H W D"]) -> Float[Array, "B H W E"]:
        """Mix the channels of each place."""
        return jnp.einsum("bhwd,de->bhwe", x, self.kernel[0, 0]) + self.bias[...]


class Depthwise(nnx.Module):
    """A convolution of 3 by 3 for each channel by itself.

    Written as nine shifted products, which XLA makes one loop of: its own convolution with
    a group for each channel takes ten times as long on a CPU (88 instead of 9 ms a picture
    for the whole net).
    """

    def __init__(self, width: int, stride: int, dtype: Any) -> None:
        self.stride = stride
        self.kernel = nnx.Param(jnp.zeros((3, 3, 1, width), dtype))
        self.bias = nnx.Param(jnp.zeros(width, dtype))

    def __call__(self, x: Float[Array, "B H W D"]) -> Float[Array, "B h w D"]:
        """Filter every channel."""
        height, width = x.shape[1:3]
        # Kept apart from what made x: fused, that would be computed nine times over.
        x = jax.lax.optimization_barrier(jnp.pad(x, self._padding))
        y: Any = self.bias[...]
        for row in range(3):
            for column in range(3):
                seen = x[:, row : row + height : self.stride, column : column + width : self.stride]
                y = y + seen * self.kernel[row, column, 0]
        return y

    @property
    def _padding(self) -> tuple[tuple[int, int], ...]:
        """Stride 1: a place on every side. Stride 2 of an even side: on the right and below."""
        before = 1 if self.stride == 1 else 0
        return ((0, 0), (before, 1), (before, 1), (0, 0))


# --- pixels ---------------------------------------------------------------------------


def resized(pixels: Float[Array, "B h w 3"], side_px: int) -> Float[Array, "B H W 3"]:
    """Resize as the original does: bilinear, the corners' middles on one another."""
    rows, columns = (_line(length, side_px) for length in pixels.shape[1:3])
    return jnp.einsum("Hh,bhwc,Ww->bHWc", rows, pixels, columns)


def _line(length: int, length_out: int) -> Float[np.ndarray, "O I"]:
    """How much each place of a line counts for each place of the resized one.

    Example: 3 places become 5: 1 0 0 / .5 .5 0 / 0 1 0 / 0 .5 .5 / 0 0 1.

    Source: TensorFlow.js 4.22, `resizeBilinear` with `alignCorners`.
    """
    places = np.arange(length_out) * ((length - 1) / max(1, length_out - 1))
    distance = np.abs(places[:, None] - np.arange(length))
    return np.maximum(0, 1 - distance).astype(np.float32)


# --- names: ours -> the file's, which are the original's layers --------------------------

NAMES = (
    (r"^first/", "Conv1/"),
    (r"^last/", "Conv_1/"),
    (r"^blocks/0/", "expanded_conv_"),
    (r"^blocks/(\d+)/", r"block_\1_"),
)
