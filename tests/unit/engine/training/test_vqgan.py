from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from engine.models.vqgan import Vqgan, VqganConfig
from engine.training.collage import BACKGROUND, OWN_COLOURS
from engine.training.recipe import Recipe
from engine.training.vqgan import (
    Halves,
    SplitVqgan,
    composed,
    distinct,
    k_means,
    lively_square,
    reconstruction_loss,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


TINY = VqganConfig.from_json(Recipe().vqgan_config() | {"n_embed": 12, "embed_dim": 8})


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


def test_a_lively_square_shows_things_and_background() -> None:
    paints = np.full((8, 8), BACKGROUND, np.int8)
    paints[4:, 4:] = 3
    rng = np.random.default_rng(0)

    squares = [
        paints[top : top + 4, left : left + 4]
        for top, left in (lively_square(paints, 4, rng) for _ in range(200))
    ]

    assert {square.shape for square in squares} == {(4, 4)}
    shows_both = [len(np.unique(square)) == 2 for square in squares]
    assert sum(shows_both) >= 150  # of the 25 places 15 do, so of three tries nearly always one


def test_a_collage_takes_each_half_from_whose_it_is() -> None:
    paints = jnp.asarray([[BACKGROUND, OWN_COLOURS, 1]])
    parts, empty = (Halves(one, one + 100) for one in numbered(10, 20))
    flats = Halves(jnp.zeros((2, 1)), jnp.asarray([[7.0], [8.0]]))

    got = composed(paints, parts, empty, flats)

    assert got.shape.ravel().tolist() == [20, 11, 12]
    assert got.colour.ravel().tolist() == [120, 111, 8]


def numbered(*starts: int) -> list[jax.Array]:
    """Latents [1, 3, 1] that say where they come from."""
    return [jnp.arange(start, start + 3.0).reshape(1, 3, 1) for start in starts]


def test_the_joined_codebook_has_every_pair_and_finds_the_same_codes() -> None:
    recipe = Recipe(shape_count=4, colour_count=3, colour_dim=2)
    split = SplitVqgan(Vqgan(TINY, rngs=nnx.Rngs(0)), recipe)
    rng = np.random.default_rng(0)
    split.shapes[...] = jnp.asarray(rng.normal(size=(4, 6)), jnp.float32)
    split.colours[...] = jnp.asarray(rng.normal(size=(3, 2)), jnp.float32)
    latents = jnp.asarray(rng.normal(size=(1, 50, 8)), jnp.float32)

    shapes, colours = split.codes(split.halves(latents))
    codes = split.joined().nearest_codes(latents)

    np.testing.assert_array_equal(codes, shapes * 3 + colours)
    assert len(set(np.asarray(codes).ravel().tolist())) > 6


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
