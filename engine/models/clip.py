"""CLIP: how well a picture fits a sentence. Knows nothing of how either was made.

Source: transformers 4.25.1, `modeling_flax_clip.py`; checked by `tests/golden/test_clip.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from engine.models.config import fields_from, refuse, uneven

# --- config ---------------------------------------------------------------------------

_RELEASED = {"hidden_act": "quick_gelu", "num_channels": 3}

# What a key means that a tower's section leaves out, which transformers does with all that
# are as in ViT-B/32.
# Source: transformers 4.25.1 and 5.23, `configuration_clip.py`.
_TEXT_DEFAULTS = {
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "vocab_size": 49408,
    "max_position_embeddings": 77,
}
_VISION_DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 32,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TowerConfig:
    """The transformer that both towers share."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    layer_norm_eps: float = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipConfig:
    """The keys of the checkpoint's ``config.json`` that change a number."""

    projection_dim: int
    text: TowerConfig
    vocab_size: int
    max_position_embeddings: int
    vision: TowerConfig
    image_size: int
    patch_size: int

    @property
    def knows_words(self) -> bool:
        """Whether it reads any English: all released ones have one vocabulary, small ones no."""
        return self.vocab_size == _TEXT_DEFAULTS["vocab_size"]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ClipConfig:
        """Read a ``config.json``.

        Raises:
            CheckpointError: A value makes no sense, or an option is set that no released
                checkpoint uses.
        """
        text = {**_TEXT_DEFAULTS, **_section(values, "text_config")}
        vision = {**_VISION_DEFAULTS, **_section(values, "vision_config")}
        both = {
            "model_type": values.get("model_type", "clip"),
            "projection_dim": values.get("projection_dim", 512),
            **{key: text[key] for key in ("vocab_size", "max_position_embeddings")},
            **{key: vision[key] for key in ("image_size", "patch_size")},
            "text": _tower(text, "CLIP text"),
            "vision": _tower(vision, "CLIP vision"),
        }
        config = fields_from(cls, both, model="CLIP", required={"model_type": "clip"})
        refuse("CLIP", uneven("image_size", config.image_size, "patch_size", config.patch_size))
        return config


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = values.get(name) or {}
    refuse("CLIP", [] if isinstance(section, Mapping) else [f"{name} is {section!r}, no object"])
    return section


def _tower(values: Mapping[str, Any], model: str) -> TowerConfig:
    config = fields_from(TowerConfig, values, model=model, required=_RELEASED)
    heads = config.num_attention_heads
    refuse(model, uneven("hidden_size", config.hidden_size, "num_attention_heads", heads))
    return config


# --- modules --------------------------------------------------------------------------


class _Parts:
    """Makes the layers of one model with its dtypes; kept out of the module tree."""

    def __init__(self, dtype: Any, param_dtype: Any, rngs: nnx.Rngs) -> None:
        self._kw: dict[str, Any] = {"dtype": dtype, "param_dtype": param_dtype, "rngs": rngs}

    def linear(self, d_in: int, d_out: int, *, bias: bool = True) -> nnx.Linear:
        return nnx.Linear(d_in, d_out, use_bias=bias, **self._kw)

    def norm(self, config: TowerConfig) -> nnx.LayerNorm:
        return nnx.LayerNorm(config.hidden_size, epsilon=config.layer_norm_eps, **self._kw)

    def embed(self, count: int, width: int) -> nnx.Embed:
        init = nnx.initializers.normal(0.02)
        return nnx.Embed(count, width, embedding_init=init, **self._kw)

    def patches(self, width: int, size: int) -> nnx.Conv:
        return nnx.Conv(
            3, width, (size, size), strides=size, padding="VALID", use_bias=False, **self._kw
        )


