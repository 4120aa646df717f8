from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
import pytest

from engine.training.vqgan import crops, distinct, k_means, reconstruction_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray


def clusters(rng: np.random.Generator) -> NDArray[np.float32]:
    """Fifty points around each of two corners that are far apart."""
    corners = np.repeat([[0, 0], [9, 9]], 50, axis=0)
    return (corners + rng.normal(0, 0.1, corners.shape)).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_k_means_finds_the_middle_of_both_clusters(seed: int) -> None:
    points = clusters(np.random.default_rng(0))

    centres = k_means(points, 2, np.random.default_rng(seed))

    wanted = [points[:50].mean(axis=0), points[50:].mean(axis=0)]
    np.testing.assert_allclose(sorted(centres.tolist()), wanted, atol=1e-5)


def test_k_means_of_as_many_centres_as_points_are_the_points() -> None:
    points = np.asarray([[0, 0], [5, 1], [2, 8]], np.float32)

    centres = k_means(points, 3, np.random.default_rng(0))

    assert sorted(centres.tolist()) == sorted(points.tolist())


def test_k_means_leaves_no_centre_without_a_number() -> None:
    points = np.zeros((10, 2), np.float32)  # all equal: nine centres own nothing

    centres = k_means(points, 10, np.random.default_rng(0))

    np.testing.assert_array_equal(centres, points)


def test_k_means_with_the_same_seed_finds_the_same_centres() -> None:
    points = clusters(np.random.default_rng(0))

    first, second = (k_means(points, 7, np.random.default_rng(1)) for _ in range(2))

    np.testing.assert_array_equal(first, second)


def test_points_that_nearly_repeat_one_another_count_once() -> None:
    points = np.asarray([[0, 0], [9, 9], [0, 0.001], [9, 9], [0, 9]], np.float32)

    np.testing.assert_array_equal(distinct(points), points[[0, 1, 4]])


def test_a_crop_lies_on_the_grid_and_is_the_livelier_of_two() -> None:
    pictures = np.zeros((200, 16, 16, 3), np.float32)
    pictures[:, 8:, 8:] = np.random.default_rng(1).random((8, 8, 3))  # one lively quarter

    got = crops(pictures, 8, 8, np.random.default_rng(0))

    lively = [bool(one.any()) for one in got]
    assert got.shape == (200, 8, 8, 3)
    assert all(np.array_equal(one, pictures[0, 8:, 8:]) for one in got[lively])
    assert 60 <= sum(lively) <= 115  # 1 - (3/4)^2 of them; a single try would be 50


def test_an_equal_picture_costs_nothing() -> None:
    picture = jnp.asarray(np.random.default_rng(0).random((2, 4, 4, 3), np.float32))

    assert reconstruction_loss(picture, picture) == 0.0


def test_a_picture_that_is_evenly_too_bright_costs_its_error_and_no_edges() -> None:
    black = jnp.zeros((1, 4, 4, 3))

    assert float(reconstruction_loss(black, black + 0.5)) == pytest.approx(0.5 + 0.25)


def test_a_wrong_edge_costs_more_than_the_same_error_spread_evenly() -> None:
    black = jnp.zeros((1, 2, 4, 3))
    striped = black.at[:, :, 2:].set(1.0)  # rows 0 0 1 1: one of three steps is wrong

    # absolute 1/2, squared 1/2, half of (no steps down, one of three steps across)
    assert float(reconstruction_loss(black, striped)) == pytest.approx(0.5 + 0.5 + 0.5 / 3)
