"""The picture classifier against nsfwjs itself, which ran on TensorFlow.js."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
import pytest

from engine.api import CheckpointError
from engine.models.safety import SIDE_PX, SafetyNet, resized
from engine.painting import Inspector
from engine.programs import Tracer
from engine.verdicts import CLASSES
from engine.weights import SAFETY_WEIGHTS, load_safety_net
from tests.support.tiny import golden

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TOLERANCE = 1e-4
LOG_TOLERANCE = 1e-3  # so that also what is unlikely is compared


@pytest.fixture(scope="module")
def net() -> SafetyNet:
    return load_safety_net()


PICTURES = sorted(name for name in golden("safety") if name.startswith("pixels/"))


@pytest.fixture(scope="module")
def classified(net: SafetyNet) -> dict[str, NDArray[np.float32]]:
    """What ours makes of each picture; a program for each side."""
    held = golden("safety")
    inspectors = {
        side: Inspector(Tracer(), net, picture_side_px=side)
        for side in {held[name].shape[0] for name in PICTURES}
    }
    return {
        name: inspectors[held[name].shape[0]].classify(held[name][None])[0] for name in PICTURES
    }


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_gets_the_probabilities_of_the_original(
    classified: dict[str, NDArray[np.float32]], name: str
) -> None:
    expected = golden("safety")[name.replace("pixels/", "probabilities/")]

    np.testing.assert_allclose(classified[name], expected, atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(
        np.log(classified[name]), np.log(expected), atol=LOG_TOLERANCE, rtol=0
    )


def test_the_pictures_are_of_more_than_one_class() -> None:
    """Else the comparison would say little."""
    held = golden("safety")
    likeliest = {
        CLASSES[int(np.argmax(held[name.replace("pixels/", "probabilities/")]))]
        for name in PICTURES
    }

    assert len(likeliest) > 1


def test_resizing_puts_the_middles_of_the_corners_on_one_another() -> None:
    line = np.array([0.0, 1.0, 4.0], np.float32)
    picture = np.broadcast_to(line[None, None, :, None], (1, 3, 3, 3))

    wide = np.asarray(resized(jnp.asarray(picture), 5))

    np.testing.assert_allclose(wide[0, :, :, 0], [[0.0, 0.5, 1.0, 2.5, 4.0]] * 5, atol=1e-6)


def test_a_picture_of_the_right_size_is_not_resized() -> None:
    picture = np.random.default_rng(1).random((1, SIDE_PX, SIDE_PX, 3), np.float32)

    np.testing.assert_array_equal(np.asarray(resized(jnp.asarray(picture), SIDE_PX)), picture)


@pytest.mark.parametrize("content", [b"", b"half of it"], ids=["missing", "damaged"])
def test_without_its_weights_nothing_counts_as_safe(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "safety.npz"
    if content:
        path.write_bytes(SAFETY_WEIGHTS.read_bytes()[:100_000])

    with pytest.raises(CheckpointError) as error:
        load_safety_net(path)

    assert str(error.value) == f"{path} is missing or damaged; install the package again."


def test_weights_that_do_not_fit_the_network_are_all_named(tmp_path: Path) -> None:
    path = tmp_path / "safety.npz"
    with np.load(SAFETY_WEIGHTS) as arrays:
        changed = dict(arrays)
    del changed["block_3_expand/bias"], changed["dense_2/kernel.scale"]
    np.savez(path, **changed)

    with pytest.raises(CheckpointError) as error:
        load_safety_net(path)

    assert str(error.value) == (
        f"{path} cannot be used: block_3_expand/bias is missing; dense_2/kernel.low is surplus; "
        "dense_2/kernel holds uint8, not floating-point numbers."
    )
