from __future__ import annotations

import numpy as np

from engine.training.clip import alike, compared, halves
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


def plain(value: int) -> np.ndarray:
    return np.full((64, 64, 3), value, np.uint8)


def test_halves_of_two_pictures_are_put_together_in_every_way() -> None:
    pictures = np.stack([plain(value) for value in range(200)])

    mixed, differs = halves(pictures, np.random.default_rng(0))

    assert differs.all()
    ways: set[tuple[bool, ...]] = set()
    for value, picture in enumerate(mixed):
        own = picture[..., 0] == value
        assert (picture[~own] == (value - 1) % 200).all()
        assert own.mean() == 0.5
        ways.add((bool(own[0, 0]), bool(own[0, -1]), bool(own[-1, 0]), bool(own[-1, -1])))
    assert ways == {
        (True, True, False, False),
        (False, False, True, True),
        (True, False, True, False),
        (False, True, False, True),
    }


def test_what_is_still_one_of_the_two_does_not_count() -> None:
    empty, something = plain(255), plain(255)
    something[:32, :32] = 0
    mixtures = [halves(np.stack([empty, something]), np.random.default_rng(i)) for i in range(20)]

    for mixed, differs in mixtures:
        is_one_of_them = [
            (picture == empty).all() or (picture == something).all() for picture in mixed
        ]
        assert all(is_one_of_them)
        assert not differs.any()


def test_a_caption_is_compared_with_all_whole_pictures_and_with_mixtures_of_its_own() -> None:
    pictures = compared(4, np.array([True, True]))

    assert pictures.shape == (4, 6)
    assert pictures[:, :4].all()
    assert not pictures[:2, 4:].any()  # they were not mixed
    assert pictures[2:, 4:].all()  # of two, each mixture has halves of both

    # a mixture is of a picture and of the one before it
    assert compared(3, np.array([True, True, False]))[:, 3:].tolist() == [
        [True, True, False],
        [False, True, False],
        [True, False, False],
    ]
