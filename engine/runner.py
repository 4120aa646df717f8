"""The only caller of compiled functions: places pictures in slots, steps, renders, ranks.

All compiled shapes are known when the runner is built. ``slot_count`` pictures are drawn at
once; how they lie in arrays is told in ``engine.decoding``, in which widths the token loop
runs in ``engine.programs``.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from engine import decoding, weights
from engine.api import CheckpointError, PictureCheck, SamplingOptions
from engine.clip_pixels import ClipPixels
from engine.contract import Placement, RunnerStats
from engine.decoding import NewPictures
from engine.models import decode_step
from engine.painting import Inspector, Painter, Ranker
from engine.programs import Program, TokenLoop, Tracer, compile_all, widths
from engine.sampling import RowOptions
from engine.text import ClipTokenizer, TextTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jaxtyping import Array
    from numpy.typing import NDArray

    from engine.contract import Ranking, RunnerSettings
    from engine.models.dalle_bart import DalleBart, DalleBartConfig, Encoder
    from engine.models.decode_step import StepWeights
    from engine.text import TextIds

_CHUNK_STEPS = 8
_REMEMBERED_PROMPTS = 64


class JaxRunner:
    """Draws with one checkpoint on one device. Implements ``engine.contract.Runner``.

    Attributes:
        slot_count: Pictures drawn at once.
        chunk_count: Chunks from an empty picture to a finished one.
        model: The checkpoint's name, for people.
        image_length: Image tokens of a picture.
        code_count: Image tokens are smaller than this.
        picture_side_px: The side of what the VQGAN draws and reads.
        picture_check: How strictly its pictures are to be looked at.
    """

    def __init__(
        self,
        *,
        name: str,
        slot_count: int,
        tracer: Tracer,
        drawer: Drawer,
        painter: Painter,
        ranker: Ranker,
        picture_check: PictureCheck,
        inspector: Inspector | None,
    ) -> None:
        self.model = name
        self.slot_count = slot_count
        self.chunk_count = drawer.chunk_count
        self.image_length = drawer.config.image_length
        self.code_count = drawer.code_count
        self.picture_side_px = painter.side_px
        self.picture_check = picture_check
        self._tracer = tracer
        self._drawer = drawer
        self._painter = painter
        self._ranker = ranker
        self._inspector = inspector
        self._chunks_drawn: dict[int, int] = {}  # of each slot with an unfinished picture
        self._pending: Any = None

    def __repr__(self) -> str:
        return f"<JaxRunner {self.model}, {len(self._chunks_drawn)}/{self.slot_count} slots held>"

    @property
    def trace_count(self) -> int:
        """How often anything was traced: stands still after ``warm_up``."""
        return self._tracer.count

    def warm_up(self) -> None:
        """Compile everything that will ever run, and try out what may be trusted."""
        painter, ranker, inspector = self._painter, self._ranker, self._inspector
        looking = [] if inspector is None else inspector.programs
        compile_all([*self._drawer.programs, *painter.programs, *ranker.programs, *looking])
        self._drawer.keep_equal_widths()
        pixels = painter.render(np.zeros((1, self.image_length), np.int32))
        ranker.rank(" ", pixels)
        painter.upscale(pixels)
        if inspector is not None:
            inspector.classify(pixels)

    def place(self, placements: Sequence[Placement]) -> None:
        """Start pictures in slots; whatever was in them is forgotten."""
        self._drawer.place(placements)
        self._chunks_drawn.update((placement.slot, 0) for placement in placements)

    def step(self) -> None:
        """Advance all held slots by one chunk; waits until the chunk before is done."""
        if not self._chunks_drawn:
            return
        pending, self._pending = (
            self._pending,
            self._drawer.step(max(self._chunks_drawn) + 1, max(self._chunks_drawn.values()) + 1),
        )
        jax.block_until_ready(pending)
        self._chunks_drawn = {
            slot: drawn + 1
            for slot, drawn in self._chunks_drawn.items()
            if drawn + 1 < self.chunk_count
        }

    def vacate(self, slots: Sequence[int]) -> None:
        """Let nothing be spent on these slots any more."""
        for slot in slots:
            self._chunks_drawn.pop(slot, None)

    def tokens(self, slots: Sequence[int]) -> NDArray[np.int32]:
        """Image tokens int32 [n, S]; see ``engine.contract.Runner``."""
        return self._drawer.tokens()[list(slots)]

    def render(self, tokens: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Pictures uint8 [n, h, w, 3] of image tokens int32 [n, S]."""
        return self._painter.render(tokens)

    def rank(self, prompt: str, pixels: NDArray[np.uint8]) -> Ranking:
        """What CLIP says of pictures uint8 [n, h, w, 3] for the raw prompt."""
        return self._ranker.rank(prompt, pixels)

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities float32 [n, 5] of classes for pictures uint8 [n, h, w, 3]."""
        if self._inspector is None:
            raise ValueError("the picture check is off")
        return self._inspector.classify(pixels)

    def upscale(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pictures uint8 [n, 4h, 4w, 3] of pictures uint8 [n, h, w, 3]."""
        return self._painter.upscale(pixels)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Image tokens int32 [n, S] of pictures uint8 [n, side, side, 3]."""
        return self._painter.encode(pixels)

    def stats(self) -> RunnerStats:
        """What was counted so far."""
        memory = jax.local_devices()[0].memory_stats() or {}
        return RunnerStats(
            compile_count=self.trace_count,
            text_cache_hits=self._drawer.text_hits,
            text_cache_misses=self._drawer.text_misses,
            device_bytes=memory.get("bytes_in_use"),
        )


class EncodedText(NamedTuple):
    """A prompt's encoder states [1, T, D], and which positions count [1, T]."""

    states: Array
    mask: NDArray[np.bool_]


