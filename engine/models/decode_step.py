"""The decoder of DalleBart once more, for one token at a time: what the token loop runs.

``Decoder.__call__`` in ``dalle_bart`` reads whole sequences; here every row adds a single
token to what its cache holds. Few rows meet very large matrices, so each matrix is kept as
[out, in] and multiplied from the left: XLA's CPU product streams it once, two to four times
as fast as ``x @ W`` with the matrix as it lies on disk.

Super conditioning is part of it: a picture has two rows, one that reads the text and one
that reads "no text", whose few keys and values are the same for every picture.

On a CPU a row's bits do not depend on how many rows there are (from four on, and as long as
the product itself keeps to that; the runner looks): see ``_apart``. So a lone picture may be
drawn by a narrow program and still be the same as in company.

Matrices and the cache are in the dtype of the weights; sums, norms, softmax and the residual
stream are in float32.

Source: DalleBart decoder, dalle-mini f0be4de, `modeling.py`; checked by
`tests/golden/test_dalle_bart.py` and `tests/unit/engine/test_decode_step.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from engine.models.dalle_bart import Memory

if TYPE_CHECKING:
    from flax import nnx

    from engine.models.dalle_bart import DalleBartConfig, Decoder, DecoderLayer

_EPSILON = 1e-5

# Sums over fewer rows than these are in another order in XLA's CPU code.
_MIN_ROWS = 4


class Texts(NamedTuple):
    """What N pictures read.

    Attributes:
        memory: Each layer's memory of their prompts, N rows.
        mask: Which positions of the prompts count.
        nothing: Each layer's memory of the unconditional text: N equal rows, all of whose
            positions count.
    """

    memory: tuple[Memory, ...]
    mask: Bool[Array, "N T"]
    nothing: tuple[Memory, ...]


class Norm(NamedTuple):
    """A layer norm; without a scale it only shifts."""

    scale: Float[Array, " D"] | None
    bias: Float[Array, " D"]


class Layer(NamedTuple):
    """One decoder layer; every matrix is [out, in]."""

    norm_before: Norm
    qkv: Float[Array, "E D"]
    out: Float[Array, "D D"]
    norm_after: Norm
    cross_norm_before: Norm
    cross_q: Float[Array, "D D"]
    cross_kv: Float[Array, "E D"]
    cross_out: Float[Array, "D D"]
    cross_norm_after: Norm
    norm_in: Norm
    gate_and_value: Float[Array, "G D"]
    norm_inner: Norm
    feed_out: Float[Array, "D F"]


class StepWeights(NamedTuple):
    """The decoder's parameters, laid out for the step."""

    tokens: Float[Array, "V D"]
    positions: Float[Array, "S D"]
    norm_embedding: Norm
    layers: tuple[Layer, ...]
    norm_final: Norm
    lm_head: Float[Array, "C D"]


def step_weights(decoder: Decoder, code_count: int) -> StepWeights:
    """Lay a decoder's parameters out anew; its own arrays may be dropped afterwards.

    Args:
        decoder: With parameters.
        code_count: Image tokens that may be drawn: the rest of the head is left out.
    """
    return StepWeights(
        tokens=decoder.tokens.embedding[...],
        positions=decoder.positions.embedding[...],
        norm_embedding=_norm(decoder.norm_embedding),
        layers=tuple(_layer(layer) for layer in decoder.layers),
        norm_final=_norm(decoder.norm_final),
        lm_head=_rows(decoder.lm_head)[:code_count],
    )


def _layer(layer: DecoderLayer) -> Layer:
    own, cross, feed = layer.attention, layer.cross_attention, layer.feed_forward
    return Layer(
        norm_before=_norm(layer.norm_before),
        qkv=_rows(own.q, own.k, own.v),
        out=_rows(own.out),
        norm_after=_norm(layer.norm_after),
        cross_norm_before=_norm(layer.cross_norm_before),
        cross_q=_rows(cross.q),
        cross_kv=_rows(cross.k, cross.v),
        cross_out=_rows(cross.out),
        cross_norm_after=_norm(layer.cross_norm_after),
        norm_in=_norm(feed.norm_in),
        gate_and_value=_rows(feed.gate, feed.value),
        norm_inner=_norm(feed.norm_inner),
        feed_out=_rows(feed.out),
    )


