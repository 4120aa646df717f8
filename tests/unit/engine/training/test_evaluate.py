from __future__ import annotations

import numpy as np

from engine.training.colours import Colour
from engine.training.evaluate import distinct_count
from engine.training.scenes import Item, Place, Scene, Size, draw_at
from engine.training.things import Thing

SCENE = Scene(items=(Item(thing=Thing.SPHERE, colour=Colour.GRAY),), size=Size.SMALL)


def at(left: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return draw_at([Place(left=left, top=2, extent=4)], SCENE, 64)


def test_a_thing_somewhere_else_is_another_picture_and_noise_is_none() -> None:
    noise = np.random.default_rng(0).integers(0, 4, (64, 64, 3))
    noisy = np.clip(at(0) + noise, 0, 255).astype(np.uint8)

    assert distinct_count([[at(0), noisy, at(0)]]) == 1
    assert distinct_count([[at(0), at(1), noisy, at(4), at(1)]]) == 3
    assert distinct_count([[at(0)], [at(0), at(2)]]) == 1.5