class Drawer:
    """The programs around the token loop, and the state they change.

    Attributes:
        config: Of DalleBart.
        code_count: Image tokens are smaller than this.
        chunk_count: Chunks from an empty picture to a finished one.
        text_hits: Prompts whose encoding was remembered.
        text_misses: Prompts that had to be encoded.
    """

    def __init__(
        self,
        tracer: Tracer,
        dalle_bart: DalleBart,
        tokenizer: TextTokenizer,
        *,
        slot_count: int,
        code_count: int,
        dtype: Any,
    ) -> None:
        """Lay the decoder out anew and begin with all slots free; compiles the encoder.

        Args:
            tracer: Is told of every compilation.
            dalle_bart: With parameters; those of its decoder are copied.
            tokenizer: Of the checkpoint.
            slot_count: Pictures drawn at once.
            code_count: Image tokens that may be drawn.
            dtype: Of matrices, keys and values.
        """
        self.config = config = dalle_bart.config
        self.code_count = code_count
        self.text_hits = self.text_misses = 0
        self._slot_count = slot_count
        self._chunk_steps = math.gcd(config.image_length, _CHUNK_STEPS)
        self.chunk_count = config.image_length // self._chunk_steps
        self._tokenizer = tokenizer
        self._texts: OrderedDict[str, EncodedText] = OrderedDict()
        step_weights = decode_step.step_weights(dalle_bart.decoder, code_count)
        self._encode = self._encoder_program(tracer, dalle_bart.encoder)
        self._state = decoding.empty_state(config, slot_count, self._nothing(step_weights), dtype)
        self._place = self._place_program(tracer, step_weights)
        self._loop = self._token_loop(tracer, step_weights)

    def _encoder_program(self, tracer: Tracer, encoder: Encoder) -> Program:
        graph, state = nnx.split(encoder)
        text = self._tokenizer.unconditional

        def encode(state: Any, ids: Any, mask: Any) -> Any:
            return nnx.merge(graph, state)(ids, mask)

        return Program(tracer, encode, state, (text.ids[None], text.mask[None].astype(bool)))

    def _nothing(self, step_weights: StepWeights) -> tuple[decode_step.Memory, ...]:
        """The memory of no text; only the few positions that count."""
        text = self._tokenizer.unconditional
        states = self._encoded(text).states[:, : int(text.mask.sum())]
        heads = self.config.decoder_attention_heads
        return jax.jit(lambda w, s: decode_step.remember_text(w, s, heads))(step_weights, states)

    def _place_program(self, tracer: Tracer, step_weights: StepWeights) -> Program:
        config = self.config

        def place(step_weights: StepWeights, *args: Any) -> Any:
            return decoding.place(
                step_weights,
                *args,
                start_token=config.decoder_start_token_id,
                head_count=config.decoder_attention_heads,
            )

        text = self._encoded(self._tokenizer.unconditional)
        example = (self._state, *text, _new_pictures(self._slot_count, [], config))
        return Program(tracer, place, step_weights, example, takes_over=True)

    def _token_loop(self, tracer: Tracer, step_weights: StepWeights) -> TokenLoop:
        steps = self._chunk_steps

        def program(count: int, length: int) -> Program:
            def chunk(step_weights: StepWeights, state: Any) -> Any:
                state = decoding.decode_chunk(
                    step_weights, state, steps=steps, count=count, length=length
                )
                return state, jnp.sum(state.position)  # the sum may be waited for

            return Program(tracer, chunk, step_weights, (self._state,), takes_over=True)

        them = widths(self._slot_count, self.config.image_length, steps)
        return TokenLoop({width: program(*width) for width in them})

    @property
    def programs(self) -> list[Program]:
        """To be compiled."""
        return [self._place, *self._loop.all]

    def place(self, placements: Sequence[Placement]) -> None:
        """Start pictures in slots."""
        by_prompt: dict[str, list[Placement]] = {}
        for placement in placements:
            by_prompt.setdefault(placement.prompt, []).append(placement)
        for prompt, same_prompt in by_prompt.items():
            new = _new_pictures(self._slot_count, same_prompt, self.config)
            self._state = self._place(self._state, *self._text_of(prompt), new)

    def step(self, slot_count: int, chunk_count: int) -> Array:
        """Advance the first ``slot_count`` slots by one chunk, at most their ``chunk_count``-th.

        Returns:
            Something to wait for until the device has done it.
        """
        program = self._loop.narrowest(slot_count, chunk_count * self._chunk_steps)
        self._state, done = program(self._state)
        return done

    def tokens(self) -> NDArray[np.int32]:
        """The image tokens of all slots, int32 [N, S]; waits for the device."""
        return np.asarray(self._state.tokens)

    def keep_equal_widths(self) -> None:
        """Give up the widths of the token loop that round otherwise than the whole."""
        self._loop.keep_equal(self._evidence_of)

    def _evidence_of(self, program: Program) -> bytes:
        """The bits of a first chunk: the tokens, and what the last layer remembers of them.

        Everything before the last layer goes into what it remembers, and the tokens stand
        for what comes after it.
        """
        probe = Placement(slot=0, prompt=" ", seed=1, index=0, options=SamplingOptions())
        self.place([probe])
        self._state, _ = program(self._state)
        last = self._state.cache[-1]
        rows, steps = np.array([0, self._slot_count]), self._chunk_steps
        seen = (self._state.tokens[0, :steps], *(part[rows, :, :steps] for part in last))
        return b"".join(np.asarray(part).tobytes() for part in seen)

    def _text_of(self, prompt: str) -> EncodedText:
        """The prompt as the decoder reads it; the last few are remembered."""
        if prompt in self._texts:
            self.text_hits += 1
        else:
            self.text_misses += 1
            self._texts[prompt] = self._encoded(self._tokenizer.encode(prompt))
        self._texts.move_to_end(prompt)
        if len(self._texts) > _REMEMBERED_PROMPTS:
            self._texts.popitem(last=False)
        return self._texts[prompt]

    def _encoded(self, text: TextIds) -> EncodedText:
        mask = text.mask[None].astype(bool)
        return EncodedText(self._encode(text.ids[None], mask), mask)


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

    tokens = np.zeros((slot_count, config.image_length), np.int32)
    for placement in placements:
        tokens[placement.slot, : len(placement.keep)] = placement.keep
    return NewPictures(
        is_new=each(lambda _: True, np.bool_),
        tokens=jnp.asarray(tokens),
        kept_count=each(lambda placement: len(placement.keep), np.int32),
        seed=each(lambda placement: placement.seed, np.uint32),
        picture_index=each(lambda placement: placement.index, np.int32),
        options=RowOptions(
            temperature=option("temperature", np.float32),
            top_k=option("top_k", np.int32),
            top_p=option("top_p", np.float32),
            condition_scale=option("condition_scale", np.float32),
        ),
    )


