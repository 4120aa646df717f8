"""From image tokens to pixels, from pixels to tokens and to CLIP's judgement, and enlarged.

These programs run beside the token loop, in another thread. Knows no slots and no requests.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from engine.contract import Ranking
from engine.models import safety
from engine.models.upscaler import FACTOR
from engine.programs import Program
from engine.verdicts import HARMLESS_CAPTIONS, UNSAFE_CAPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jaxtyping import Array, Float, Int, UInt8
    from numpy.typing import NDArray

    from engine.clip_pixels import ClipPixels
    from engine.models.clip import Clip
    from engine.models.safety import SafetyNet
    from engine.models.upscaler import Upscaler
    from engine.models.vqgan import Vqgan
    from engine.programs import Tracer
    from engine.text import ClipTokenizer

_MIN_SIDE_PX = 128  # smaller pictures are too small to look at and are upscaled


class Painter:
    """The programs around pixels.

    Attributes:
        side_px: The side of what the VQGAN draws and reads.
        rendered_side_px: The side of what ``render`` returns.
    """

    def __init__(
        self, tracer: Tracer, vqgan: Vqgan, upscaler: Upscaler, *, image_length: int
    ) -> None:
        """Prepare the programs; compile them with ``programs``."""
        self.side_px = math.isqrt(image_length) * vqgan.config.downscale
        is_small = self.side_px < _MIN_SIDE_PX
        self.rendered_side_px = self.side_px * (FACTOR if is_small else 1)
        palette = _Palette(vqgan, upscaler if is_small else None)
        graph, state = nnx.split(palette)
        tokens = np.zeros((1, image_length), np.int32)
        self._render = _by_batch(tracer, lambda s, t: nnx.merge(graph, s)(t), state, tokens)
        graph_u, state_u = nnx.split(upscaler)
        self._enlarge = jax.jit(
            tracer.watched(lambda s, pixels: _enlarged(nnx.merge(graph_u, s), pixels))
        )
        self._upscaler_state = state_u
        graph_v, state_v = nnx.split(vqgan)
        self._encode = Program(
            tracer,
            lambda s, pixels: nnx.merge(graph_v, s).encode(pixels / jnp.float32(255)),
            state_v,
            (np.zeros((1, self.side_px, self.side_px, 3), np.uint8),),
        )

    @property
    def programs(self) -> list[Program]:
        """To be compiled."""
        return [*self._render.values(), self._encode]

    def render(self, tokens: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Pictures uint8 [n, h, w, 3] of image tokens int32 [n, S]."""
        return _in_batches(self._render, tokens)

    def upscale(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pictures uint8 [n, 4h, 4w, 3] of pictures uint8 [n, h, w, 3].

        A size that was not met before is compiled first.
        """
        one_by_one = [np.asarray(self._enlarge(self._upscaler_state, p[None])) for p in pixels]
        return np.concatenate(one_by_one)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Image tokens int32 [n, S] of pictures uint8 [n, side, side, 3]."""
        return np.concatenate([np.asarray(self._encode(p[None])) for p in pixels])


class Ranker:
    """CLIP: how well a picture fits a prompt, and how well unsafe captions."""

    def __init__(
        self,
        tracer: Tracer,
        clip: Clip,
        tokenizer: ClipTokenizer,
        pixels: ClipPixels,
        *,
        is_suspicious: bool,
    ) -> None:
        """Prepare the programs; compile them with ``programs``.

        Args:
            tracer: Is told of every compilation.
            clip: With parameters.
            tokenizer: Of the checkpoint.
            pixels: Of the checkpoint.
            is_suspicious: Whether to hold unsafe captions against the pictures: only a CLIP
                that has learned their words can.
        """
        self._tokenizer = tokenizer
        self._pixels = pixels
        self._captions = (*UNSAFE_CAPTIONS, *HARMLESS_CAPTIONS) if is_suspicious else ()
        self._embedded_captions: list[Any] = []
        graph, state = nnx.split(clip)
        text = tokenizer.encode(" ")
        picture = pixels.prepare(np.zeros((1, 8, 8, 3), np.uint8))
        text_count = 1 + len(self._captions)
        embedded = jax.ShapeDtypeStruct((text_count, clip.config.projection_dim), jnp.float32)

        def embed(state: Any, ids: Int[Array, "1 T"], mask: Int[Array, "1 T"]) -> Any:
            return nnx.merge(graph, state).embed_text(ids, mask.astype(bool))

        def score(state: Any, pictures: Any, texts: Float[Array, "N P"]) -> Any:
            model = nnx.merge(graph, state)
            return model.logits(model.embed_pictures(pictures), texts)

        self._embed = Program(tracer, embed, state, (text.ids[None], text.mask[None]))
        self._score = _by_batch(tracer, score, state, picture, embedded)

    @property
    def programs(self) -> list[Program]:
        """To be compiled."""
        return [self._embed, *self._score.values()]

    def rank(self, prompt: str, pixels: NDArray[np.uint8]) -> Ranking:
        """What CLIP says of pictures uint8 [n, h, w, 3] for the raw prompt."""
        if not self._embedded_captions:
            self._embedded_captions = [self._embedded(caption) for caption in self._captions]
        texts = np.concatenate([self._embedded(prompt), *self._embedded_captions])
        logits = _in_batches(self._score, self._pixels.prepare(pixels), texts)
        return Ranking(logits[:, 0], _suspicions(logits[:, 1:]) if self._captions else None)

    def _embedded(self, sentence: str) -> NDArray[np.float32]:
        text = self._tokenizer.encode(sentence)
        return np.asarray(self._embed(text.ids[None], text.mask[None]))


class Inspector:
    """The picture classifier: whether a picture may be shown."""

    def __init__(self, tracer: Tracer, net: SafetyNet, *, picture_side_px: int) -> None:
        """Prepare the programs; compile them with ``programs``."""
        graph, state = nnx.split(net)
        picture = np.zeros((1, picture_side_px, picture_side_px, 3), np.uint8)

        def classify(state: Any, pixels: UInt8[Array, "B h w 3"]) -> Any:
            values = pixels.astype(jnp.float32) / 255
            return nnx.merge(graph, state)(safety.resized(values, safety.SIDE_PX))

        self._classify = _by_batch(tracer, classify, state, picture)

    @property
    def programs(self) -> list[Program]:
        """To be compiled."""
        return list(self._classify.values())

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities float32 [n, 5] of classes for pictures uint8 [n, h, w, 3]."""
        return _in_batches(self._classify, pixels)


class _Palette(nnx.Module):
    """Tokens to pixels uint8; with an upscaler, ``upscaler.FACTOR`` times as wide and high."""

    def __init__(self, vqgan: Vqgan, upscaler: Upscaler | None) -> None:
        self.vqgan = vqgan
        self.upscaler = nnx.data(upscaler)

    def __call__(self, tokens: Int[Array, "B S"]) -> UInt8[Array, "B H W 3"]:
        pixels = jnp.clip(self.vqgan.decode(tokens).astype(jnp.float32), 0.0, 1.0)
        if self.upscaler is not None:
            pixels = jnp.clip(self.upscaler(pixels), 0.0, 1.0)
        return (pixels * 255).astype(jnp.uint8)  # truncated, as the original does


def _suspicions(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """How likely any of the unsafe captions is [n], of logits [n, captions], unsafe ones first.

    Source: CLIP (Radford et al. 2021), section 3.1.2: the softmax over captions is its
    zero-shot classifier; a class with several captions has the sum of their probabilities.
    """
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights[:, : len(UNSAFE_CAPTIONS)].sum(axis=1) / weights.sum(axis=1)


def _enlarged(model: Upscaler, pixels: UInt8[Array, "B h w 3"]) -> UInt8[Array, "B H W 3"]:
    enlarged = model(pixels.astype(jnp.float32) / 255)
    return jnp.round(jnp.clip(enlarged, 0.0, 1.0) * 255).astype(jnp.uint8)


# --- batches ---------------------------------------------------------------------------


def _by_batch(
    tracer: Tracer, function: Callable[..., Any], state: Any, one: NDArray[Any], *more: Any
) -> dict[int, Program]:
    """A program for each batch size of its first argument."""
    return {
        size: Program(tracer, function, state, (np.repeat(one, size, axis=0), *more))
        for size in _batch_sizes()
    }


def _batch_sizes() -> tuple[int, ...]:
    """On a CPU pictures one by one are the fastest: what one needs fits its caches."""
    return (1,) if jax.default_backend() == "cpu" else (8, 1)


def _in_batches(programs: dict[int, Program], items: NDArray[Any], *more: Any) -> NDArray[Any]:
    """Run any number of items through the compiled batch sizes only."""
    done = [programs[len(batch)](batch, *more) for batch in _batches(items, tuple(programs))]
    return np.concatenate([np.asarray(part) for part in done])


def _batches(items: NDArray[Any], sizes: tuple[int, ...]) -> Iterator[NDArray[Any]]:
    """E.g. 17 items, sizes 8 and 1: 8, 8, 1."""
    start = 0
    while start < len(items):
        size = next(s for s in sizes if s <= len(items) - start)
        yield items[start : start + size]
        start += size
