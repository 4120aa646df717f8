"""VQGAN: 256 codes to a picture and back. Owns the shapes of pixels; knows no text.

Pixels are NHWC and lie in [0, 1] on both sides (not [-1, 1]).

Source: vqgan-jax 10ef240, `modeling_flax_vqgan.py`; checked by `tests/golden/test_vqgan.py`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from engine.models.config import fields_from, refuse, uneven

# --- config ---------------------------------------------------------------------------

# Every option of the original that changes a number and that the released model leaves at
# one value. ``dropout`` is only for training and accepted as it is.
_RELEASED = {
    "double_z": False,
    "give_pre_end": False,
    "in_channels": 3,
    "out_ch": 3,
    "resamp_with_conv": True,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VqganConfig:
    """The keys of the checkpoint's ``config.json`` that change a number.

    ``norm_groups`` is ours: released checkpoints leave it out and have 32. A model with few
    channels needs fewer groups, or each channel loses its mean over the whole picture.
    """

    ch: int
    ch_mult: tuple[int, ...]
    num_res_blocks: int
    attn_resolutions: tuple[int, ...]
    resolution: int
    z_channels: int
    embed_dim: int
    n_embed: int
    in_channels: int
    out_ch: int
    norm_groups: int = 32

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> VqganConfig:
        """Read a ``config.json``.

        Raises:
            CheckpointError: A key is missing or makes no sense, or an option is set that
                no released checkpoint uses.
        """
        config = fields_from(cls, values, model="VQGAN", required=_RELEASED)
        problems = uneven("ch", config.ch, "norm_groups", config.norm_groups)
        level_count = len(config.ch_mult)
        if values.get("num_resolutions", level_count) != level_count:
            problems.append(
                f"num_resolutions is {values['num_resolutions']!r}, but ch_mult has {level_count}"
            )
        refuse("VQGAN", problems)
        return config

    @property
    def downscale(self) -> int:
        """How many pixels of a side one code stands for."""
        return 2 ** (len(self.ch_mult) - 1)

    def width_at(self, level: int) -> int:
        """Channels at a resolution level; level 0 is the full resolution."""
        return self.ch * self.ch_mult[level]

    def attends_at(self, level: int) -> bool:
        """Whether a level has attention: decided by ``resolution``, not by the input."""
        return self.resolution // 2**level in self.attn_resolutions


# --- modules --------------------------------------------------------------------------


class _Parts:
    """Makes the layers of one model with its dtypes; kept out of the module tree."""

    def __init__(self, norm_groups: int, **kwargs: Any) -> None:
        self._norm_groups = norm_groups
        self._kw = kwargs

    def conv(self, c_in: int, c_out: int, size: int, **kwargs: Any) -> nnx.Conv:
        return nnx.Conv(c_in, c_out, (size, size), **kwargs, **self._kw)

    def norm(self, channels: int) -> nnx.GroupNorm:
        return nnx.GroupNorm(channels, num_groups=self._norm_groups, epsilon=1e-6, **self._kw)

    def embed(self, count: int, width: int) -> nnx.Embed:
        return nnx.Embed(count, width, **self._kw)


class ResnetBlock(nnx.Module):
    """Two normalised convolutions beside a shortcut."""

    def __init__(self, c_in: int, c_out: int, parts: _Parts) -> None:
        self.norm1 = parts.norm(c_in)
        self.conv1 = parts.conv(c_in, c_out, 3)
        self.norm2 = parts.norm(c_out)
        self.conv2 = parts.conv(c_out, c_out, 3)
        self.shortcut = nnx.data(parts.conv(c_in, c_out, 1) if c_in != c_out else None)

    def __call__(self, x: Float[Array, "B h w C"]) -> Float[Array, "B h w D"]:
        """What the block makes of a feature map."""
        y = self.conv1(jax.nn.silu(self.norm1(x)))
        y = self.conv2(jax.nn.silu(self.norm2(y)))
        return y + (x if self.shortcut is None else self.shortcut(x))


class AttentionBlock(nnx.Module):
    """Single-head attention of every place to every place."""

    def __init__(self, channels: int, parts: _Parts) -> None:
        self.norm = parts.norm(channels)
        self.q = parts.conv(channels, channels, 1)
        self.k = parts.conv(channels, channels, 1)
        self.v = parts.conv(channels, channels, 1)
        self.proj_out = parts.conv(channels, channels, 1)

    def __call__(self, x: Float[Array, "B h w C"]) -> Float[Array, "B h w C"]:
        """The feature map with what each place read added."""
        batch, height, width, channels = x.shape
        y = self.norm(x)
        q, k, v = (
            layer(y).reshape(batch, height * width, channels)  # B (h w) C
            for layer in (self.q, self.k, self.v)
        )
        logits = jnp.einsum("bqc,bkc->bqk", q, k) * channels**-0.5
        weights = jax.nn.softmax(logits.astype(jnp.float32)).astype(x.dtype)
        y = jnp.einsum("bqk,bkc->bqc", weights, v)
        return x + self.proj_out(y.reshape(x.shape))


class Middle(nnx.Module):
    """The lowest resolution: block, attention, block."""

    def __init__(self, channels: int, parts: _Parts) -> None:
        self.block_1 = ResnetBlock(channels, channels, parts)
        self.attn_1 = AttentionBlock(channels, parts)
        self.block_2 = ResnetBlock(channels, channels, parts)

    def __call__(self, x: Float[Array, "B h w C"]) -> Float[Array, "B h w C"]:
        """What the middle makes of a feature map."""
        return self.block_2(self.attn_1(self.block_1(x)))


class Level(nnx.Module):
    """One resolution: blocks, each with attention where the level attends, and a resize."""

    def __init__(
        self, widths: tuple[int, ...], *, attends: bool, resize: nnx.Conv | None, parts: _Parts
    ) -> None:
        pairs = list(itertools.pairwise(widths))
        self.blocks = nnx.List([ResnetBlock(c_in, c_out, parts) for c_in, c_out in pairs])
        self.attentions = nnx.List(
            [AttentionBlock(c_out, parts) for _, c_out in pairs] if attends else []
        )
        self.resize = nnx.data(resize)

    def features(self, x: Float[Array, "B h w C"]) -> Float[Array, "B h w D"]:
        """All but the resize."""
        for i, block in enumerate(self.blocks):
            x = block(x)
            if self.attentions:
                x = self.attentions[i](x)
        return x


class Encoder(nnx.Module):
    """Picture to latents, one for each ``downscale`` x ``downscale`` square."""

    def __init__(self, config: VqganConfig, parts: _Parts) -> None:
        last = len(config.ch_mult) - 1
        self.conv_in = parts.conv(config.in_channels, config.ch, 3)
        self.down = nnx.List([self._level(config, i, parts) for i in range(last + 1)])
        self.mid = Middle(config.width_at(last), parts)
        self.norm_out = parts.norm(config.width_at(last))
        self.conv_out = parts.conv(config.width_at(last), config.z_channels, 3)

    @staticmethod
    def _level(config: VqganConfig, i: int, parts: _Parts) -> Level:
        c_in, c_out = config.width_at(max(i - 1, 0)) if i else config.ch, config.width_at(i)
        is_last = i == len(config.ch_mult) - 1
        return Level(
            (c_in, *[c_out] * config.num_res_blocks),
            attends=config.attends_at(i),
            # one row and one column of zeros at the bottom and the right, then stride 2
            resize=None
            if is_last
            else parts.conv(c_out, c_out, 3, strides=2, padding=((0, 1), (0, 1))),
            parts=parts,
        )

    def __call__(self, pixels: Float[Array, "B H W 3"]) -> Float[Array, "B h w C"]:
        """Latents, not yet of the codebook's width."""
        x = self.conv_in(pixels)
        for level in self.down:
            x = level.features(x)
            if level.resize is not None:
                x = level.resize(x)
        return self.conv_out(jax.nn.silu(self.norm_out(self.mid(x))))


