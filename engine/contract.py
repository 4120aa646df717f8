"""What the engine process asks of whatever draws: the border between serving and arrays.

``engine.runner`` implements it with JAX; the tests have a runner that one can compute by
hand. Nothing here is slow to import.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from engine.api import PictureCheck

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from engine.api import SamplingOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSettings:
    """What a runner is made from.

    Attributes:
        checkpoint_dir: The folder of the weights.
        slot_count: Pictures drawn at once.
        cache_dir: Where compiled programs are kept for the next start.
        dtype: ``float32``, ``bfloat16``, ``float16``, or ``auto``: what suits the device.
        picture_check: How strictly pictures are looked at before they are handed over.
    """

    checkpoint_dir: Path
    slot_count: int
    cache_dir: Path | None = None
    dtype: str = "float32"
    picture_check: PictureCheck = PictureCheck.STANDARD


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A picture to begin: what it shows, which noise it starts from, and where it sits.

    Attributes:
        keep: Its first image tokens, given; the rest is drawn. It takes all chunks anyway.
    """

    slot: int
    prompt: str
    seed: int
    index: int
    options: SamplingOptions
    keep: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerStats:
    """What a runner counts.

    Attributes:
        compile_count: How often anything was traced; stands still after the warm-up.
        text_cache_hits: Prompts whose encoding was remembered.
        text_cache_misses: Prompts that had to be encoded.
        device_bytes: Memory in use on an accelerator; ``None`` where there is none.
    """

    compile_count: int = 0
    text_cache_hits: int = 0
    text_cache_misses: int = 0
    device_bytes: int | None = None


class Ranking(NamedTuple):
    """What CLIP says of pictures.

    Attributes:
        scores: Its logit [n] for each picture and the raw prompt.
        suspicions: How much likelier than harmless captions unsafe ones are [n], 0 to 1
            (``engine.verdicts``); ``None`` where it does not know their words.
    """

    scores: NDArray[np.float32]
    suspicions: NDArray[np.float32] | None = None


class Runner(Protocol):
    """What draws.

    ``place``, ``step``, ``vacate`` and ``tokens`` are called by one thread; ``render``,
    ``rank``, ``classify``, ``upscale``, ``encode`` and ``stats`` may be called by a second
    one meanwhile.
    """

    @property
    def slot_count(self) -> int:
        """Pictures drawn at once."""
        ...

    @property
    def chunk_count(self) -> int:
        """Chunks from an empty picture to a finished one."""
        ...

    @property
    def model(self) -> str:
        """Its name for people."""
        ...

    @property
    def image_length(self) -> int:
        """Image tokens of a picture."""
        ...

    @property
    def code_count(self) -> int:
        """Image tokens are smaller than this."""
        ...

    @property
    def picture_side_px(self) -> int:
        """The side of the square pictures that ``encode`` takes."""
        ...

    @property
    def picture_check(self) -> PictureCheck:
        """How strictly its pictures are to be looked at."""
        ...

    def warm_up(self) -> None:
        """Compile everything."""
        ...

    def place(self, placements: Sequence[Placement]) -> None:
        """Start pictures in slots; whatever was in them is forgotten."""
        ...

    def step(self) -> None:
        """Advance all slots by one chunk.

        May return before the device has done it, but lets the device fall no more than one
        chunk behind: what joins or leaves must not wait for long.
        """
        ...

    def vacate(self, slots: Sequence[int]) -> None:
        """Be told that these slots hold nothing any more: a hint that saves work."""
        ...

    def tokens(self, slots: Sequence[int]) -> NDArray[np.int32]:
        """Return image tokens [n, S]; waits for the device.

        The row of an unfinished slot holds what is drawn so far, and after it anything.
        """
        ...

    def render(self, tokens: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Turn image tokens [n, S] into pixels [n, h, w, 3]."""
        ...

    def rank(self, prompt: str, pixels: NDArray[np.uint8]) -> Ranking:
        """Return what CLIP says of pictures [n, h, w, 3] for the raw prompt."""
        ...

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability [n, 5] of each of ``engine.verdicts.CLASSES``.

        Not to be called where the picture check is off.
        """
        ...

    def upscale(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Enlarge pictures [n, h, w, 3] to [n, 4h, 4w, 3]."""
        ...

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Turn square pictures [n, side, side, 3] of the model's side into tokens [n, S]."""
        ...

    def stats(self) -> RunnerStats:
        """Return what is counted; blocks on nothing."""
        ...


class LoadRunner(Protocol):
    """How a runner is made: ``engine.runner.load_runner`` in earnest."""

    def __call__(self, settings: RunnerSettings, /) -> Runner:
        """Load a checkpoint.

        Raises:
            CheckpointError: It cannot be used.
        """
        ...
