"""From logits to a token: super conditioning, temperature, top-k, top-p, and the choice.

Every row has its own options, so that requests that differ can share a batch. All in
float32.

Source: dalle-mini f0be4de, `modeling.py` (`_sample`); transformers 4.25.1,
`generation_flax_logits_process.py`; checked by `tests/golden/test_sampling.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

SHORTLIST = 256
"""Most rows choose among so few tokens that the vocabulary need not be sorted for them."""


class RowOptions(NamedTuple):
    """The sampling options of each row; ``top_k`` 0 and ``top_p`` 1 are "off"."""

    temperature: Float[Array, " B"]
    top_k: Int[Array, " B"]
    top_p: Float[Array, " B"]
    condition_scale: Float[Array, " B"]


def guide(
    conditioned: Float[Array, "B V"],
    unconditioned: Float[Array, "B V"],
    scale: Float[Array, " B"],
) -> Float[Array, "B V"]:
    """Super conditioning: away from what the model draws without the text.

    At scale 1 the result is ``conditioned``, to the last bit.
    """
    guided = unconditioned + scale[:, None] * (conditioned - unconditioned)
    return jnp.where(scale[:, None] == 1.0, conditioned, guided)


def sample(
    logits: Float[Array, "B V"], options: RowOptions, noise: Float[Array, "B V"]
) -> Int[Array, " B"]:
    """Draw each row's token: ``choose(warp(logits, options), noise)``, without its sort.

    A row that leaves all tokens in needs no order, one that keeps ``SHORTLIST`` or fewer by
    top-k needs only those; what is left, such as top-p alone, sorts the vocabulary. A row's
    token does not depend on which way the others take.
    """
    scores = logits / options.temperature[:, None]
    width = scores.shape[1]
    short = min(SHORTLIST, width)
    takes_all = ((options.top_k == 0) | (options.top_k >= width)) & (options.top_p >= 1.0)
    takes_few = (options.top_k > 0) & (options.top_k <= short)
    token = jnp.where(
        takes_all, choose(scores, noise), _choose_among_few(scores, options, noise, short)
    )
    needs_order = ~(takes_all | takes_few)

    def with_order() -> Int[Array, " B"]:
        return jnp.where(needs_order, choose(warp(logits, options), noise), token)

    return jax.lax.cond(jnp.any(needs_order), with_order, lambda: token)


def _choose_among_few(
    scores: Float[Array, "B V"], options: RowOptions, noise: Float[Array, "B V"], count: int
) -> Int[Array, " B"]:
    ranked, ids = jax.lax.top_k(scores, count)  # of equals, those with lower ids first
    kept = _within_top_k(ranked, options.top_k)
    kept &= _within_top_p(jnp.where(kept, ranked, -jnp.inf), options.top_p)
    noisy = ranked + jnp.take_along_axis(noise, ids, axis=1)
    best = jnp.argmax(jnp.where(kept, noisy, -jnp.inf), axis=1)
    return jnp.take_along_axis(ids, best[:, None], axis=1)[:, 0].astype(jnp.int32)


def warp(logits: Float[Array, "B V"], options: RowOptions) -> Float[Array, "B V"]:
    """Apply temperature, then top-k, then top-p; what is out becomes ``-inf``.

    Exactly k survive top-k (of equals, those with lower ids). Top-p keeps the best, and
    each next one as long as those before it hold less than ``top_p`` together: with
    probabilities .5 .3 .2 and top_p .6 the first two stay.
    """
    scores = logits / options.temperature[:, None]
    order = jnp.argsort(-scores, axis=-1, stable=True)
    ranked = jnp.take_along_axis(scores, order, axis=-1)
    kept = _within_top_k(ranked, options.top_k)
    kept &= _within_top_p(jnp.where(kept, ranked, -jnp.inf), options.top_p)
    rows = jnp.arange(scores.shape[0])[:, None]
    return jnp.where(jnp.zeros_like(kept).at[rows, order].set(kept), scores, -jnp.inf)


def _within_top_k(ranked: Float[Array, "B V"], top_k: Int[Array, " B"]) -> Bool[Array, "B V"]:
    is_off = (top_k == 0)[:, None]
    return is_off | (jnp.arange(ranked.shape[1])[None] < top_k[:, None])


def _within_top_p(ranked: Float[Array, "B V"], top_p: Float[Array, " B"]) -> Bool[Array, "B V"]:
    probability = jax.nn.softmax(ranked, axis=-1)
    before = jnp.cumsum(probability, axis=-1) - probability
    is_off = (top_p >= 1.0)[:, None]
    is_best = jnp.arange(ranked.shape[1])[None] == 0
    return is_off | is_best | (before < top_p[:, None])


def gumbel(
    seed: UInt32[Array, " B"], index: Int[Array, " B"], position: Int[Array, " B"], width: int
) -> Float[Array, "B V"]:
    """Noise of each row: fixed by its seed, picture index and position, and nothing else."""

    def one(seed: Array, index: Array, position: Array) -> Array:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), index), position)
        return jax.random.gumbel(key, (width,), jnp.float32)

    return jax.vmap(one)(seed, index, position)


def choose(scores: Float[Array, "B V"], noise: Float[Array, "B V"]) -> Int[Array, " B"]:
    """Draw each row's token with probability ``softmax(scores)`` (the Gumbel trick)."""
    return jnp.argmax(scores + noise, axis=-1).astype(jnp.int32)
