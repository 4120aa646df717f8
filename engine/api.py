"""What the engine takes, tells and refuses.

This module is the border of the engine: plain data, no JAX, nothing that is slow to
import. It knows nothing of people, platforms or quotas.

The family of errors::

    EngineError                 anything the engine can raise
    ├── InvalidRequestError     the request itself is wrong; nothing was queued
    ├── CheckpointError         the weights cannot be used
    │   └── FetchError          ... or not be fetched (``engine.sources.files``)
    ├── EngineBusyError         the waiting line is full; try again later
    ├── EngineClosedError       the engine was closed before the pictures were done
    ├── DrawingFailedError      the engine broke while it was drawing
    └── PicturesWithheldError   the pictures are drawn, and none of them may be shown
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

DEMO_CHECKPOINT = Path(__file__).parent / "assets" / "demo"
"""The folder of the small model that ships with the package."""

MAX_PROMPT_CHARS = 1_000
MAX_PICTURE_COUNT = 16
MAX_SEED = 2**32 - 1
MAX_KEPT_TOKENS = 4_096


class EngineError(Exception):
    """Anything the engine can raise. ``str(error)`` is one sentence for a person."""


class InvalidRequestError(EngineError):
    """The request is wrong in itself; the sentence says what to change."""


class CheckpointError(EngineError):
    """The weights are missing, damaged or of a kind this engine does not draw with."""


class EngineBusyError(EngineError):
    """The waiting line is full.

    Attributes:
        retry_after_s: When there will probably be room again.
    """

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"The engine is busy, try again in {math.ceil(retry_after_s)} s.")
        self.retry_after_s = retry_after_s


class EngineClosedError(EngineError):
    """The engine was closed before the pictures were done."""


class DrawingFailedError(EngineError):
    """The engine broke while it was drawing this request."""


class PicturesWithheldError(EngineError):
    """The pictures were drawn, and the picture check lets none of them be shown."""


class PictureCheck(StrEnum):
    """How strictly the engine looks at pictures before it hands them over."""

    OFF = "off"
    STANDARD = "standard"
    STRICT = "strict"


class Verdict(StrEnum):
    """What the picture check says of a picture.

    An unsafe one never leaves the engine. A borderline one does: whoever shows it hides it
    behind a click.
    """

    SAFE = "safe"
    BORDERLINE = "borderline"
    UNSAFE = "unsafe"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingOptions:
    """How tokens are chosen. ``None`` means: as the checkpoint's ``config.json`` says.

    The released checkpoints say nothing, which means temperature 1, the 50 best tokens
    and a condition scale of 10 (the official pipeline's).

    Source: dalle-mini 0.1.5, ``generate`` (``None`` is the config's value, 0 is "off").
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    condition_scale: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no sampler can do.

        Raises:
            InvalidRequestError: A value is not finite or out of range.
        """
        _check_range("temperature", self.temperature, 0.01, 10.0)
        _check_range("top_k", self.top_k, 0, 65_536)
        _check_range("top_p", self.top_p, 0.01, 1.0)
        _check_range("condition_scale", self.condition_scale, 0.0, 100.0)


class Priority(IntEnum):
    """Classes of requests: those of a higher class are drawn first."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawRequest:
    """One prompt, and how many pictures of it.

    ``seed`` is ``None`` until somebody chooses one; the engine draws only with a seed.
    The same prompt, seed, options and kept tokens always give the same pictures.

    Attributes:
        keep: The first image tokens of every picture, in raster order, given instead of
            drawn: the upper part of a picture (``Picture.tokens``, ``Engine.encode``) to be
            completed. With a prefix of a picture's own tokens, seed and index, the same
            picture comes out.
        preview: Whether to tell ``Preview`` events.
        strict: Whether to look at the pictures as ``PictureCheck.STRICT`` does, unless the
            check is off. It changes no picture, only which of them are handed over.
    """

    prompt: str
    picture_count: int = 9
    seed: int | None = None
    options: SamplingOptions = field(default_factory=SamplingOptions)
    keep: tuple[int, ...] = ()
    preview: bool = False
    strict: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn.

        Raises:
            InvalidRequestError: With the sentence that says what to change.
        """
        if any("\ud800" <= char <= "\udfff" for char in self.prompt):  # no UTF-8 holds them
            raise InvalidRequestError("The prompt holds half a character: type it again.")
        if not self.prompt.strip():
            raise InvalidRequestError("The prompt is empty: say in a few words what to draw.")
        if len(self.prompt) > MAX_PROMPT_CHARS:
            raise InvalidRequestError(
                f"The prompt has {len(self.prompt):,} characters; "
                f"shorten it to {MAX_PROMPT_CHARS:,} or fewer."
            )
        _check_range("picture count", self.picture_count, 1, MAX_PICTURE_COUNT)
        _check_range("seed", self.seed, 0, MAX_SEED)
        if len(self.keep) > MAX_KEPT_TOKENS or any(token < 0 for token in self.keep):
            raise InvalidRequestError(
                "The picture to complete is none that this bot drew: draw or upload it again."
            )


def _check_range(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:  # NaN compares false: refused too
        raise InvalidRequestError(f"The {name} must be between {low} and {high}, not {value}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """The request waits; ``pictures_ahead`` pictures will be drawn before its first.

    Attributes:
        eta_s: Seconds until the result, if nobody overtakes; ``None`` is not known yet.
    """

    pictures_ahead: int
    eta_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The request is being drawn; ``fraction`` (0 to 1) of its tokens are there.

    Attributes:
        eta_s: Seconds until the result; ``None`` is not known yet.
    """

    fraction: float
    eta_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What is there of a request that asked for previews; told seldom, or not at all.

    A picture that is not safe as it stands is left blank.

    Attributes:
        fraction: Which part (0 to 1) of its tokens was there.
        picture: A WebP grid of its pictures in the order of their index; what is not drawn
            yet is blank.
    """

    fraction: float
    picture: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture.

    Attributes:
        png: The encoded picture, with prompt, seed and model in its metadata.
        score: CLIP's logit for this picture and the raw prompt; higher is better.
        index: Which of the request's candidates it is: (seed, index) fixes its noise.
        tokens: Its image tokens, in raster order.
        verdict: Whether it may be shown openly; ``UNSAFE`` ones are not handed over.
        safety: What the picture check saw: a probability for each of its classes; empty if
            it is off.
    """

    png: bytes
    score: float
    index: int
    tokens: tuple[int, ...]
    verdict: Verdict = Verdict.SAFE
    safety: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Where the time of one request went, in seconds."""

    waited_s: float
    decoded_s: float
    rendered_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The end of a request: its pictures, best first, and all of them in one grid.

    Attributes:
        withheld_count: How many more were drawn and are not safe to show.
    """

    pictures: tuple[Picture, ...]
    grid_png: bytes
    seed: int
    model: str
    timings: Timings
    withheld_count: int = 0

    @property
    def verdict(self) -> Verdict:
        """What holds for the grid: borderline if one of its pictures is."""
        are_safe = all(picture.verdict is Verdict.SAFE for picture in self.pictures)
        return Verdict.SAFE if are_safe else Verdict.BORDERLINE


DrawEvent = Queued | Drawing | Preview | Drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """How an engine is doing.

    Attributes:
        slot_count: Pictures that can be drawn at once; 0 while the engine is not ready.
        busy_slot_count: How many are being drawn.
        waiting_picture_count: How many wait for a slot.
        finishing_picture_count: How many are drawn and wait to be rendered and ranked.
        chunks_per_s: Decode chunks in the last minute, per second.
        pictures_per_s: Pictures handed over in the last minute, per second.
        chunk_s: What a chunk took lately; ``None`` before the first.
        text_cache_hits: Prompts whose encoding was remembered.
        text_cache_misses: Prompts that had to be encoded.
        compile_count: How often anything was compiled; stands still after the start.
        restart_count: How often the process was started again.
        memory_bytes: Resident memory of the engine's processes.
        device_bytes: Memory in use on accelerators; ``None`` where there is none.
    """

    slot_count: int = 0
    busy_slot_count: int = 0
    waiting_picture_count: int = 0
    finishing_picture_count: int = 0
    chunks_per_s: float = 0.0
    pictures_per_s: float = 0.0
    chunk_s: float | None = None
    text_cache_hits: int = 0
    text_cache_misses: int = 0
    compile_count: int = 0
    restart_count: int = 0
    memory_bytes: int = 0
    device_bytes: int | None = None


class Engine(Protocol):
    """Something that draws. Safe to share between all callers of one event loop."""

    def draw(
        self, request: DrawRequest, *, requester: str = "", priority: Priority = Priority.NORMAL
    ) -> AsyncGenerator[DrawEvent]:
        """Draw ``request``, telling how far it is; the last event is a ``Drawn``.

        Closing the generator gives the request up. A request without a seed gets a
        random one. While the engine starts, requests wait.

        Args:
            request: What to draw.
            requester: Any key: the engine is shared fairly between keys.
            priority: Those of a higher class are drawn first.

        Pictures that are not safe are withheld: fewer come than were asked for.

        Raises:
            PicturesWithheldError: Not one of them is safe.
            EngineError: One of its subclasses, from the iteration.
        """
        ...

    async def upscale(self, picture: bytes) -> bytes:
        """Return a picture four times as wide and high, as a PNG that says how it was made.

        Raises:
            InvalidRequestError: It is no picture, or too big.
            EngineError: The engine broke or was closed.
        """
        ...

    async def encode(self, picture: bytes) -> tuple[int, ...]:
        """Return the image tokens of any picture, of which a square is cut out of the middle.

        Raises:
            InvalidRequestError: It is no picture, or too big.
            EngineError: The engine broke or was closed.
        """
        ...

    async def render(self, request: DrawRequest, index: int, tokens: tuple[int, ...]) -> bytes:
        """Return the PNG of a picture that was drawn, from its tokens: no step is drawn anew.

        The same device makes of ``Picture.tokens`` the very file that ``Picture.png`` was.

        Args:
            request: What it was drawn for, with its seed; it is written into the file.
            index: ``Picture.index``.
            tokens: ``Picture.tokens``.

        Raises:
            InvalidRequestError: They are not the tokens of a picture of this model, or the
                request has no seed.
            EngineError: The engine broke or was closed.
        """
        ...

    async def stats(self) -> EngineStats:
        """Look how the engine is doing; answers also while it starts."""
        ...

    async def start(self) -> None:
        """Load the weights and compile; returns when the first request would be drawn.

        Raises:
            CheckpointError: The weights cannot be used.
        """
        ...

    async def close(self) -> None:
        """Give up what is not done (``EngineClosedError``) and free the device."""
        ...
