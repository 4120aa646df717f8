# ruff: noqa: S311 - the random numbers place things in pictures, they keep no secrets

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.training.collage import (
    BACKGROUND,
    BACKGROUNDS,
    OWN_COLOURS,
    Collages,
    Covers,
    empty_pictures,
    flat_pictures,
    in_part_colours,
)
from engine.training.colours import RGB, Colour
from engine.training.objects import Object
from engine.training.scenes import (
    EXTENTS_CELLS,
    Item,
    Landscape,
    Place,
    Relation,
    Scene,
    Style,
    draw_at,
    places_of,
    random_scene,
)
from engine.training.things import Thing
from tests.support.sprites import SPRITES

if TYPE_CHECKING:
    from numpy.typing import NDArray

RED_STAR = Item(colour=Colour.RED, thing=Thing.STAR)
BLUE_CUBE = Item(colour=Colour.BLUE, thing=Thing.CUBE)
PIZZA = Item(thing=Object.PIZZA)
COLOUR_CODES = 16


def numbered_part(extent: int, start: int) -> NDArray[np.int16]:
    """Codes whose shapes count from ``start`` and whose colour is 15."""
    shapes = np.arange(start, start + extent**2, dtype=np.int16).reshape(extent, extent)
    return (shapes * COLOUR_CODES + 15).astype(np.int16)


def collages() -> Collages:
    return Collages(
        parts={
            (thing, Style.COLOURFUL, 4): numbered_part(4, 10 * n)
            for n, thing in enumerate((Thing.STAR, Thing.CUBE, Object.PIZZA))
        },
        colours={colour: n for n, colour in enumerate(Colour)},
        empty={one: np.full((8, 8), 16 * 200 + n, np.int16) for n, one in enumerate(BACKGROUNDS)},
        colour_code_count=COLOUR_CODES,
        covers=Covers(SPRITES),
    )


@pytest.mark.parametrize("extent", EXTENTS_CELLS)
@pytest.mark.parametrize("thing", Thing)
def test_a_thing_covers_the_cells_that_its_picture_changes(thing: Thing, extent: int) -> None:
    place = Place(left=0, top=1, extent=extent)
    scene = Scene(items=(Item(colour=Colour.BLUE, thing=thing),), background=Colour.GRAY)

    picture = draw_at([place], scene, 64).astype(int)

    change = np.abs(picture - RGB[Colour.GRAY]).max(-1).reshape(8, 8, 8, 8).max((1, 3)) > 30
    covered = np.zeros((8, 8), np.bool_)
    covered[1 : 1 + extent, :extent] = Covers(SPRITES).of(thing, extent)
    np.testing.assert_array_equal(covered & change, change)
    # traces of soft edges, and what is gray itself, such as a hub
    assert covered.sum() - change.sum() <= 4


def test_what_is_white_covers_its_cells_too() -> None:
    snow = SPRITES[Object.SNOWMAN].copy()
    snow.paste((255, 255, 255, 255), (0, 0, *snow.size))

    assert Covers({Object.SNOWMAN: snow}).of(Object.SNOWMAN, 4).all()


def test_paints_name_the_colour_of_each_thing_and_nobody_where_nothing_is() -> None:
    scene = Scene(items=(RED_STAR, PIZZA), relation=Relation.NEXT_TO, background=Landscape.SEA)
    places = [Place(left=0, top=3, extent=4), Place(left=4, top=3, extent=4)]

    paints = Covers(SPRITES).paints(scene, places)

    assert set(paints[3:7, :4].ravel()) == {list(Colour).index(Colour.RED), BACKGROUND}
    assert set(paints[3:7, 4:].ravel()) == {OWN_COLOURS}
    assert set(paints[[0, 1, 2, 7]].ravel()) == {BACKGROUND}


def test_every_training_scene_leaves_cells_of_its_background_free() -> None:
    rng = random.Random(1)
    covers = Covers(SPRITES)

    for _ in range(500):
        scene = random_scene(rng)
        paints = covers.paints(scene, places_of(scene, rng))
        assert (paints == BACKGROUND).sum() >= 8


def test_the_codes_of_two_things_are_theirs_and_the_rest_the_backgrounds() -> None:
    scene = Scene(items=(BLUE_CUBE, PIZZA), relation=Relation.NEXT_TO, background=Landscape.SEA)
    places = [Place(left=0, top=3, extent=4), Place(left=4, top=3, extent=4)]
    covers = Covers(SPRITES)

    cells = collages().codes(scene, places).reshape(8, 8)

    in_blue = numbered_part(4, 10) // 16 * 16 + list(Colour).index(Colour.BLUE)
    sea = 16 * 200 + BACKGROUNDS.index(Landscape.SEA)
    wanted = np.full((8, 8), sea)
    wanted[3:7, :4] = np.where(covers.of(Thing.CUBE, 4), in_blue, sea)
    wanted[3:7, 4:] = numbered_part(4, 20)
    np.testing.assert_array_equal(cells, wanted)


def test_another_colour_changes_nothing_but_the_colours() -> None:
    places = [Place(left=2, top=2, extent=4)]
    red, pink = (
        collages().codes(Scene(items=(Item(colour=c, thing=Thing.STAR),)), places)
        for c in (Colour.RED, Colour.PINK)
    )

    np.testing.assert_array_equal(red // 16, pink // 16)
    assert 8 <= (red != pink).sum() <= 16


def test_parts_are_red_on_white_and_objects_as_they_are() -> None:
    scene = Scene(items=(BLUE_CUBE, PIZZA), relation=Relation.ON_TOP_OF, background=Landscape.SEA)

    part = in_part_colours(scene)

    assert [item.colour for item in part.items] == [Colour.RED, None]
    assert [item.thing for item in part.items] == [Thing.CUBE, Object.PIZZA]
    assert part.background is Colour.WHITE


def test_empty_and_flat_pictures_show_backgrounds_and_colours() -> None:
    empty, flat = empty_pictures(64), flat_pictures(8)

    assert empty.shape == (17, 64, 64, 3)
    np.testing.assert_array_equal(empty[0, 5, 5], RGB[Colour.RED])
    assert flat.shape == (11, 16, 16, 3)
    np.testing.assert_allclose(flat[0] * 255, np.broadcast_to(RGB[Colour.RED], (16, 16, 3)))
