"""The whole engine path, tokens to scores, against the numbers of the original code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.api import SamplingOptions
from engine.contract import Placement
from tests.support.tiny import golden

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine.runner import JaxRunner

PROMPTS: list[str] = json.loads(str(golden("dalle_mini_tiny")["prompts_json"]))


def draw(runner: JaxRunner, placements: list[Placement]) -> NDArray[np.int32]:
    runner.place(placements)
    for _ in range(runner.chunk_count):
        runner.step()
    return runner.tokens([placement.slot for placement in placements])


def greedy(scale: float) -> SamplingOptions:
    return SamplingOptions(top_k=1, condition_scale=scale)


@pytest.mark.parametrize("scale", [1, 3, 10])
def test_greedy_tokens_equal_those_of_the_original(runner: JaxRunner, scale: int) -> None:
    expected = golden("dalle_mini_tiny")[f"greedy_sequences_cond{scale}"]

    tokens = draw(
        runner,
        [
            Placement(slot=slot, prompt=prompt, seed=slot, index=0, options=greedy(scale))
            for slot, prompt in enumerate(PROMPTS)
        ],
    )

    np.testing.assert_array_equal(tokens, expected[:, 1:])


def test_greedy_tokens_of_mega_equal_those_of_the_original(mega_runner: JaxRunner) -> None:
    """Scales 3 and 10 share a batch: its rows have their own options."""
    expected = golden("dalle_mega_tiny")
    prompt = json.loads(str(expected["prompts_json"]))[1]

    tokens = draw(
        mega_runner,
        [
            Placement(slot=slot, prompt=prompt, seed=slot, index=0, options=greedy(scale))
            for slot, scale in enumerate((3, 10))
        ],
    )

    for row, scale in enumerate((3, 10)):
        np.testing.assert_array_equal(tokens[row], expected[f"greedy_sequences_cond{scale}"][1, 1:])


def test_pixels_and_ranking_equal_those_of_the_original(runner: JaxRunner) -> None:
    expected = golden("pipeline")

    pixels = runner.render(expected["image_tokens"])
    scores = np.stack([runner.rank(prompt, pixels).scores for prompt in PROMPTS[:2]], axis=1)

    np.testing.assert_allclose(pixels.astype(int), expected["images_uint8"].astype(int), atol=1)
    np.testing.assert_allclose(scores, expected["clip_logits_per_image"], atol=1e-3)
