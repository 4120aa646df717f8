"""The conversion of the picture classifier's weights, by a model of one layer each."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.stored_arrays import read_npz
from engine.training.safety import converted, read_package

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

WEIGHTS: list[tuple[str, tuple[int, ...], float, float]] = [
    ("Conv1/kernel", (3, 3, 3, 2), 0.01, -1.5),
    ("bn_Conv1/gamma", (2,), 0.01, 0.5),
    ("bn_Conv1/beta", (2,), 0.02, -2.0),
    ("bn_Conv1/moving_mean", (2,), 0.1, -3.0),
    ("bn_Conv1/moving_variance", (2,), 0.5, 0.25),
    ("expanded_conv_depthwise/depthwise_kernel", (3, 3, 2, 1), 0.02, -0.7),
    ("expanded_conv_depthwise_BN/gamma", (2,), 0.01, 0.5),
    ("expanded_conv_depthwise_BN/beta", (2,), 0.02, -2.0),
    ("expanded_conv_depthwise_BN/moving_mean", (2,), 0.1, -3.0),
    ("expanded_conv_depthwise_BN/moving_variance", (2,), 0.5, 0.25),
    ("dense_1/kernel", (2, 4), 0.03, -2.0),
    ("dense_1/bias", (4,), 0.04, -3.0),
]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A model in the form of the npm package, every byte another."""
    described = ",".join(
        f'{{name:"{name}",shape:{list(shape)},dtype:"float32",'
        f'quantization:{{min:{_as_in_javascript(low)},scale:{_as_in_javascript(scale)},dtype:"uint8"}}}}'.replace(
            ", ", ","
        )
        for name, shape, scale, low in WEIGHTS
    )
    (tmp_path / "model.min.js").write_text(f"!function(){{x={{weights:[{described}]}}}}()")
    count = sum(int(np.prod(shape)) for _, shape, _, _ in WEIGHTS)
    data = base64.b64encode(bytes(n % 251 for n in range(count))).decode()
    (tmp_path / "group1-shard1of1.min.js").write_text(f'!function(){{x="{data}"}}()')
    return tmp_path


def _as_in_javascript(number: float) -> str:
    """A minified 0.25 is .25."""
    return str(number).replace("0.", ".", 1) if abs(number) < 1 else str(number)


def numbers(package: Path) -> dict[str, NDArray[Any]]:
    return {name: weight.numbers for name, weight in read_package(package).items()}


def normalised(x: NDArray[Any], norm: str, of: dict[str, NDArray[Any]]) -> NDArray[Any]:
    deviation = np.sqrt(of[f"{norm}/moving_variance"] + 1e-3)
    return (x - of[f"{norm}/moving_mean"]) / deviation * of[f"{norm}/gamma"] + of[f"{norm}/beta"]


def test_bytes_are_read_in_their_order_and_range(package: Path) -> None:
    weights = numbers(package)

    assert list(weights) == [name for name, *_ in WEIGHTS]
    np.testing.assert_allclose(weights["Conv1/kernel"].ravel()[:2], [-1.5, -1.49])
    np.testing.assert_allclose(weights["bn_Conv1/gamma"], [0.5 + 0.54, 0.5 + 0.55])


def test_a_folded_layer_gives_what_layer_and_norm_gave(package: Path, tmp_path: Path) -> None:
    weights = numbers(package)
    arrays: dict[str, Any] = converted(read_package(package))
    np.savez(tmp_path / "out.npz", **arrays)
    found = {name: array.read() for name, array in read_npz(tmp_path / "out.npz").arrays.items()}

    patch = np.linspace(-1, 1, 27).reshape(3, 3, 3)
    product = np.einsum("hwi,hwio->o", patch, weights["Conv1/kernel"])
    folded = np.einsum("hwi,hwio->o", patch, found["Conv1/kernel"]) + found["Conv1/bias"]
    np.testing.assert_allclose(folded, normalised(product, "bn_Conv1", weights), rtol=1e-5)

    patch = np.linspace(-1, 1, 18).reshape(3, 3, 2)
    layer = "expanded_conv_depthwise"
    product = np.einsum("hwc,hwcx->c", patch, weights[f"{layer}/depthwise_kernel"])
    folded = np.einsum("hwc,hwxc->c", patch, found[f"{layer}/kernel"]) + found[f"{layer}/bias"]
    np.testing.assert_allclose(folded, normalised(product, f"{layer}_BN", weights), rtol=1e-5)

    np.testing.assert_allclose(found["dense_1/kernel"], weights["dense_1/kernel"], rtol=1e-6)
    np.testing.assert_allclose(found["dense_1/bias"], weights["dense_1/bias"], rtol=1e-6)
    assert sorted(found) == sorted(
        f"{name}/{part}" for name in ("Conv1", layer, "dense_1") for part in ("kernel", "bias")
    )


def test_files_of_two_models_are_refused(package: Path) -> None:
    data = base64.b64encode(bytes(200)).decode()
    (package / "group1-shard1of1.min.js").write_text(f'!function(){{x="{data}"}}()')

    with pytest.raises(ValueError, match="holds 200 weights and describes 100"):
        read_package(package)
