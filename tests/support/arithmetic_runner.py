"""A runner whose every token can be computed by hand, for tests of all that is around it.

The next token is a function of everything before it in its slot, of the prompt, the seed,
the candidate's index and the options. Any mix-up of slots, requests or orders changes it,
and ``expected_tokens`` says what it must be, without slots. A picture is its tokens: each
is a pixel whose red is the token, so that ``encode`` can read them back.

The checkpoint folder is its switchboard: while the file ``hold`` is in it, no step is made
but one for every file ``pass``; a file ``broken`` is refused as a checkpoint, ``defective``
crashes the start (as often as the number in it says) and ``slow`` makes it endless; while
``stuck`` is in it, no picture is rendered, and with ``heavy`` each is 700 px a side. The
files ``explicit`` and ``suggestive`` hold the first tokens of pictures that are so. The
prompts "kill once ..." and "kill always ..." end the process in mid-drawing, "hang once ..."
hangs it, "unrankable ..." and "unplaceable ..." break their own request.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

import numpy as np

from engine.api import CheckpointError, PictureCheck
from engine.contract import Ranking, RunnerStats
from engine.verdicts import CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from engine.api import SamplingOptions
    from engine.contract import Placement, RunnerSettings

LOADER = f"{__name__}:load_runner"
CHUNK_COUNT = 32
CHUNK_STEPS = 2
TOKEN_COUNT = CHUNK_COUNT * CHUNK_STEPS
SIDE = 8
VOCABULARY = 251
HEAVY_SIDE_PX = 700


def next_token(
    history: Sequence[int], prompt: str, seed: int, index: int, options: SamplingOptions
) -> int:
    weighed = sum(place * token for place, token in enumerate(history, start=1))
    noise = 7 * seed + 31 * index + (options.top_k or 0)
    return (weighed + noise + sum(prompt.encode()) + len(history)) % VOCABULARY


def expected_tokens(
    prompt: str, seed: int, index: int, options: SamplingOptions, keep: tuple[int, ...] = ()
) -> tuple[int, ...]:
    history = list(keep)
    while len(history) < TOKEN_COUNT:
        history.append(next_token(history, prompt, seed, index, options))
    return tuple(history)


class ArithmeticRunner:
    """Implements ``engine.contract.Runner``."""

    model = "arithmetic"
    chunk_count = CHUNK_COUNT
    image_length = TOKEN_COUNT
    code_count = VOCABULARY
    picture_side_px = SIDE
    picture_check = PictureCheck.STANDARD

    def __init__(self, folder: Path, slot_count: int) -> None:
        self.slot_count = slot_count
        self.steps_made = 0
        self.vacated: list[int] = []
        self._folder = folder
        self._placed: dict[int, Placement] = {}
        self._history: list[list[int]] = [[] for _ in range(slot_count)]

    def warm_up(self) -> None:
        print("A library that prints must not disturb the messages.")  # noqa: T201 - it tests that
        while (self._folder / "slow").exists():
            time.sleep(0.002)
        self._perhaps_crash()

    def _perhaps_crash(self) -> None:
        defective = self._folder / "defective"
        if not defective.exists():
            return
        crashes_left = int(defective.read_text() or 1_000)
        if crashes_left:
            defective.write_text(str(crashes_left - 1))
            raise ZeroDivisionError("defective")

    def place(self, placements: Sequence[Placement]) -> None:
        if any(p.prompt.startswith("unplaceable") for p in placements):
            raise ValueError("unplaceable")
        for placement in placements:
            self._placed[placement.slot] = placement
            self._history[placement.slot] = []

    def step(self) -> None:
        self._wait_at_the_gate()
        self.steps_made += 1
        for slot, placement in self._placed.items():
            self._draw_chunk(self._history[slot], placement)

    def vacate(self, slots: Sequence[int]) -> None:
        self.vacated += slots
        for slot in slots:
            self._placed.pop(slot, None)

    def tokens(self, slots: Sequence[int]) -> NDArray[np.int32]:
        rows = np.full((len(slots), TOKEN_COUNT), VOCABULARY - 1, np.int32)  # "anything"
        for row, slot in zip(rows, slots, strict=True):
            row[: len(self._history[slot])] = self._history[slot]
        return rows

    def render(self, tokens: NDArray[np.int32]) -> NDArray[np.uint8]:
        while (self._folder / "stuck").exists():
            time.sleep(0.002)
        pixels = tokens.astype(np.uint8).reshape(-1, SIDE, SIDE, 1)
        pixels = np.concatenate([pixels, pixels, 255 - pixels], axis=-1)
        return _heavy(tokens) if (self._folder / "heavy").exists() else pixels

    def rank(self, prompt: str, pixels: NDArray[np.uint8]) -> Ranking:
        if prompt.startswith("unrankable"):
            raise ValueError("unrankable")
        return Ranking(pixels[..., 0].mean(axis=(1, 2)).astype(np.float32))

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        explicit, suggestive = (self._tokens_in(name) for name in ("explicit", "suggestive"))
        seen = np.zeros((len(pixels), len(CLASSES)), np.float32)
        for row, first in zip(seen, pixels[:, 0, 0, 0].tolist(), strict=True):
            kind = "Porn" if first in explicit else "Sexy" if first in suggestive else "Neutral"
            row[CLASSES.index(kind)] = 1.0
        return seen

    def _tokens_in(self, name: str) -> set[int]:
        file = self._folder / name
        return {int(word) for word in file.read_text().split()} if file.exists() else set()

    def upscale(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return pixels.repeat(4, axis=1).repeat(4, axis=2)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
        assert pixels.shape[1:] == (SIDE, SIDE, 3)
        return pixels[..., 0].reshape(-1, TOKEN_COUNT).astype(np.int32)

    def stats(self) -> RunnerStats:
        return RunnerStats(compile_count=3, text_cache_hits=2, text_cache_misses=1)

    def _wait_at_the_gate(self) -> None:
        while (self._folder / "hold").exists():
            with contextlib.suppress(FileNotFoundError):
                (self._folder / "pass").unlink()
                return
            time.sleep(0.002)

    def _draw_chunk(self, history: list[int], placed: Placement) -> None:
        if len(history) == CHUNK_STEPS:
            self._perhaps_die(placed)
        for _ in range(CHUNK_STEPS if len(history) < TOKEN_COUNT else 0):
            kept = placed.keep[len(history) : len(history) + 1]
            history += kept or (
                next_token(history, placed.prompt, placed.seed, placed.index, placed.options),
            )

    def _perhaps_die(self, placed: Placement) -> None:
        marker = self._folder / f"died of seed {placed.seed}"
        is_first_time = not marker.exists()
        if placed.prompt.startswith("kill always") or (
            placed.prompt.startswith("kill once") and is_first_time
        ):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if placed.prompt.startswith("hang once") and is_first_time:
            marker.touch()
            time.sleep(1_000)


def _heavy(tokens: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Noise, which no PNG makes smaller: 1.5 MB each."""
    noise = np.random.default_rng(int(tokens.sum()))
    shape = (len(tokens), HEAVY_SIDE_PX, HEAVY_SIDE_PX, 3)
    return noise.integers(0, 256, shape, np.uint8, endpoint=False)


def load_runner(settings: RunnerSettings) -> ArithmeticRunner:
    if (settings.checkpoint_dir / "broken").exists():
        raise CheckpointError(f"The checkpoint in {settings.checkpoint_dir} is broken.")
    return ArithmeticRunner(settings.checkpoint_dir, settings.slot_count)
