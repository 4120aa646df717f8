"""DalleBart: text ids to image tokens. Owns the transformer; knows no pictures, no sampling.

The released option set only: NormFormer layer norms, gated feed-forward, no biases,
learned absolute positions. ``LN`` without scale feeds a matrix product that has its own.

    encoder layer   x += LN(attention(ln(x)));                      x += GLU(x)
    decoder layer   x += LN(attention(ln(x)));  x += LN(cross(ln(x)));  x += GLU(x)
    GLU(x)          W2 ln(gelu(W0 z) * W1 z)  with  z = ln(x)

Source: dalle-mini f0be4de, `modeling.py`; checked by `tests/golden/test_dalle_bart.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from engine.api import InvalidRequestError, SamplingOptions
from engine.models.config import fields_from, refuse, uneven

# --- config ---------------------------------------------------------------------------

# Every option of the original that changes a number when pictures are drawn, and that both
# released models leave at one value (which is also the original's default). What only
# training reads is accepted as it is: the dropouts and layer drops, ``init_std``,
# ``gradient_checkpointing``; so are ``tau_init``, which cosine attention alone reads,
# ``min_length``, which the original does not apply, and ``use_scan``, because the names in
# the file say how its layers lie.
_RELEASED = {
    "activation_function": "gelu",
    "do_sample": True,
    "force_ln_scale": False,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "is_encoder_decoder": True,
    "ln_positions": "normformer",
    "ln_type": "layernorm",
    "model_type": "dallebart",
    "num_beams": 1,
    "scale_embedding": False,
    "sinkhorn_iters": 1,
    "tie_word_embeddings": False,
    "use_absolute_position_embeddings": True,
    "use_alibi": False,
    "use_bias": False,
    "use_cosine_attention": False,
    "use_deepnet_scaling": False,
    "use_final_ln_decoder": True,
    "use_final_ln_encoder": True,
    "use_glu": True,
    "use_head_scale": False,
    "use_subln_init": False,
    "use_swin_position_embeddings": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DalleBartConfig:
    """The keys of the checkpoint's ``config.json`` that change a number.

    ``temperature``, ``top_k``, ``top_p`` and ``condition_scale`` are what a request gets
    that does not say; released checkpoints leave them out. The first three are the
    original's defaults, the scale is that of the official pipeline.
    """

    d_model: int
    encoder_layers: int
    decoder_layers: int
    encoder_attention_heads: int
    decoder_attention_heads: int
    encoder_ffn_dim: int
    decoder_ffn_dim: int
    encoder_vocab_size: int
    max_text_length: int
    image_vocab_size: int
    image_length: int
    decoder_start_token_id: int
    normalize_text: bool = False
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 1.0
    condition_scale: float = 10.0

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DalleBartConfig:
        """Read a ``config.json``.

        Raises:
            CheckpointError: A key is missing or makes no sense, or an option is set that
                no released checkpoint uses.
        """
        config = fields_from(cls, values, model="DalleBart", required=_RELEASED)
        refuse("DalleBart", _misfits(config, values))
        return config


def _misfits(config: DalleBartConfig, values: Mapping[str, Any]) -> list[str]:
    """What single values cannot tell: how they fit together."""
    width, start, end = config.d_model, config.decoder_start_token_id, values.get("eos_token_id")
    problems = uneven("d_model", width, "encoder_attention_heads", config.encoder_attention_heads)
    problems += uneven("d_model", width, "decoder_attention_heads", config.decoder_attention_heads)
    if start > config.image_vocab_size:
        last = config.image_vocab_size
        problems.append(f"decoder_start_token_id is {start}, outside of the tokens 0 to {last}")
    if isinstance(end, int) and end < start:
        problems.append(f"eos_token_id is {end}, an image token: pictures would end early")
    token_count = config.image_length + 1
    if values.get("max_length", token_count) != token_count:
        problems.append(f"max_length is {values['max_length']!r}, not image_length + 1")
    return problems + _sampling_problems(config)


def _sampling_problems(config: DalleBartConfig) -> list[str]:
    try:
        SamplingOptions(
            temperature=config.temperature,
            top_k=config.top_k,
            top_p=config.top_p,
            condition_scale=config.condition_scale,
        )
    except InvalidRequestError as error:
        return [str(error).rstrip(".")]
    return []


class Memory(NamedTuple):
    """Keys and values of one attention, for all rows."""

    keys: Float[Array, "B H N K"]
    values: Float[Array, "B H N K"]


# --- modules --------------------------------------------------------------------------


class _Parts:
    """Makes the layers of one model with its dtypes; kept out of the module tree."""

    def __init__(self, dtype: Any, param_dtype: Any, rngs: nnx.Rngs) -> None:
        self._kw: dict[str, Any] = {"dtype": dtype, "param_dtype": param_dtype, "rngs": rngs}

    def linear(self, d_in: int, d_out: int) -> nnx.Linear:
        init = nnx.initializers.normal(0.02)
        return nnx.Linear(d_in, d_out, use_bias=False, kernel_init=init, **self._kw)

    def norm(self, width: int, *, scale: bool) -> nnx.LayerNorm:
        return nnx.LayerNorm(width, epsilon=1e-5, use_scale=scale, **self._kw)

    def embed(self, count: int, width: int) -> nnx.Embed:
        init = nnx.initializers.normal(0.02)
        return nnx.Embed(count, width, embedding_init=init, **self._kw)


class Attention(nnx.Module):
    """Multi-head attention in three steps, so that keys and values can be kept."""

    def __init__(self, width: int, head_count: int, parts: _Parts) -> None:
        self.head_count = head_count
        self.q = parts.linear(width, width)
        self.k = parts.linear(width, width)
        self.v = parts.linear(width, width)
        self.out = parts.linear(width, width)

    def remember(self, x: Float[Array, "B N D"]) -> Memory:
        """Keys and values of every position of ``x``."""
        return Memory(self._heads(self.k(x)), self._heads(self.v(x)))

    def attend(
        self, x: Float[Array, "B N D"], memory: Memory, mask: Bool[Array, "#B 1 #N M"]
    ) -> Float[Array, "B N D"]:
        """Read ``memory`` where ``mask`` is true."""
        q = self._heads(self.q(x))
        logits = jnp.einsum("bhnk,bhmk->bhnm", q, memory.keys) * q.shape[-1] ** -0.5
        logits = jnp.where(mask, logits.astype(jnp.float32), -jnp.inf)  # softmax in float32
        weights = jax.nn.softmax(logits).astype(x.dtype)
        y = jnp.einsum("bhnm,bhmk->bhnk", weights, memory.values)
        return self.out(y.swapaxes(1, 2).reshape(x.shape))  # B H N K -> B N (H K)

    def _heads(self, x: Float[Array, "B N D"]) -> Float[Array, "B H N K"]:
        batch, length, _ = x.shape
        return x.reshape(batch, length, self.head_count, -1).swapaxes(1, 2)


class GatedFeedForward(nnx.Module):
    """The GLU of the original."""

    def __init__(self, width: int, inner: int, parts: _Parts) -> None:
        self.norm_in = parts.norm(width, scale=False)
        self.gate = parts.linear(width, inner)
        self.value = parts.linear(width, inner)
        self.norm_inner = parts.norm(inner, scale=False)
        self.out = parts.linear(inner, width)

    def __call__(self, x: Float[Array, "B N D"]) -> Float[Array, "B N D"]:
        """The change that the feed-forward makes to ``x``."""
        z = self.norm_in(x)
        u = jax.nn.gelu(self.gate(z), approximate=False) * self.value(z)
        return self.out(self.norm_inner(u))


class EncoderLayer(nnx.Module):
    """Attention of the text to itself, then the feed-forward."""

    def __init__(self, config: DalleBartConfig, parts: _Parts) -> None:
        width = config.d_model
        self.norm_before = parts.norm(width, scale=False)
        self.attention = Attention(width, config.encoder_attention_heads, parts)
        self.norm_after = parts.norm(width, scale=True)
        self.feed_forward = GatedFeedForward(width, config.encoder_ffn_dim, parts)

    def __call__(
        self, x: Float[Array, "B T D"], mask: Bool[Array, "B 1 1 T"]
    ) -> Float[Array, "B T D"]:
        """One step of the encoder."""
        z = self.norm_before(x)
        x = x + self.norm_after(self.attention.attend(z, self.attention.remember(z), mask))
        return x + self.feed_forward(x)


class DecoderLayer(nnx.Module):
    """Attention to the tokens so far, to the text, then the feed-forward."""

    def __init__(self, config: DalleBartConfig, parts: _Parts) -> None:
        width, heads = config.d_model, config.decoder_attention_heads
        self.norm_before = parts.norm(width, scale=False)
        self.attention = Attention(width, heads, parts)
        self.norm_after = parts.norm(width, scale=True)
        self.cross_norm_before = parts.norm(width, scale=False)
        self.cross_attention = Attention(width, heads, parts)
        self.cross_norm_after = parts.norm(width, scale=True)
        self.feed_forward = GatedFeedForward(width, config.decoder_ffn_dim, parts)

    def finish(
        self,
        x: Float[Array, "B N D"],
        attended: Float[Array, "B N D"],
        text: Memory,
        text_mask: Bool[Array, "B 1 1 T"],
    ) -> Float[Array, "B N D"]:
        """What follows the attention to the tokens so far, which gave ``attended``."""
        x = x + self.norm_after(attended)
        z = self.cross_norm_before(x)
        x = x + self.cross_norm_after(self.cross_attention.attend(z, text, text_mask))
        return x + self.feed_forward(x)


class Encoder(nnx.Module):
    """Text ids to one state per position."""

    def __init__(self, config: DalleBartConfig, parts: _Parts) -> None:
        self.tokens = parts.embed(config.encoder_vocab_size, config.d_model)
        self.positions = parts.embed(config.max_text_length, config.d_model)
        self.norm_embedding = parts.norm(config.d_model, scale=True)
        self.layers = nnx.List([EncoderLayer(config, parts) for _ in range(config.encoder_layers)])
        self.norm_final = parts.norm(config.d_model, scale=False)

    def __call__(self, ids: Int[Array, "B T"], mask: Bool[Array, "B T"]) -> Float[Array, "B T D"]:
        """States of the text; those of padding hold anything."""
        x = self.norm_embedding(self.tokens(ids) + self.positions(jnp.arange(ids.shape[1])))
        for layer in self.layers:
            x = layer(x, mask[:, None, None, :])
        return self.norm_final(x)


class Decoder(nnx.Module):
    """Image tokens so far, and the text, to logits of the next token."""

    def __init__(self, config: DalleBartConfig, parts: _Parts) -> None:
        # one more than the image vocabulary: the start token
        self.tokens = parts.embed(config.image_vocab_size + 1, config.d_model)
        self.positions = parts.embed(config.image_length, config.d_model)
        self.norm_embedding = parts.norm(config.d_model, scale=True)
        self.layers = nnx.List([DecoderLayer(config, parts) for _ in range(config.decoder_layers)])
        self.norm_final = parts.norm(config.d_model, scale=False)
        self.lm_head = parts.linear(config.d_model, config.image_vocab_size + 1)

    def remember_text(self, states: Float[Array, "B T D"]) -> tuple[Memory, ...]:
        """Each layer's keys and values of the text: computed once for a prompt."""
        return tuple(layer.cross_attention.remember(states) for layer in self.layers)

    def __call__(
        self,
        tokens: Int[Array, "B S"],
        states: Float[Array, "B T D"],
        text_mask: Bool[Array, "B T"],
    ) -> Float[Array, "B S V"]:
        """Logits after every token of known sequences (teacher forcing)."""
        length = tokens.shape[1]
        # e.g. length 3:  1 0 0 / 1 1 0 / 1 1 1
        causal = jnp.tril(jnp.ones((length, length), bool))[None, None]
        x = self.norm_embedding(self.tokens(tokens) + self.positions(jnp.arange(length)))
        for layer, text in zip(self.layers, self.remember_text(states), strict=True):
            z = layer.norm_before(x)
            attended = layer.attention.attend(z, layer.attention.remember(z), causal)
            x = layer.finish(x, attended, text, text_mask[:, None, None, :])
        return self.lm_head(self.norm_final(x))


