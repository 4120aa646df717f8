"""How the picture classifier's weights came into ``engine/assets/safety``.

They are those of the npm package nsfwjs, as published: a byte for each weight. Only the batch
norms are gone, folded into the convolution before them, whose bytes stay what they were and
get a scale and a least value of their own for each channel. To make the file again::

    npm pack nsfwjs@4.3.0 && tar xzf nsfwjs-4.3.0.tgz
    python -m engine.training.safety package/dist/models/mobilenet_v2 out.npz
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# Source: the package's model.json: all batch norms have this epsilon.
_EPSILON: Final = 1e-3

_WEIGHT = re.compile(r'\{name:"([^"]+)",shape:\[([\d,]+)\],[^{}]*quantization:\{([^{}]+)\}')
_BASE64 = re.compile(r'"([A-Za-z0-9+/=]{100,})"')


class Quantised(NamedTuple):
    """Bytes that stand for ``bytes * scale + low``."""

    bytes: NDArray[np.uint8]
    scale: float
    low: float

    @property
    def numbers(self) -> NDArray[np.floating]:
        """What they stand for."""
        return self.bytes * self.scale + self.low


def read_package(folder: Path) -> dict[str, Quantised]:
    """Read a model of the package: by the name of layer and weight, ``Conv1/kernel``.

    Raises:
        ValueError: The two files do not belong together.
    """
    shard = _BASE64.search((folder / "group1-shard1of1.min.js").read_text("utf-8"))
    data = base64.b64decode(shard[1] if shard else "")
    weights: dict[str, Quantised] = {}
    start = 0
    for name, shape, quantisation in _WEIGHT.findall((folder / "model.min.js").read_text("utf-8")):
        sizes = json.loads(f"[{shape}]")
        count = math.prod(sizes)
        numbers = np.frombuffer(data[start : start + count], np.uint8).reshape(sizes)
        weights[name] = Quantised(numbers, *_range(quantisation))
        start += count
    if start != len(data) or not weights:
        raise ValueError(f"{folder} holds {len(data):,} weights and describes {start:,}")
    return weights


def converted(weights: Mapping[str, Quantised]) -> dict[str, NDArray[Any]]:
    """Fold the batch norms, and name everything as ``engine.stored_arrays.read_npz`` reads it."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, kernel in weights.items():
        layer, _, kind = name.rpartition("/")
        if kind not in ("kernel", "depthwise_kernel"):
            continue
        factor, bias = _norm_after(layer, weights)
        # Of a depthwise kernel [H, W, C, 1] the one channel that goes in comes before those out.
        values = kernel.bytes if kind == "kernel" else kernel.bytes.transpose(0, 1, 3, 2)
        width = values.shape[-1]
        ours = f"{layer}/kernel"
        arrays[ours] = values
        arrays[f"{ours}.scale"] = np.full(width, kernel.scale * factor, np.float32)
        arrays[f"{ours}.low"] = np.full(width, kernel.low * factor, np.float32)
        arrays[f"{layer}/bias"] = bias.astype(np.float32)
    return arrays


def _norm_after(
    layer: str, weights: Mapping[str, Quantised]
) -> tuple[NDArray[np.floating] | float, NDArray[np.floating]]:
    """By what the layer's outputs are multiplied, and what is added: a batch norm or a bias.

    The mean and variance of training make ``(x - mean) / sqrt(variance + epsilon) * gamma +
    beta``, which is ``x * factor + (beta - mean * factor)``.
    """
    if f"{layer}/bias" in weights:
        return 1.0, weights[f"{layer}/bias"].numbers
    norm = next(n for n in (f"{layer}_BN", f"{layer}_bn", f"bn_{layer}") if f"{n}/beta" in weights)
    gamma, beta, mean, variance = (
        weights[f"{norm}/{part}"].numbers
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    factor = gamma / np.sqrt(variance + _EPSILON)
    return factor, beta - mean * factor


def _range(quantisation: str) -> tuple[float, float]:
    """Example: ``min:-.5,scale:.004,dtype:"uint8"`` is 0.004 and -0.5."""
    values = dict(part.split(":") for part in quantisation.split(","))
    if values["dtype"] != '"uint8"':
        raise ValueError(f"a weight is of {values['dtype']}, not of bytes")
    return float(values["scale"]), float(values["min"])


def main() -> None:
    """Make the file."""
    parser = argparse.ArgumentParser(description="Convert the picture classifier's weights.")
    parser.add_argument("folder", type=Path, help="dist/models/mobilenet_v2 of the package")
    parser.add_argument("output", type=Path)
    asked = parser.parse_args()
    arrays: dict[str, Any] = converted(read_package(asked.folder))
    np.savez_compressed(asked.output, **arrays)


if __name__ == "__main__":
    main()
