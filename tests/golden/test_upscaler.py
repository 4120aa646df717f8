"""The upscaler against a forward pass written in numpy from the network's description."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from flax import nnx

from engine.api import CheckpointError
from engine.weights import UPSCALER_WEIGHTS, load_upscaler
from tests.support.tiny import golden

if TYPE_CHECKING:
    from pathlib import Path


def test_an_enlarged_picture_equals_that_of_the_reference() -> None:
    expected = golden("upscaler")

    enlarged = nnx.jit(lambda model, x: model(x))(load_upscaler(), expected["pixels"][None])

    np.testing.assert_allclose(enlarged[0], expected["enlarged"], atol=2e-5, rtol=0)


def test_weights_cut_short_get_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "upscaler.npz"
    path.write_bytes(UPSCALER_WEIGHTS.read_bytes()[:100_000])

    with pytest.raises(CheckpointError) as error:
        load_upscaler(path)

    assert str(error.value) == f"{path} is missing or damaged; install the package again."


def test_missing_weights_get_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "upscaler.npz"

    with pytest.raises(CheckpointError) as error:
        load_upscaler(path)

    assert str(error.value) == f"{path} is missing or damaged; install the package again."


def test_arrays_that_do_not_fit_the_network_are_all_named(tmp_path: Path) -> None:
    path = tmp_path / "upscaler.npz"
    with np.load(UPSCALER_WEIGHTS) as arrays:
        changed = dict(arrays)
    del changed["prelu3"]
    changed["conv0.b"] = changed["conv0.b"][:7]
    changed["conv1.b"] = np.full_like(changed["conv1.b"], np.nan)
    np.savez(path, **changed)

    with pytest.raises(CheckpointError) as error:
        load_upscaler(path)

    assert str(error.value) == (
        f"{path} cannot be used: prelu3 is missing; conv0.b has shape (7,), not (64,)."
    )