class SelfAttention(nnx.Module):
    """Multi-head attention with biases."""

    def __init__(self, config: TowerConfig, parts: _Parts) -> None:
        width = config.hidden_size
        self.head_count = config.num_attention_heads
        self.q_proj = parts.linear(width, width)
        self.k_proj = parts.linear(width, width)
        self.v_proj = parts.linear(width, width)
        self.out_proj = parts.linear(width, width)

    def __call__(
        self, x: Float[Array, "B N D"], mask: Bool[Array, "B 1 N N"] | None
    ) -> Float[Array, "B N D"]:
        """Let every position read all others, or those that ``mask`` shows it."""
        batch, length, _ = x.shape
        q, k, v = (
            layer(x).reshape(batch, length, self.head_count, -1)  # B N H K
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        logits = jnp.einsum("bnhk,bmhk->bhnm", q, k) * q.shape[-1] ** -0.5
        logits = logits.astype(jnp.float32)  # softmax in float32
        if mask is not None:
            logits = jnp.where(mask, logits, -jnp.inf)
        weights = jax.nn.softmax(logits).astype(x.dtype)
        return self.out_proj(jnp.einsum("bhnm,bmhk->bnhk", weights, v).reshape(x.shape))


class Layer(nnx.Module):
    """Attention and feed-forward, each on a normalised input."""

    def __init__(self, config: TowerConfig, parts: _Parts) -> None:
        self.layer_norm1 = parts.norm(config)
        self.self_attn = SelfAttention(config, parts)
        self.layer_norm2 = parts.norm(config)
        self.fc1 = parts.linear(config.hidden_size, config.intermediate_size)
        self.fc2 = parts.linear(config.intermediate_size, config.hidden_size)

    def __call__(
        self, x: Float[Array, "B N D"], mask: Bool[Array, "B 1 N N"] | None
    ) -> Float[Array, "B N D"]:
        """One step of a tower."""
        x = x + self.self_attn(self.layer_norm1(x), mask)
        u = self.fc1(self.layer_norm2(x))
        return x + self.fc2(u * jax.nn.sigmoid(1.702 * u))  # "quick" gelu


class TextTower(nnx.Module):
    """Token ids to one vector, read at the first end token."""

    def __init__(self, config: ClipConfig, parts: _Parts) -> None:
        tower = config.text
        self.tokens = parts.embed(config.vocab_size, tower.hidden_size)
        self.positions = parts.embed(config.max_position_embeddings, tower.hidden_size)
        self.layers = nnx.List([Layer(tower, parts) for _ in range(tower.num_hidden_layers)])
        self.norm_final = parts.norm(tower)

    def __call__(self, ids: Int[Array, "B T"], mask: Bool[Array, "B T"]) -> Float[Array, "B D"]:
        """Vectors of sentences, not yet in the common space."""
        length = ids.shape[1]
        # e.g. 3 positions:  1 0 0 / 1 1 0 / 1 1 1, and no padding as key
        causal = jnp.tril(jnp.ones((length, length), bool))[None, None]
        x = self.tokens(ids) + self.positions(jnp.arange(length))
        for layer in self.layers:
            x = layer(x, causal & mask[:, None, None, :])
        end = jnp.argmax(ids, axis=-1)  # the end token has the highest id
        return self.norm_final(x)[jnp.arange(ids.shape[0]), end]


class VisionTower(nnx.Module):
    """Normalised pixels to one vector, read at the class token."""

    def __init__(self, config: ClipConfig, parts: _Parts, rngs: nnx.Rngs, dtype: Any) -> None:
        tower = config.vision
        place_count = (config.image_size // config.patch_size) ** 2 + 1
        init = nnx.initializers.normal(0.02)(rngs.params(), (tower.hidden_size,), dtype)
        self.class_token = nnx.Param(init)
        self.patches = parts.patches(tower.hidden_size, config.patch_size)
        self.positions = parts.embed(place_count, tower.hidden_size)
        self.norm_before = parts.norm(tower)
        self.layers = nnx.List([Layer(tower, parts) for _ in range(tower.num_hidden_layers)])
        self.norm_final = parts.norm(tower)

    def __call__(self, pixels: Float[Array, "B H W 3"]) -> Float[Array, "B D"]:
        """Vectors of pictures, not yet in the common space."""
        patches = self.patches(pixels)
        batch, *_, width = patches.shape
        first = jnp.broadcast_to(self.class_token[...].astype(patches.dtype), (batch, 1, width))
        x = jnp.concatenate([first, patches.reshape(batch, -1, width)], axis=1)  # B (1+h w) D
        x = self.norm_before(x + self.positions(jnp.arange(x.shape[1])))
        for layer in self.layers:
            x = layer(x, None)
        return self.norm_final(x[:, 0])


class Clip(nnx.Module):
    """Two towers that meet in one space."""

    def __init__(
        self,
        config: ClipConfig,
        *,
        dtype: Any = jnp.float32,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        parts = _Parts(dtype, param_dtype, rngs)
        self.config = config
        self.text = TextTower(config, parts)
        self.vision = VisionTower(config, parts, rngs, param_dtype)
        self.text_projection = parts.linear(
            config.text.hidden_size, config.projection_dim, bias=False
        )
        self.visual_projection = parts.linear(
            config.vision.hidden_size, config.projection_dim, bias=False
        )
        self.logit_scale = nnx.Param(jnp.asarray(2.6592, param_dtype))  # log(1 / 0.07)

    def embed_text(self, ids: Int[Array, "B T"], mask: Bool[Array, "B T"]) -> Float[Array, "B P"]:
        """Unit vectors of sentences."""
        return _unit(self.text_projection(self.text(ids, mask)))

    def embed_pictures(self, pixels: Float[Array, "B H W 3"]) -> Float[Array, "B P"]:
        """Unit vectors of pictures, already resized and normalised."""
        return _unit(self.visual_projection(self.vision(pixels)))

    def logits(
        self, pictures: Float[Array, "B P"], texts: Float[Array, "N P"]
    ) -> Float[Array, "B N"]:
        """How well each picture fits each text; higher is better."""
        scale = jnp.exp(self.logit_scale[...].astype(jnp.float32))
        return scale * jnp.einsum("bp,np->bn", pictures, texts)


def _unit(x: Float[Array, "B P"]) -> Float[Array, "B P"]:
    x = x.astype(jnp.float32)
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


# --- names: ours -> the checkpoint's --------------------------------------------------

NAMES = (
    (r"^text/layers/", "text_model/encoder/layers/"),
    (r"^vision/layers/", "vision_model/encoder/layers/"),
    (r"/(fc[12])/", r"/mlp/\1/"),
    (r"^text/tokens/", "text_model/embeddings/token_embedding/"),
    (r"^text/positions/", "text_model/embeddings/position_embedding/"),
    (r"^text/norm_final/", "text_model/final_layer_norm/"),
    (r"^vision/class_token", "vision_model/embeddings/class_embedding"),
    (r"^vision/patches/", "vision_model/embeddings/patch_embedding/"),
    (r"^vision/positions/", "vision_model/embeddings/position_embedding/"),
    (r"^vision/norm_before/", "vision_model/pre_layrnorm/"),  # sic
    (r"^vision/norm_final/", "vision_model/post_layernorm/"),
)
