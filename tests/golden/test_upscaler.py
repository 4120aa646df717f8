"""The upscaler against a forward pass written in numpy from the network's description."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from flax import nnx

from engine.api import CheckpointError
from engine.models.upscaler import WEIGHTS, load_upscaler
from tests.support.tiny import golden

if TYPE_CHECKING:
    from pathlib import Path


def test_an_enlarged_picture_equals_that_of_the_reference() -> None:
    expected = golden("upscaler")

    enlarged = nnx.jit(lambda model, x: model(x))(load_upscaler(), expected["pixels"][None])

    np.testing.assert_allclose(enlarged[0], expected["enlarged"], atol=2e-5, rtol=0)


def test_weights_cut_short_get_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "upscaler.npz"
    path.write_bytes(WEIGHTS.read_bytes()[:100_000])

    with pytest.raises(CheckpointError) as error:
        load_upscaler(path)

    assert str(error.value) == f"{path} is missing or damaged; install the package again."


def test_missing_weights_get_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "upscaler.npz"

    with pytest.raises(CheckpointError) as error:
        load_upscaler(path)

    assert str(error.value) == f"{path} is missing or damaged; install the package again."