def _option(options: SamplingOptions, field: str, config: DalleBartConfig) -> float:
    """The request's value, or what the checkpoint's config says."""
    asked = getattr(options, field)
    return getattr(config, field) if asked is None else asked


# --- loading ---------------------------------------------------------------------------


def load_runner(settings: RunnerSettings) -> JaxRunner:
    """Load a checkpoint (see ``engine.weights``); little is compiled yet.

    DalleBart's numbers are of ``settings.dtype``; VQGAN and CLIP stay in float32, as in the
    original: they are a small part of the work.

    Raises:
        CheckpointError: Anything is missing, damaged, or does not fit together.
    """
    folder = settings.checkpoint_dir
    if settings.cache_dir is not None:
        jax.config.update("jax_compilation_cache_dir", str(settings.cache_dir))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    dtype = _dtype_of(settings.dtype)
    dalle_bart = weights.load_model(weights.DALLE_BART, folder / "dalle_bart", dtype=dtype)
    vqgan = weights.load_model(weights.VQGAN, folder / "vqgan")
    clip = weights.load_model(weights.CLIP, folder / "clip")
    config = dalle_bart.config
    _check_fit(dalle_bart, folder)
    tracer = Tracer()
    drawer = Drawer(
        tracer,
        dalle_bart,
        TextTokenizer.from_folder(
            folder / "dalle_bart",
            max_text_length=config.max_text_length,
            embedding_rows=config.encoder_vocab_size,
            normalise=config.normalize_text,
        ),
        slot_count=settings.slot_count,
        code_count=min(vqgan.config.n_embed, config.image_vocab_size),
        dtype=dtype,
    )
    upscaler = weights.load_upscaler()
    ranker = Ranker(
        tracer,
        clip,
        ClipTokenizer.from_folder(
            folder / "clip", context_length=clip.config.max_position_embeddings
        ),
        ClipPixels.from_folder(folder / "clip", side_px=clip.config.image_size),
        is_suspicious=settings.picture_check is not PictureCheck.OFF and clip.config.knows_words,
    )
    painter = Painter(tracer, vqgan, upscaler, image_length=config.image_length)
    inspector = None
    if settings.picture_check is not PictureCheck.OFF:
        inspector = Inspector(
            tracer, weights.load_safety_net(), picture_side_px=painter.rendered_side_px
        )
    return JaxRunner(
        name=folder.name,
        slot_count=settings.slot_count,
        tracer=tracer,
        drawer=drawer,
        painter=painter,
        ranker=ranker,
        picture_check=settings.picture_check,
        inspector=inspector,
    )


def _dtype_of(name: str) -> Any:
    """The numbers of DalleBart; ``auto`` is what suits the device that JAX has found."""
    if name == "auto":
        name = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    return jnp.dtype(name)


def _check_fit(dalle_bart: DalleBart, checkpoint_dir: Path) -> None:
    length = dalle_bart.config.image_length
    if math.isqrt(length) ** 2 != length:
        raise CheckpointError(
            f"{checkpoint_dir / 'dalle_bart' / 'config.json'}: image_length {length} "
            "is no square number, so its tokens form no picture."
        )
