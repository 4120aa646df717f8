"""A runner whose every token can be computed by hand, for tests of all that is around it.

The next token is a function of everything before it in its slot, of the prompt, the seed,
the candidate's index and the options. Any mix-up of slots, requests or orders changes it,
and ``expected_tokens`` says what it must be, without slots.

The checkpoint folder is its switchboard: while the file ``hold`` is in it, no step is made
but one for every file ``pass``; a file ``broken`` is refused as a checkpoint, ``defective``
crashes the start and ``slow`` makes it endless. The prompts "kill once ..." and "kill always
..." end the process in mid-drawing, "unrankable ..." and "unplaceable ..." break their own
request.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

import numpy as np

from engine.api import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from engine.api import SamplingOptions
    from engine.process import Placement

LOADER = f"{__name__}:load_runner"
CHUNK_COUNT = 32
CHUNK_STEPS = 2
TOKEN_COUNT = CHUNK_COUNT * CHUNK_STEPS
SIDE = 8
VOCABULARY = 251


def next_token(
    history: Sequence[int], prompt: str, seed: int, index: int, options: SamplingOptions
) -> int:
    weighed = sum(place * token for place, token in enumerate(history, start=1))
    noise = 7 * seed + 31 * index + (options.top_k or 0)
    return (weighed + noise + sum(prompt.encode()) + len(history)) % VOCABULARY


def expected_tokens(
    prompt: str, seed: int, index: int, options: SamplingOptions
) -> tuple[int, ...]:
    history: list[int] = []
    while len(history) < TOKEN_COUNT:
        history.append(next_token(history, prompt, seed, index, options))
    return tuple(history)


class ArithmeticRunner:
    """Implements ``engine.process.Runner``."""

    model = "arithmetic"
    chunk_count = CHUNK_COUNT

    def __init__(self, folder: Path, slot_count: int) -> None:
        self.slot_count = slot_count
        self.steps_made = 0
        self._folder = folder
        self._placed: dict[int, Placement] = {}
        self._history: list[list[int]] = [[] for _ in range(slot_count)]

    def warm_up(self) -> None:
        print("A library that prints must not disturb the messages.")  # noqa: T201 - it tests that
        while (self._folder / "slow").exists():
            time.sleep(0.002)
        if (self._folder / "defective").exists():
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

    def tokens(self, slots: Sequence[int]) -> NDArray[np.int32]:
        return np.array([self._history[slot] for slot in slots], np.int32)

    def render(self, tokens: NDArray[np.int32]) -> NDArray[np.uint8]:
        pixels = tokens.astype(np.uint8).reshape(-1, SIDE, SIDE, 1)
        return np.concatenate([pixels, pixels, 255 - pixels], axis=-1)

    def rank(self, prompt: str, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        if prompt.startswith("unrankable"):
            raise ValueError("unrankable")
        return pixels[..., 0].mean(axis=(1, 2)).astype(np.float32)

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
            token = next_token(history, placed.prompt, placed.seed, placed.index, placed.options)
            history.append(token)

    def _perhaps_die(self, placed: Placement) -> None:
        marker = self._folder / f"died of seed {placed.seed}"
        is_first_time = not marker.exists()
        if placed.prompt.startswith("kill always") or (
            placed.prompt.startswith("kill once") and is_first_time
        ):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def load_runner(checkpoint_dir: Path, slot_count: int, cache_dir: Path | None) -> ArithmeticRunner:
    del cache_dir  # nothing is compiled
    if (checkpoint_dir / "broken").exists():
        raise CheckpointError(f"The checkpoint in {checkpoint_dir} is broken.")
    return ArithmeticRunner(checkpoint_dir, slot_count)
