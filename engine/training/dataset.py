"""The pictures and captions of a training run: made once, seeded, kept beside the run."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.training.objects import load_sprites
from engine.training.scenes import caption, draw_scene, random_scene

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from engine.training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Scenes as the models see them.

    Attributes:
        pixels: uint8 [N, side, side, 3], mapped from disk.
        captions: For each scene, several wordings of the same thing.
    """

    pixels: NDArray[np.uint8]
    captions: list[list[str]]

    def batch_indices(self, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Which scenes a batch shows, drawn with replacement."""
        return rng.integers(0, len(self.captions), size)

    def pictures(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Pictures in [0, 1]."""
        return self.pixels[indices].astype(np.float32) / np.float32(255)

    def some_caption(self, index: int, rng: np.random.Generator) -> str:
        """One of the wordings of a scene."""
        wordings = self.captions[index]
        return wordings[int(rng.integers(len(wordings)))]


def dataset(recipe: Recipe, folder: Path) -> Dataset:
    """Read the dataset in ``folder``, making it first if it is not there."""
    pixels, captions = folder / "pixels.npy", folder / "captions.json"
    if not captions.exists():
        print(f"drawing {recipe.scene_count} scenes")
        _make(recipe, pixels, captions)
    return Dataset(
        pixels=np.load(pixels, mmap_mode="r"),
        captions=json.loads(captions.read_text(encoding="utf-8")),
    )


def _make(recipe: Recipe, pixels_path: Path, captions_path: Path) -> None:
    sprites = load_sprites(pixels_path.parent / "objects")
    rng = random.Random(recipe.seed)  # noqa: S311 - pictures, not secrets
    side = recipe.side_px
    pixels = np.lib.format.open_memmap(
        pixels_path, mode="w+", dtype=np.uint8, shape=(recipe.scene_count, side, side, 3)
    )
    captions: list[list[str]] = []
    for i in range(recipe.scene_count):
        scene = random_scene(rng)
        pixels[i] = draw_scene(scene, rng, side, sprites)
        captions.append([caption(scene, rng) for _ in range(recipe.captions_per_scene)])
    pixels.flush()
    captions_path.write_text(json.dumps(captions), encoding="utf-8")  # last: marks it whole