def _rows(*linears: nnx.Linear) -> Array:
    """The kernels [in, out] of layers that read the same, as one matrix [out, in]."""
    return jnp.concatenate([linear.kernel[...] for linear in linears], axis=1).T


def _norm(norm: nnx.LayerNorm) -> Norm:
    scale = None if norm.scale is None else norm.scale[...]
    assert norm.bias is not None  # noqa: S101 - every norm of DalleBart has one
    return Norm(scale, norm.bias[...])


# --- the step -------------------------------------------------------------------------


def empty_cache(config: DalleBartConfig, row_count: int, dtype: Any) -> tuple[Memory, ...]:
    """Room for the keys and values of whole pictures in ``row_count`` rows."""
    heads = config.decoder_attention_heads
    shape = (row_count, heads, config.image_length, config.d_model // heads)  # R H S K
    return tuple(
        Memory(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))
        for _ in range(config.decoder_layers)
    )


def remember_text(
    weights: StepWeights, states: Float[Array, "B T D"], head_count: int
) -> tuple[Memory, ...]:
    """Each layer's keys and values of the text: computed once for a prompt."""
    memories: list[Memory] = []
    for layer in weights.layers:
        kv = jnp.einsum("btd,ed->bte", states.astype(layer.cross_kv.dtype), layer.cross_kv)
        kv = kv.reshape(*kv.shape[:2], 2, head_count, -1)  # B T E -> B T 2 H K
        memories.append(Memory(*kv.transpose(2, 0, 3, 1, 4)))  # 2 B H T K
    return tuple(memories)


def step(
    weights: StepWeights,
    tokens: Int[Array, " N"],
    position: Int[Array, " N"],
    cache: tuple[Memory, ...],
    texts: Texts,
) -> tuple[Float[Array, "R C"], tuple[Memory, ...]]:
    """Read one more token of each of N pictures.

    Picture ``n`` is at ``position[n]``: pictures need not be equally far. What its rows of
    the cache hold from there on is never read, so a new picture needs no clearing.

    Args:
        weights: The decoder.
        tokens: The last token of each picture, or the start token.
        position: How many tokens each picture has.
        cache: R = 2N rows: those with text, then those without.
        texts: What the rows read.

    Returns:
        Logits of all rows, and the cache with the tokens in it.
    """
    at = jnp.tile(position, 2)
    # e.g. 4 positions, picture at position 1:  1 1 0 0
    filled = (jnp.arange(cache[0].keys.shape[2]) <= at[:, None])[:, None]  # R 1 S
    embedded = weights.tokens[tokens] + weights.positions[position]
    x = _normalised(jnp.tile(embedded.astype(jnp.float32), (2, 1)), weights.norm_embedding)
    new_cache: list[Memory] = []
    mask = texts.mask[:, None]
    for layer, old, text, nothing in zip(
        weights.layers, cache, texts.memory, texts.nothing, strict=True
    ):
        attended, kept = _self_attention(layer, x, old, at, filled)
        x = _apart(x + attended)
        x = _apart(x + _cross_attention(layer, x, text, mask, nothing))
        x = _apart(x + _feed_forward(layer, x))
        new_cache.append(kept)
    return _product(weights.lm_head, _normalised(x, weights.norm_final)), tuple(new_cache)


def _self_attention(
    layer: Layer, x: Array, cache: Memory, at: Int[Array, " R"], filled: Bool[Array, "R 1 S"]
) -> tuple[Float[Array, "R D"], Memory]:
    head_count = cache.keys.shape[1]
    qkv = _product(layer.qkv, _normalised(x, layer.norm_before))
    q, k, v = jnp.split(_by_head(qkv, 3 * head_count), 3, axis=1)
    rows = jnp.arange(len(x))
    cache = Memory(
        cache.keys.at[rows, :, at].set(k.astype(cache.keys.dtype)),
        cache.values.at[rows, :, at].set(v.astype(cache.values.dtype)),
    )
    read = _product(layer.out, _attended(q, cache, filled))
    return _normalised(read, layer.norm_after), cache