class DalleBart(nnx.Module):
    """The encoder of the text and the decoder of the picture."""

    def __init__(
        self,
        config: DalleBartConfig,
        *,
        dtype: Any = jnp.float32,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        parts = _Parts(dtype, param_dtype, rngs)
        self.config = config
        self.encoder = Encoder(config, parts)
        self.decoder = Decoder(config, parts)


# --- names: ours -> the checkpoint's --------------------------------------------------

NAMES = (
    (r"^decoder/lm_head/", "lm_head/"),
    (r"^(encoder|decoder)/", r"model/\1/"),
    (r"/tokens/", "/embed_tokens/"),
    (r"/positions/", "/embed_positions/"),
    (r"/norm_embedding/", "/layernorm_embedding/"),
    (r"/norm_final/", "/final_ln/"),
    (r"^model/encoder/layers/(\d+)/", r"model/encoder/layers/FlaxBartEncoderLayer_\1/"),
    (r"^model/decoder/layers/(\d+)/", r"model/decoder/layers/FlaxBartDecoderLayer_\1/"),
    (r"/attention/(\w+)/", r"/FlaxBartAttention_0/\1_proj/"),
    (r"/cross_attention/(\w+)/", r"/FlaxBartAttention_1/\1_proj/"),
    (r"/norm_before/", "/LayerNorm_0/"),
    (r"/norm_after/", "/LayerNorm_1/"),
    (r"/cross_norm_before/", "/LayerNorm_2/"),
    (r"/cross_norm_after/", "/LayerNorm_3/"),
    (r"/feed_forward/gate/", "/GLU_0/Dense_0/"),
    (r"/feed_forward/value/", "/GLU_0/Dense_1/"),
    (r"/feed_forward/out/", "/GLU_0/Dense_2/"),
    (r"/feed_forward/norm_in/", "/GLU_0/LayerNorm_0/"),
    (r"/feed_forward/norm_inner/", "/GLU_0/LayerNorm_1/"),
)

# Released checkpoints keep all layers in one array each, the first axis counting layers:
# ``FlaxBartEncoderLayer_0/x``, ``…_1/x`` on disk are ``FlaxBartEncoderLayers/x``.
STACKED = (
    ("FlaxBartEncoderLayers", "FlaxBartEncoderLayer_{}"),
    ("FlaxBartDecoderLayers", "FlaxBartDecoderLayer_{}"),
)
