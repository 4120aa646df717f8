"""The quick way to a token compared with the long one, which sorts the whole vocabulary."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import sampling
from engine.sampling import SHORTLIST, RowOptions

ROWS, VOCABULARY = 6, 1_000

sample = jax.jit(sampling.sample)


@jax.jit
def by_sorting(logits: jax.Array, options: RowOptions, noise: jax.Array) -> jax.Array:
    return sampling.choose(sampling.warp(logits, options), noise)


def rows_of(temperature: list[float], top_k: list[int], top_p: list[float]) -> RowOptions:
    return RowOptions(
        jnp.asarray(temperature, jnp.float32),
        jnp.asarray(top_k, jnp.int32),
        jnp.asarray(top_p, jnp.float32),
        jnp.ones(len(top_k)),
    )


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    temperature=st.lists(st.sampled_from([0.125, 0.7, 1.0, 5.0]), min_size=ROWS, max_size=ROWS),
    top_k=st.lists(
        st.sampled_from([0, 1, 2, 50, SHORTLIST, SHORTLIST + 1, 999, 1_000, 60_000]),
        min_size=ROWS,
        max_size=ROWS,
    ),
    top_p=st.lists(st.sampled_from([0.01, 0.3, 0.9, 1.0]), min_size=ROWS, max_size=ROWS),
)
def test_every_mix_of_options_draws_the_tokens_that_sorting_would(
    seed: int, temperature: list[float], top_k: list[int], top_p: list[float]
) -> None:
    random = np.random.default_rng(seed)
    # Few different values: ties at every border.
    logits = jnp.asarray(random.integers(-20, 20, (ROWS, VOCABULARY)) / 4, jnp.float32)
    noise = jnp.asarray(random.gumbel(size=(ROWS, VOCABULARY)), jnp.float32)
    options = rows_of(temperature, top_k, top_p)

    np.testing.assert_array_equal(
        sample(logits, options, noise), by_sorting(logits, options, noise)
    )


@pytest.mark.parametrize("company", [0, 400, 1_000])
def test_a_row_draws_the_same_whichever_way_the_others_take(company: int) -> None:
    random = np.random.default_rng(3)
    logits = jnp.asarray(random.standard_normal((2, VOCABULARY)), jnp.float32)
    noise = jnp.asarray(random.gumbel(size=(2, VOCABULARY)), jnp.float32)

    both = sample(logits, rows_of([1.0, 1.0], [50, company], [0.9, 0.5]), noise)
    alone = sample(logits[:1], rows_of([1.0], [50], [0.9]), noise[:1])

    assert both[0] == alone[0]


def test_a_vocabulary_smaller_than_the_shortlist_will_do() -> None:
    logits = jnp.asarray([[0.0, 3.0, 1.0]])

    token = sample(logits, rows_of([1.0], [1], [1.0]), jnp.asarray([[9.0, 0.0, 0.0]]))

    assert token.tolist() == [1]
