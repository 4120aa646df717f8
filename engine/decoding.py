"""The state of all pictures that are being drawn, and the pure functions that change it.

``N`` slots, two rows of the cache each: row ``s`` with the text, row ``N + s`` without. Each
slot has its own position, so a picture can start while others are half done. Knows arrays
only; which picture sits where, and which program runs, is the runner's business.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32  # noqa: TC002 - checked at run time in tests

from engine import sampling
from engine.models import decode_step
from engine.models.dalle_bart import Memory
from engine.models.decode_step import Texts
from engine.sampling import RowOptions

if TYPE_CHECKING:
    from engine.models.dalle_bart import DalleBartConfig
    from engine.models.decode_step import StepWeights


class DecodeState(NamedTuple):
    """All that changes while pictures are drawn."""

    tokens: Int[Array, "N S"]
    last: Int[Array, " N"]  # the token before the next: what a step reads
    position: Int[Array, " N"]  # how many tokens the slot has; S when it is done or free
    kept_count: Int[Array, " N"]  # so many of its first tokens were given, not drawn
    seed: UInt32[Array, " N"]
    picture_index: Int[Array, " N"]
    options: RowOptions
    texts: Texts
    cache: tuple[Memory, ...]  # 2N rows


class NewPictures(NamedTuple):
    """What is set in the slots where ``is_new``; elsewhere anything."""

    is_new: Bool[Array, " N"]
    tokens: Int[Array, "N S"]
    kept_count: Int[Array, " N"]
    seed: UInt32[Array, " N"]
    picture_index: Int[Array, " N"]
    options: RowOptions


def empty_state(
    config: DalleBartConfig, slot_count: int, nothing: tuple[Memory, ...], dtype: Any
) -> DecodeState:
    """Free slots only.

    Args:
        config: Of the model.
        slot_count: N.
        nothing: Memory of the unconditional text, one row.
        dtype: Of keys and values.
    """
    n, length, text_length = slot_count, config.image_length, config.max_text_length
    heads = config.decoder_attention_heads
    shape = (n, heads, text_length, config.d_model // heads)  # N H T K

    def unread() -> Memory:
        return Memory(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))

    return DecodeState(
        tokens=jnp.zeros((n, length), jnp.int32),
        last=jnp.zeros(n, jnp.int32),
        position=jnp.full(n, length, jnp.int32),
        kept_count=jnp.zeros(n, jnp.int32),
        seed=jnp.zeros(n, jnp.uint32),
        picture_index=jnp.zeros(n, jnp.int32),
        options=RowOptions(jnp.ones(n), jnp.zeros(n, jnp.int32), jnp.ones(n), jnp.ones(n)),
        texts=Texts(
            memory=tuple(unread() for _ in range(config.decoder_layers)),
            mask=jnp.ones((n, text_length), bool),
            nothing=jax.tree.map(lambda x: jnp.repeat(x, n, axis=0), nothing),
        ),
        cache=decode_step.empty_cache(config, 2 * n, dtype),
    )


def place(
    weights: StepWeights,
    state: DecodeState,
    states: Float[Array, "1 T D"],
    mask: Bool[Array, "1 T"],
    new: NewPictures,
    *,
    start_token: int,
    head_count: int,
) -> DecodeState:
    """Begin pictures of one prompt, given its encoder states. Takes over ``state``."""
    memory = decode_step.remember_text(weights, states, head_count)

    def pick(fresh: Array, old: Array) -> Array:
        return jnp.where(new.is_new.reshape(-1, *[1] * (old.ndim - 1)), fresh, old)

    return state._replace(
        tokens=pick(new.tokens, state.tokens),
        last=pick(jnp.int32(start_token), state.last),
        position=pick(jnp.int32(0), state.position),
        kept_count=pick(new.kept_count, state.kept_count),
        seed=pick(new.seed, state.seed),
        picture_index=pick(new.picture_index, state.picture_index),
        options=jax.tree.map(pick, new.options, state.options),
        texts=state.texts._replace(
            memory=jax.tree.map(pick, memory, state.texts.memory),
            mask=pick(mask, state.texts.mask),
        ),
    )


def decode_chunk(
    weights: StepWeights, state: DecodeState, *, steps: int, count: int, length: int
) -> DecodeState:
    """Advance the first ``count`` slots by ``steps`` tokens.

    Takes over ``state``: its buffers are reused and must not be read again. Finished and
    free slots stay as they are. Of the cache only the first ``length`` positions are read:
    no slot that is drawing may get further in this chunk.
    """
    slot_count = state.last.shape[0]
    narrow = _narrowed(state, count, length)

    def step(state: DecodeState, _: None) -> tuple[DecodeState, None]:
        return _decode_one(weights, state, length), None

    narrow = jax.lax.scan(step, narrow, None, length=steps)[0]
    return state._replace(
        tokens=state.tokens.at[:count].set(narrow.tokens),
        last=state.last.at[:count].set(narrow.last),
        position=state.position.at[:count].set(narrow.position),
        cache=jax.tree.map(
            functools.partial(_put_back, slot_count=slot_count), state.cache, narrow.cache
        ),
    )


def _narrowed(state: DecodeState, count: int, length: int) -> DecodeState:
    """The first ``count`` slots, and the first ``length`` positions of their cache."""
    slot_count = state.last.shape[0]
    first = jax.tree.map(lambda x: x[:count], state._replace(cache=()))
    return first._replace(
        cache=jax.tree.map(
            lambda x: _paired(x, slot_count)[:, :count, :, :length].reshape(
                2 * count, x.shape[1], length, x.shape[3]
            ),
            state.cache,
        )
    )


def _put_back(whole: Array, part: Array, slot_count: int) -> Array:
    paired = _paired(whole, slot_count)
    count, length = part.shape[0] // 2, part.shape[2]
    return paired.at[:, :count, :, :length].set(_paired(part, count)).reshape(whole.shape)


def _paired(rows: Float[Array, "R H S K"], slot_count: int) -> Float[Array, "2 N H S K"]:
    return rows.reshape(2, slot_count, *rows.shape[1:])


def _decode_one(weights: StepWeights, state: DecodeState, length: int) -> DecodeState:
    slots = jnp.arange(state.last.shape[0])
    is_drawing = state.position < state.tokens.shape[1]
    position = jnp.minimum(state.position, length - 1)
    logits, cache = decode_step.step(weights, state.last, position, state.cache, state.texts)
    known = state.tokens[slots, position]
    drawn = _next_token(logits, state, position)
    token = jnp.where(is_drawing & (position >= state.kept_count), drawn, known)
    return state._replace(
        tokens=state.tokens.at[slots, position].set(token),
        last=jnp.where(is_drawing, token, state.last),
        position=state.position + is_drawing,
        cache=cache,
    )


def _next_token(
    logits: Float[Array, "R C"], state: DecodeState, position: Int[Array, " N"]
) -> Int[Array, " N"]:
    conditioned, unconditioned = jnp.split(logits, 2)  # R C -> N C, N C
    guided = sampling.guide(conditioned, unconditioned, state.options.condition_scale)
    noise = sampling.gumbel(state.seed, state.picture_index, position, guided.shape[1])
    return sampling.sample(guided, state.options, noise)