class Decoder(nnx.Module):
    """Latents to picture."""

    def __init__(self, config: VqganConfig, parts: _Parts) -> None:
        last = len(config.ch_mult) - 1
        self.conv_in = parts.conv(config.z_channels, config.width_at(last), 3)
        self.mid = Middle(config.width_at(last), parts)
        self.up = nnx.List([self._level(config, i, parts) for i in range(last + 1)])
        self.norm_out = parts.norm(config.width_at(0))
        self.conv_out = parts.conv(config.width_at(0), config.out_ch, 3)

    @staticmethod
    def _level(config: VqganConfig, i: int, parts: _Parts) -> Level:
        last, c_out = len(config.ch_mult) - 1, config.width_at(i)
        return Level(
            (config.width_at(min(i + 1, last)), *[c_out] * (config.num_res_blocks + 1)),
            attends=config.attends_at(i),
            resize=None if i == 0 else parts.conv(c_out, c_out, 3),
            parts=parts,
        )

    def __call__(self, z: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
        """Pixels, not clipped."""
        x = self.mid(self.conv_in(z))
        for level in reversed(list(self.up)):
            x = level.features(x)
            if level.resize is not None:
                x = level.resize(_double(x))
        return self.conv_out(jax.nn.silu(self.norm_out(x)))


def _double(x: Float[Array, "B h w C"]) -> Float[Array, "B H W C"]:
    """Repeat every place twice in both directions (nearest neighbour)."""
    return x.repeat(2, axis=1).repeat(2, axis=2)


class Vqgan(nnx.Module):
    """Picture, latents, codes, and back."""

    def __init__(
        self,
        config: VqganConfig,
        *,
        dtype: Any = jnp.float32,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        parts = _Parts(config.norm_groups, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
        self.config = config
        self.encoder = Encoder(config, parts)
        self.decoder = Decoder(config, parts)
        self.codebook = parts.embed(config.n_embed, config.embed_dim)
        self.quant_conv = parts.conv(config.z_channels, config.embed_dim, 1)
        self.post_quant_conv = parts.conv(config.embed_dim, config.z_channels, 1)

    def latents(self, pixels: Float[Array, "B H W 3"]) -> Float[Array, "B S C"]:
        """Continuous latents of pictures in [0, 1], in raster order."""
        z = self.quant_conv(self.encoder(pixels))
        return z.reshape(z.shape[0], -1, z.shape[-1])  # B h w C -> B (h w) C

    def nearest_codes(self, latents: Float[Array, "B S C"]) -> Int[Array, "B S"]:
        """The codebook entry nearest to each latent, by squared distance."""
        # in float32: the nearest and the next entry can be closer than bfloat16 can tell
        latents = latents.astype(jnp.float32)
        codebook = self.codebook.embedding[...].astype(jnp.float32)
        distance = (
            jnp.sum(latents**2, axis=-1, keepdims=True)
            - 2 * jnp.einsum("bsc,vc->bsv", latents, codebook)
            + jnp.sum(codebook**2, axis=-1)
        )
        return jnp.argmin(distance, axis=-1)

    def encode(self, pixels: Float[Array, "B H W 3"]) -> Int[Array, "B S"]:
        """Codes of pictures in [0, 1]."""
        return self.nearest_codes(self.latents(pixels))

    def decode_latents(self, latents: Float[Array, "B S C"]) -> Float[Array, "B H W 3"]:
        """Pixels, not clipped, of latents that form a square."""
        side = math.isqrt(latents.shape[1])
        z = latents.reshape(latents.shape[0], side, side, -1)  # B (h w) C -> B h w C
        return self.decoder(self.post_quant_conv(z))

    def decode(self, codes: Int[Array, "B S"]) -> Float[Array, "B H W 3"]:
        """Pixels, not clipped, of codes that form a square.

        A code outside the codebook makes its whole picture NaN, as in the original.
        """
        return self.decode_latents(self.codebook(codes))


# --- names: ours -> the checkpoint's --------------------------------------------------

NAMES = (
    (r"^codebook/", "quantize/embedding/"),
    (r"/(down|up)/(\d+)/blocks/(\d+)/", r"/\1_\2/block_\3/"),
    (r"/(down|up)/(\d+)/attentions/(\d+)/", r"/\1_\2/attn_\3/"),
    (r"/down/(\d+)/resize/", r"/down_\1/downsample/conv/"),
    (r"/up/(\d+)/resize/", r"/up_\1/upsample/conv/"),
    (r"/shortcut/", "/nin_shortcut/"),
)
