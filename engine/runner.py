"""The only caller of compiled functions: places pictures in slots, steps, renders, ranks.

All compiled shapes are known when the runner is built. ``slot_count`` pictures are drawn
at once, each in two rows of the batch: row ``s`` with the text, row ``slot_count + s``
without. Each slot has its own position, so a picture can start while others are half done.
"""

from __future__ import annotations

import functools
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from engine import sampling, weights
from engine.api import CheckpointError
from engine.clip_pixels import ClipPixels
from engine.contract import RunnerStats
from engine.models.upscaler import Upscaler, load_upscaler
from engine.sampling import RowOptions
from engine.text import ClipTokenizer, TextTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from jaxtyping import Array, Bool, Int, UInt8, UInt32
    from numpy.typing import NDArray

    from engine.api import SamplingOptions
    from engine.contract import Placement, RunnerSettings
    from engine.models.clip import Clip
    from engine.models.dalle_bart import DalleBart, DalleBartConfig, Memory
    from engine.models.vqgan import Vqgan
    from engine.text import TextIds

_CHUNK_STEPS = 16
_BATCH_SIZES = (8, 1)  # pictures rendered or ranked per call; any count is split into these
_REMEMBERED_PROMPTS = 64
_MIN_SIDE_PX = 128  # smaller pictures are too small to look at and are upscaled


class Text(NamedTuple):
    """A prompt as the decoder reads it: keys and values of each layer, and which count."""

    memory: tuple[Memory, ...]
    mask: Bool[Array, "B T"]


class DecodeState(NamedTuple):
    """All that changes while pictures are drawn. ``N`` slots, ``2N`` rows."""

    tokens: Int[Array, "N S"]
    last: Int[Array, " N"]  # the token before the next: what a step reads
    position: Int[Array, " N"]  # how many tokens the slot has; S when it is done or free
    seed: UInt32[Array, " N"]
    picture_index: Int[Array, " N"]
    kept: Int[Array, " N"]  # how many of the first tokens are given, not drawn
    options: RowOptions
    text: Text
    cache: tuple[Memory, ...]


class NewPictures(NamedTuple):
    """What is set in the slots where ``is_new``; elsewhere anything."""

    is_new: Bool[Array, " N"]
    seed: UInt32[Array, " N"]
    picture_index: Int[Array, " N"]
    tokens: Int[Array, "N S"]
    kept: Int[Array, " N"]
    options: RowOptions


