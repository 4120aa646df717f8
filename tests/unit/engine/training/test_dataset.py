from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.training.collage import BACKGROUND, BACKGROUNDS
from engine.training.dataset import Dataset, dataset, sample
from engine.training.recipe import Recipe
from engine.training.scenes import canonical_caption, held_out_scenes
from tests.support.sprites import write_stand_ins

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

RECIPE = Recipe(seed=3, scene_count=120)


def made(folder: Path, recipe: Recipe = RECIPE) -> Dataset:
    write_stand_ins(folder / "objects")
    return dataset(recipe, folder)


def test_the_same_seed_gives_the_same_pictures_and_captions(tmp_path: Path) -> None:
    first, second = made(tmp_path / "first"), made(tmp_path / "second")

    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert first.captions == second.captions


def test_another_seed_gives_other_scenes(tmp_path: Path) -> None:
    first = made(tmp_path / "first")
    second = made(tmp_path / "second", Recipe(seed=4, scene_count=120))

    assert first.captions != second.captions


def test_a_dataset_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = made(tmp_path / "data")

    second = dataset(RECIPE, tmp_path / "data")

    assert capsys.readouterr().out == "drawing 120 scenes\n"
    np.testing.assert_array_equal(first.pixels, second.pixels)


def test_a_dataset_has_the_size_that_the_recipe_says(tmp_path: Path) -> None:
    data = made(tmp_path / "data")

    assert (data.pixels.shape, data.pixels.dtype) == ((120, 64, 64, 3), np.uint8)
    assert {len(wordings) for wordings in data.captions} == {RECIPE.captions_per_scene}


def test_no_held_out_scene_is_among_them(tmp_path: Path) -> None:
    never = {canonical_caption(scene) for scene in held_out_scenes(300, seed=1)}

    data = made(tmp_path / "data")

    assert never.isdisjoint(wording for wordings in data.captions for wording in wordings)


def test_pictures_are_numbers_from_0_to_1(tmp_path: Path) -> None:
    data = made(tmp_path / "data")

    pictures = data.pictures(np.arange(100))

    assert pictures.dtype == np.float32
    assert 0.0 <= pictures.min() < pictures.max() <= 1.0
    np.testing.assert_array_equal(np.round(pictures * 255), data.pixels[:100])


def test_what_paints_a_cell_says_where_pictures_differ_from_their_background(
    tmp_path: Path,
) -> None:
    data = made(tmp_path / "data")
    cells = data.parts.astype(int).reshape(120, 8, 8, 8, 8, 3)  # which are on white

    change = np.abs(cells - cells.max()).max((2, 4, 5))

    is_behind = data.paints == BACKGROUND
    assert change[is_behind].max() < 30  # a trace of a soft edge
    assert is_behind.any((1, 2)).all()
    assert not is_behind.all((1, 2)).any()


def test_a_sample_is_the_scene_of_its_number(tmp_path: Path) -> None:
    data = made(tmp_path / "data")

    samples = [sample(RECIPE.seed, i, RECIPE.captions_per_scene) for i in range(120)]

    assert [one.captions for one in samples] == data.captions
    assert [BACKGROUNDS.index(one.scene.background) for one in samples] == data.backgrounds.tolist()
    assert sample(RECIPE.seed, 5).places == samples[5].places
