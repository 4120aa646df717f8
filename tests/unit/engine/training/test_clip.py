from __future__ import annotations

import numpy as np

from engine.training.clip import alike
from engine.training.dataset import Dataset

COUNT = 5_000
RNG = np.random.default_rng(0)
BACKGROUNDS = RNG.integers(0, 17, COUNT).astype(np.int8)
COLOURS = RNG.integers(-1, 11, COUNT).astype(np.int8)
NOTHING = np.zeros((COUNT, 1, 1, 3), np.uint8)
DATA = Dataset(
    pixels=NOTHING,
    parts=NOTHING,
    paints=np.where(RNG.random((COUNT, 8, 8)) < 0.5, -2, COLOURS[:, None, None]),
    backgrounds=BACKGROUNDS,
    captions=[["a thing"]] * COUNT,
)


def test_half_of_a_batch_is_alike_in_background_and_colour() -> None:
    kinds: list[list[int]] = [[], []]
    for seed in range(50):
        indices = alike(DATA, 128, np.random.default_rng(seed))
        assert len(indices) == 128
        for half, counts in zip((indices[:64], indices[64:]), kinds, strict=True):
            counts.append(len({*zip(BACKGROUNDS[half], COLOURS[half], strict=True)}))

    any_of_204, alike_ones = map(np.mean, kinds)
    assert any_of_204 > 40
    assert alike_ones < 20
    assert len({*alike(DATA, 128, np.random.default_rng(1))}) > 120