def _cross_attention(
    layer: Layer, x: Float[Array, "R D"], text: Memory, mask: Bool[Array, "N 1 T"], nothing: Memory
) -> Float[Array, "R D"]:
    count, head_count = len(x) // 2, nothing.keys.shape[1]
    q = _by_head(_product(layer.cross_q, _normalised(x, layer.cross_norm_before)), head_count)
    everywhere = jnp.ones((count, 1, nothing.keys.shape[2]), bool)
    read = jnp.concatenate(
        [
            _attended(q[:count], text, mask),
            _attended(q[count:], nothing, everywhere),
        ]
    )
    return _normalised(_product(layer.cross_out, read), layer.cross_norm_after)


def _feed_forward(layer: Layer, x: Float[Array, "R D"]) -> Float[Array, "R D"]:
    z = _normalised(x, layer.norm_in)
    gate, value = jnp.split(_product(layer.gate_and_value, z), 2, axis=1)
    u = _apart(jax.nn.gelu(gate, approximate=False) * value)
    return _product(layer.feed_out, _normalised(u, layer.norm_inner))


def _attended(
    q: Float[Array, "R H K"], memory: Memory, mask: Bool[Array, "R 1 M"]
) -> Float[Array, "R D"]:
    """Read each row's own memory where ``mask`` is true."""
    if len(q) < _MIN_ROWS:
        doubled = Memory(_doubled(memory.keys), _doubled(memory.values))
        return _attended(_doubled(q), doubled, _doubled(mask))[: len(q)]
    logits = jnp.einsum(
        "rhk,rhmk->rhm",
        q.astype(memory.keys.dtype),
        memory.keys,
        preferred_element_type=jnp.float32,
    )
    weights = jax.nn.softmax(jnp.where(mask, logits * q.shape[-1] ** -0.5, -jnp.inf))
    read = jnp.einsum(
        "rhm,rhmk->rhk",
        weights.astype(memory.values.dtype),
        memory.values,
        preferred_element_type=jnp.float32,
    )
    return _apart(read.reshape(len(read), -1))  # R H K -> R (H K)


def _by_head(x: Float[Array, "R E"], head_count: int) -> Float[Array, "R H K"]:
    return x.reshape(len(x), head_count, -1)


def _doubled(rows: Array) -> Array:
    return jnp.concatenate([rows, rows])


def _product(matrix: Float[Array, "E D"], x: Float[Array, "R D"]) -> Float[Array, "R E"]:
    y = jnp.einsum("ed,rd->er", matrix, x.astype(matrix.dtype), preferred_element_type=jnp.float32)
    # Kept apart from the transpose, or XLA turns the product around again.
    return _apart(_apart(y).T)  # E R -> R E


def _normalised(x: Float[Array, "R D"], norm: Norm) -> Float[Array, "R D"]:
    """Layer norm. The variance is E[x²] - E[x]², as in the original."""
    mean = jnp.mean(_apart(x), axis=-1, keepdims=True)
    square = jnp.mean(_apart(x * x), axis=-1, keepdims=True)
    y = (x - mean) * jax.lax.rsqrt(jnp.maximum(square - mean * mean, 0.0) + _EPSILON)
    if norm.scale is not None:
        y = y * norm.scale.astype(jnp.float32)
    return _apart(y + norm.bias.astype(jnp.float32))


def _apart(x: Array) -> Array:
    """On a CPU, compile what makes ``x`` apart from what reads it.

    Fused with their neighbours, XLA's sums run in an order that depends on the number of
    rows. Apart, they do not, and what it costs is small beside the products.
    """
    return jax.lax.platform_dependent(x, cpu=jax.lax.optimization_barrier, default=lambda x: x)