class JaxRunner:
    """Draws with one checkpoint on one device. Implements ``engine.contract.Runner``.

    Attributes:
        slot_count: Pictures drawn at once.
        chunk_count: Chunks from an empty picture to a finished one.
        model: The checkpoint's name, for people.
        image_length: Image tokens of a picture.
        code_count: Image tokens are smaller than this.
        picture_side_px: The side of what the VQGAN draws and reads.
        trace_count: How often anything was traced: stands still after ``warm_up``.
    """

    def __init__(
        self,
        *,
        name: str,
        slot_count: int,
        dalle_bart: DalleBart,
        vqgan: Vqgan,
        clip: Clip,
        upscaler: Upscaler | None,
        text_tokenizer: TextTokenizer,
        clip_tokenizer: ClipTokenizer,
        clip_pixels: ClipPixels,
    ) -> None:
        self.model = name
        self.slot_count = slot_count
        self.trace_count = 0
        self._config = dalle_bart.config
        self._tokenizer = text_tokenizer
        self._clip_tokenizer = clip_tokenizer
        self._clip_pixels = clip_pixels
        self._chunk_steps = math.gcd(self._config.image_length, _CHUNK_STEPS)
        self.chunk_count = self._config.image_length // self._chunk_steps
        self.image_length = self._config.image_length
        self.code_count = min(vqgan.config.n_embed, self._config.image_vocab_size)
        self.picture_side_px = _side_px(self._config, vqgan)
        painter = _Painter(vqgan, upscaler)
        self._compile(dalle_bart, painter, clip, self.code_count)
        self._upscale = self._jit(_upscale, upscaler or load_upscaler())
        self._encode = self._jit(lambda m, pixels: m.encode(pixels / jnp.float32(255)), vqgan)
        self._text_hits = self._text_misses = 0
        self._texts: OrderedDict[str, Text] = OrderedDict()
        self._state = self._empty_state(dalle_bart)

    def _compile(
        self, dalle_bart: DalleBart, painter: _Painter, clip: Clip, code_count: int
    ) -> None:
        step = functools.partial(_decode_chunk, steps=self._chunk_steps, code_count=code_count)
        self._read_text = self._jit(_read_text, dalle_bart)
        self._decode_chunk = self._jit(step, dalle_bart, donate=True)
        self._render = self._jit(lambda m, tokens: m(tokens), painter)
        self._embed_text = self._jit(lambda m, ids, mask: m.embed_text(ids, mask), clip)
        self._score = self._jit(lambda m, x, text: m.logits(m.embed_pictures(x), text)[:, 0], clip)
        self._place = jax.jit(self._counted(_place), donate_argnums=0)

    def _jit(self, function: Callable[..., Any], model: nnx.Module, *, donate: bool = False) -> Any:
        """Compile ``function(model, …)``; with ``donate`` it takes over its next argument."""
        graph, state = nnx.split(model)

        def pure(state: Any, *args: Any) -> Any:
            return function(nnx.merge(graph, state), *args)

        compiled = jax.jit(self._counted(pure), donate_argnums=(1,) if donate else ())
        return functools.partial(compiled, state)

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            self.trace_count += 1  # runs when JAX traces, not when the device computes
            return function(*args)

        return counted

    def _empty_state(self, dalle_bart: DalleBart) -> DecodeState:
        n, length = self.slot_count, self._config.image_length
        nothing = self._to_text(self._tokenizer.unconditional)
        return DecodeState(
            tokens=jnp.zeros((n, length), jnp.int32),
            last=jnp.zeros(n, jnp.int32),
            position=jnp.full(n, length, jnp.int32),
            seed=jnp.zeros(n, jnp.uint32),
            picture_index=jnp.zeros(n, jnp.int32),
            kept=jnp.zeros(n, jnp.int32),
            options=RowOptions(jnp.ones(n), jnp.zeros(n, jnp.int32), jnp.ones(n), jnp.ones(n)),
            text=jax.tree.map(lambda x: jnp.repeat(x, 2 * n, axis=0), nothing),
            cache=dalle_bart.empty_cache(2 * n),
        )

    # --- what the loop of the engine process calls -------------------------------------

    def warm_up(self) -> None:
        """Compile everything that will ever run."""
        self._place_prompt(" ", [])
        self.step()
        for count in _BATCH_SIZES:
            tokens = np.zeros((count, self._config.image_length), np.int32)
            self.rank(" ", self.render(tokens))
        self.encode(np.zeros((1, self.picture_side_px, self.picture_side_px, 3), np.uint8))

    def place(self, placements: Sequence[Placement]) -> None:
        """Start pictures in free slots."""
        by_prompt: dict[str, list[Placement]] = {}
        for placement in placements:
            by_prompt.setdefault(placement.prompt, []).append(placement)
        for prompt, same_prompt in by_prompt.items():
            self._place_prompt(prompt, same_prompt)

    def step(self) -> None:
        """Advance all slots by one chunk; returns when the device has done it."""
        self._state = jax.block_until_ready(self._decode_chunk(self._state))

    def vacate(self, slots: Sequence[int]) -> None:
        """Slots that are free again cost what they cost: all are stepped alike."""

    def tokens(self, slots: Sequence[int]) -> NDArray[np.int32]:
        """Image tokens int32 [n, S] of finished slots."""
        return np.asarray(self._state.tokens)[list(slots)]

    def render(self, tokens: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Pictures uint8 [n, h, w, 3] of image tokens int32 [n, S]."""
        return _in_batches(self._render, tokens)

    def rank(self, prompt: str, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """CLIP logits float32 [n] of pictures uint8 [n, h, w, 3] for the raw prompt."""
        text = self._clip_tokenizer.encode(prompt)
        embedded = self._embed_text(text.ids[None], text.mask[None].astype(bool))
        prepared = self._clip_pixels.prepare(pixels)
        return _in_batches(lambda batch: self._score(batch, embedded), prepared)

    def upscale(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pictures uint8 [n, 4h, 4w, 3] of pictures uint8 [n, h, w, 3]."""
        return np.asarray(self._upscale(pixels))

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Image tokens int32 [n, S] of pictures uint8 [n, side, side, 3]."""
        return np.concatenate([np.asarray(self._encode(one[None])) for one in pixels])

    def stats(self) -> RunnerStats:
        """What was counted so far."""
        memory = jax.local_devices()[0].memory_stats() or {}
        return RunnerStats(
            compile_count=self.trace_count,
            text_cache_hits=self._text_hits,
            text_cache_misses=self._text_misses,
            device_bytes=memory.get("bytes_in_use"),
        )

    # --- prompts -----------------------------------------------------------------------

    def _place_prompt(self, prompt: str, placements: Sequence[Placement]) -> None:
        new = _new_pictures(self.slot_count, placements, self._config)
        start = self._config.decoder_start_token_id
        self._state = self._place(self._state, self._text_of(prompt), new, np.int32(start))

    def _text_of(self, prompt: str) -> Text:
        """The prompt as the decoder reads it; the last few are remembered."""
        if prompt in self._texts:
            self._text_hits += 1
        else:
            self._text_misses += 1
            self._texts[prompt] = self._to_text(self._tokenizer.encode(prompt))
        self._texts.move_to_end(prompt)
        if len(self._texts) > _REMEMBERED_PROMPTS:
            self._texts.popitem(last=False)
        return self._texts[prompt]

    def _to_text(self, text: TextIds) -> Text:
        return self._read_text(text.ids[None], text.mask[None].astype(bool))


# --- compiled functions ----------------------------------------------------------------


def _read_text(model: DalleBart, ids: Array, mask: Array) -> Text:
    return Text(model.decoder.remember_text(model.encoder(ids, mask)), mask)


def _place(state: DecodeState, text: Text, new: NewPictures, start: Array) -> DecodeState:
    """Begin pictures of one prompt; rows without text keep theirs."""
    is_new = new.is_new
    rows = jnp.concatenate([is_new, jnp.zeros_like(is_new)])

    def pick(mask: Array, fresh: Array, old: Array) -> Array:
        return jnp.where(mask.reshape(-1, *[1] * (old.ndim - 1)), fresh, old)

    return state._replace(
        tokens=pick(is_new, new.tokens, state.tokens),
        kept=pick(is_new, new.kept, state.kept),
        last=pick(is_new, start, state.last),
        position=pick(is_new, jnp.int32(0), state.position),
        seed=pick(is_new, new.seed, state.seed),
        picture_index=pick(is_new, new.picture_index, state.picture_index),
        options=jax.tree.map(functools.partial(pick, is_new), new.options, state.options),
        text=jax.tree.map(functools.partial(pick, rows), text, state.text),
    )


def _decode_chunk(
    model: DalleBart, state: DecodeState, *, steps: int, code_count: int
) -> DecodeState:
    """Advance every slot by ``steps`` tokens; finished and free slots stay as they are.

    Takes over ``state``: its buffers are reused and must not be read again.
    """

    def step(state: DecodeState, _: None) -> tuple[DecodeState, None]:
        return _decode_one(model, state, code_count), None

    return jax.lax.scan(step, state, None, length=steps)[0]


def _decode_one(model: DalleBart, state: DecodeState, code_count: int) -> DecodeState:
    slots = jnp.arange(state.last.shape[0])
    length = state.tokens.shape[1]
    is_drawing = state.position < length
    position = jnp.minimum(state.position, length - 1)
    twice = functools.partial(jnp.tile, reps=2)
    logits, cache = model.decoder.step(twice(state.last), twice(position), state.cache, *state.text)
    token = _next_token(logits.astype(jnp.float32), state, position, code_count)
    token = jnp.where(position < state.kept, state.tokens[slots, position], token)
    return state._replace(
        tokens=state.tokens.at[slots, position].set(
            jnp.where(is_drawing, token, state.tokens[slots, position])
        ),
        last=jnp.where(is_drawing, token, state.last),
        position=state.position + is_drawing,
        cache=cache,
    )


def _next_token(logits: Array, state: DecodeState, position: Array, code_count: int) -> Array:
    conditioned, unconditioned = jnp.split(logits[:, :code_count], 2)  # 2N V -> N V, N V
    guided = sampling.guide(conditioned, unconditioned, state.options.condition_scale)
    noise = sampling.gumbel(state.seed, state.picture_index, position, code_count)
    return sampling.choose(sampling.warp(guided, state.options), noise)


def _upscale(model: Upscaler, pixels: UInt8[Array, "B h w 3"]) -> UInt8[Array, "B H W 3"]:
    enlarged = model(pixels.astype(jnp.float32) / 255)
    return jnp.round(jnp.clip(enlarged, 0.0, 1.0) * 255).astype(jnp.uint8)


class _Painter(nnx.Module):
    """Tokens to pixels uint8; with an upscaler, ``upscaler.FACTOR`` times as wide and high."""

    def __init__(self, vqgan: Vqgan, upscaler: Upscaler | None) -> None:
        self.vqgan = vqgan
        self.upscaler = nnx.data(upscaler)

    def __call__(self, tokens: Int[Array, "B S"]) -> UInt8[Array, "B H W 3"]:
        pixels = jnp.clip(self.vqgan.decode(tokens).astype(jnp.float32), 0.0, 1.0)
        if self.upscaler is not None:
            pixels = jnp.clip(self.upscaler(pixels), 0.0, 1.0)
        return (pixels * 255).astype(jnp.uint8)  # truncated, as the original does


# --- between Python and arrays ---------------------------------------------------------


def _new_pictures(
    slot_count: int, placements: Sequence[Placement], config: DalleBartConfig
) -> NewPictures:
    by_slot = {placement.slot: placement for placement in placements}

    def each(value: Callable[[Placement], float], dtype: Any) -> Array:
        filled = (value(by_slot[slot]) if slot in by_slot else 0 for slot in range(slot_count))
        return jnp.asarray(np.fromiter(filled, dtype, slot_count))

    def option(field: str, dtype: Any) -> Array:
        return each(lambda placement: _option(placement.options, field, config), dtype)

    return NewPictures(
        is_new=each(lambda _: True, np.bool_),
        seed=each(lambda placement: placement.seed, np.uint32),
        picture_index=each(lambda placement: placement.index, np.int32),
        tokens=jnp.asarray(_kept_tokens(slot_count, placements, config.image_length)),
        kept=each(lambda placement: len(placement.keep), np.int32),
        options=RowOptions(
            temperature=option("temperature", np.float32),
            top_k=option("top_k", np.int32),
            top_p=option("top_p", np.float32),
            condition_scale=option("condition_scale", np.float32),
        ),
    )


def _kept_tokens(
    slot_count: int, placements: Sequence[Placement], length: int
) -> NDArray[np.int32]:
    tokens = np.zeros((slot_count, length), np.int32)
    for placement in placements:
        tokens[placement.slot, : len(placement.keep)] = placement.keep
    return tokens


def _option(options: SamplingOptions, field: str, config: DalleBartConfig) -> float:
    """The request's value, or what the checkpoint's config says."""
    asked = getattr(options, field)
    return getattr(config, field) if asked is None else asked


def _in_batches(function: Callable[[Any], Any], items: NDArray[Any]) -> NDArray[Any]:
    """Apply a batched function to any number of items with the compiled batch sizes only."""
    return np.concatenate([np.asarray(function(batch)) for batch in _batches(items)])


def _batches(items: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """E.g. 17 items, sizes 8 and 1: 8, 8, 1."""
    start = 0
    while start < len(items):
        size = next(s for s in _BATCH_SIZES if s <= len(items) - start)
        yield items[start : start + size]
        start += size


# --- loading ---------------------------------------------------------------------------


def load_runner(settings: RunnerSettings) -> JaxRunner:
    """Load a checkpoint (see ``engine.weights``); nothing is compiled yet.

    Raises:
        CheckpointError: Anything is missing, damaged, or does not fit together.
    """
    checkpoint_dir, slot_count = settings.checkpoint_dir, settings.slot_count
    if settings.cache_dir is not None:
        jax.config.update("jax_compilation_cache_dir", str(settings.cache_dir))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    dtype = _dtype_of(settings.dtype)
    dalle_bart = weights.load_model(weights.DALLE_BART, checkpoint_dir / "dalle_bart", dtype=dtype)
    vqgan = weights.load_model(weights.VQGAN, checkpoint_dir / "vqgan")
    clip = weights.load_model(weights.CLIP, checkpoint_dir / "clip")
    config = dalle_bart.config
    _check_fit(dalle_bart, checkpoint_dir)
    return JaxRunner(
        name=checkpoint_dir.name,
        slot_count=slot_count,
        dalle_bart=dalle_bart,
        vqgan=vqgan,
        clip=clip,
        upscaler=load_upscaler() if _side_px(config, vqgan) < _MIN_SIDE_PX else None,
        text_tokenizer=TextTokenizer.from_folder(
            checkpoint_dir / "dalle_bart",
            max_text_length=config.max_text_length,
            embedding_rows=config.encoder_vocab_size,
            normalise=config.normalize_text,
        ),
        clip_tokenizer=ClipTokenizer.from_folder(
            checkpoint_dir / "clip", context_length=clip.config.max_position_embeddings
        ),
        clip_pixels=ClipPixels.from_folder(checkpoint_dir / "clip", side_px=clip.config.image_size),
    )


def _dtype_of(name: str) -> Any:
    """The numbers of the decoder; ``auto`` is what suits the device that JAX has found."""
    if name == "auto":
        name = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    return jnp.dtype(name)


def _side_px(config: DalleBartConfig, vqgan: Vqgan) -> int:
    """The side of what the VQGAN draws."""
    return math.isqrt(config.image_length) * vqgan.config.downscale


def _check_fit(dalle_bart: DalleBart, checkpoint_dir: Path) -> None:
    length = dalle_bart.config.image_length
    if math.isqrt(length) ** 2 != length:
        raise CheckpointError(
            f"{checkpoint_dir / 'dalle_bart' / 'config.json'}: image_length {length} "
            "is no square number, so its tokens form no picture."
        )
