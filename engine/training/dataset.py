"""The pictures and captions of a training run: made once, seeded, kept beside the run."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.training.collage import BACKGROUNDS, Covers, in_part_colours, in_unit
from engine.training.objects import load_sprites
from engine.training.scenes import CELLS, Place, Scene, caption, draw_at, places_of, random_scene

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from engine.training.recipe import Recipe


class Sample(NamedTuple):
    """One scene of a training run, where its things stand, and what it is called."""

    scene: Scene
    places: list[Place]
    captions: list[str]


def sample(seed: int, number: int, caption_count: int = 1) -> Sample:
    """Return the training scene with a number, which is the same one each time."""
    rng = random.Random(f"{seed}/{number}")  # noqa: S311 - pictures, not secrets
    scene = random_scene(rng)
    places = places_of(scene, rng)
    return Sample(scene, places, [caption(scene, rng) for _ in range(caption_count)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Scenes as the models see them; those of ``sample`` with the numbers 0 to N - 1.

    Attributes:
        pixels: uint8 [N, side, side, 3], mapped from disk.
        parts: The same scenes in the colours of parts (see ``engine.training.collage``).
        paints: What paints each cell of them, int8 [N, CELLS, CELLS].
        backgrounds: Which of ``BACKGROUNDS`` is behind them, int8 [N].
        captions: For each scene, several wordings of the same thing.
    """

    pixels: NDArray[np.uint8]
    parts: NDArray[np.uint8]
    paints: NDArray[np.int8]
    backgrounds: NDArray[np.int8]
    captions: list[list[str]]

    def batch_indices(self, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Which scenes a batch shows, drawn with replacement."""
        return rng.integers(0, len(self.captions), size)

    def pictures(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Pictures in [0, 1]."""
        return in_unit(self.pixels[indices])

    def some_caption(self, index: int, rng: np.random.Generator) -> str:
        """One of the wordings of a scene."""
        wordings = self.captions[index]
        return wordings[int(rng.integers(len(wordings)))]


def dataset(recipe: Recipe, folder: Path) -> Dataset:
    """Read the dataset in ``folder``, making it first if it is not there."""
    captions = folder / "captions.json"
    if not captions.exists():
        print(f"drawing {recipe.scene_count} scenes")
        _make(recipe, folder)

    def array(name: str) -> NDArray[Any]:
        return np.load(folder / f"{name}.npy", mmap_mode="r")

    return Dataset(
        pixels=array("pixels"),
        parts=array("parts"),
        paints=array("paints"),
        backgrounds=array("backgrounds"),
        captions=json.loads(captions.read_text(encoding="utf-8")),
    )


def _make(recipe: Recipe, folder: Path) -> None:
    sprites = load_sprites(folder / "objects")
    count, side = recipe.scene_count, recipe.side_px

    def array(name: str, shape: tuple[int, ...], dtype: type) -> NDArray[np.generic]:
        path = folder / f"{name}.npy"
        return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)

    arrays = (
        array("pixels", (count, side, side, 3), np.uint8),
        array("parts", (count, side, side, 3), np.uint8),
        array("paints", (count, CELLS, CELLS), np.int8),
        array("backgrounds", (count,), np.int8),
    )
    captions: list[list[str]] = []
    covers = Covers(sprites)
    for i in range(count):
        scene, places, wordings = sample(recipe.seed, i, recipe.captions_per_scene)
        drawn = (
            draw_at(places, scene, side, sprites),
            draw_at(places, in_part_colours(scene), side, sprites),
            covers.paints(scene, places),
            BACKGROUNDS.index(scene.background),
        )
        for whole, one in zip(arrays, drawn, strict=True):
            whole[i] = one
        captions.append(wordings)
    text = json.dumps(captions)
    (folder / "captions.json").write_text(text, encoding="utf-8")  # last: marks it whole
