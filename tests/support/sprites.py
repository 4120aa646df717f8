"""Stand-ins for the pictures of everyday objects, which an npm package holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from engine.training.objects import Object, sprite_path

if TYPE_CHECKING:
    from pathlib import Path


def stand_in(one: Object) -> Image.Image:
    """A disc in a square, each in a colour of its own: a look of its own for every object."""
    rng = np.random.default_rng(list(Object).index(one))
    square, disc = (tuple(int(level) for level in rng.integers(0, 200, 3)) for _ in range(2))
    sprite = Image.new("RGB", (48, 48), square).convert("RGBA")
    ImageDraw.Draw(sprite).ellipse((8, 8, 39, 39), fill=disc)
    return sprite


SPRITES = {one: stand_in(one) for one in Object}


def write_stand_ins(folder: Path) -> None:
    """Put a stand-in for every object where a training run looks for its picture."""
    folder.mkdir(parents=True)
    for one, sprite in SPRITES.items():
        sprite.save(sprite_path(folder, one))
