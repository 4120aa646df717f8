# ruff: noqa: S311 - the random numbers place things in pictures, they keep no secrets

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from PIL import Image, ImageFilter

from engine.training.colours import Colour
from engine.training.judge import (
    ObjectJudge,
    Verdict,
    background_of,
    colour_of,
    evaluate,
    judge,
    thing_of,
)
from engine.training.objects import Object
from engine.training.scenes import (
    Background,
    Item,
    Landscape,
    Relation,
    Scene,
    draw_scene,
    held_out_scenes,
)
from engine.training.things import Thing
from tests.support.sprites import SPRITES


def single(colour: Colour, thing: Thing, background: Colour | Landscape = Colour.WHITE) -> Scene:
    return Scene(items=(Item(colour=colour, thing=thing),), background=background)


def object_scene(one: Object, background: Background) -> Scene:
    return Scene(items=(Item(thing=one),), background=background)


def pair(relation: Relation, *colours: Colour) -> Scene:
    items = tuple(Item(colour=colour, thing=Thing.SQUARE) for colour in colours)
    return Scene(items=items, relation=relation)


def drawn(scene: Scene, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return draw_scene(scene, random.Random(seed), 128, SPRITES)


def soft_and_noisy(scene: Scene, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A picture as a decoder might give it: blurred by 1 px, noise of 6 levels."""
    soft = Image.fromarray(drawn(scene, seed)).filter(ImageFilter.GaussianBlur(1))
    noise = np.random.default_rng(seed).normal(0, 6, (128, 128, 3))
    return np.clip(np.asarray(soft) + noise, 0, 255).astype(np.uint8)


BLANK = np.full((64, 64, 3), 250, np.uint8)
RED_CIRCLE_ON_BLUE = single(Colour.RED, Thing.CIRCLE, Colour.BLUE)


def test_what_was_asked_for_is_right() -> None:
    assert judge(drawn(RED_CIRCLE_ON_BLUE), RED_CIRCLE_ON_BLUE) == Verdict(
        background_is_right=True, colours_are_right=True, shape_is_right=True, order_is_right=None
    )


@pytest.mark.parametrize(
    ("shown", "wrong"),
    [
        (single(Colour.RED, Thing.CIRCLE, Colour.GREEN), "background_is_right"),
        (single(Colour.PINK, Thing.CIRCLE, Colour.BLUE), "colours_are_right"),
        (single(Colour.RED, Thing.SPHERE, Colour.BLUE), "shape_is_right"),
    ],
)
def test_what_differs_in_one_way_is_wrong_in_that_way_only(shown: Scene, wrong: str) -> None:
    verdict = judge(drawn(shown), RED_CIRCLE_ON_BLUE)

    names = ("background_is_right", "colours_are_right", "shape_is_right")
    assert [name for name in names if not getattr(verdict, name)] == [wrong]
    assert not verdict.is_right


@pytest.mark.parametrize("relation", Relation)
def test_two_things_in_the_wrong_order_are_only_that(relation: Relation) -> None:
    picture = drawn(pair(relation, Colour.BLUE, Colour.RED))

    assert judge(picture, pair(relation, Colour.RED, Colour.BLUE)) == Verdict(
        background_is_right=True, colours_are_right=True, shape_is_right=True, order_is_right=False
    )


def test_side_by_side_is_not_on_top_of() -> None:
    shown = Scene(
        items=(
            Item(colour=Colour.RED, thing=Thing.FISH),
            Item(colour=Colour.BLUE, thing=Thing.TREE),
        ),
        relation=Relation.NEXT_TO,
    )
    asked = Scene(items=shown.items, relation=Relation.ON_TOP_OF)

    verdict = judge(drawn(shown), asked)

    assert not verdict.order_is_right
    assert not verdict.shape_is_right


@pytest.mark.parametrize("relation", Relation)
def test_of_two_things_each_is_looked_at_in_its_half(relation: Relation) -> None:
    colours = (Colour.RED, Colour.BLUE)
    star_and_cube = two(relation, colours, (Thing.STAR, Thing.CUBE))
    cube_and_star = two(relation, colours, (Thing.CUBE, Thing.STAR))

    assert judge(drawn(star_and_cube), star_and_cube).shape_is_right
    assert not judge(drawn(cube_and_star), star_and_cube).shape_is_right


def two(relation: Relation, colours: tuple[Colour, ...], things: tuple[Thing, ...]) -> Scene:
    items = tuple(Item(colour=c, thing=t) for c, t in zip(colours, things, strict=True))
    return Scene(items=items, relation=relation)


@pytest.mark.parametrize("lower", [Thing.CAR, Thing.FISH, Thing.BOAT])
@pytest.mark.parametrize("upper", [Thing.CIRCLE, Thing.TREE, Thing.HEART, Thing.SPHERE])
def test_what_stands_on_a_low_thing_keeps_its_foot(upper: Thing, lower: Thing) -> None:
    scene = two(Relation.ON_TOP_OF, (Colour.RED, Colour.BLUE), (upper, lower))

    assert judge(soft_and_noisy(scene, 1), scene).shape_is_right


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("thing", [Thing.STAR, Thing.BOAT, Thing.FLOWER, Thing.CUP])
def test_several_of_the_same_are_counted(count: int, thing: Thing) -> None:
    scene = several(count, thing)

    assert judge(soft_and_noisy(scene, 1), scene).is_right
    assert not judge(soft_and_noisy(several(5 - count, thing), 1), scene).number_is_right


def several(count: int, thing: Thing) -> Scene:
    return Scene(
        items=(Item(colour=Colour.RED, thing=thing),), background=Landscape.SNOW, count=count
    )


@pytest.mark.parametrize("background", [Colour.BLUE, Landscape.BEACH])
def test_an_object_is_told_from_the_others(background: Background) -> None:
    judge_of_objects = ObjectJudge(SPRITES)
    some = list(Object)[::15]

    guesses = [
        judge_of_objects.likeliest(soft_and_noisy(object_scene(one, background), n), background)
        for n, one in enumerate(some)
    ]

    assert all(one in each for one, each in zip(some, guesses, strict=True))
    assert all(len(set(each)) == 5 for each in guesses)


def test_a_blank_picture_is_no_object() -> None:
    assert ObjectJudge(SPRITES).likeliest(BLANK, Colour.WHITE) == []


def test_one_thing_where_two_were_asked_for_is_wrong() -> None:
    verdict = judge(
        drawn(single(Colour.RED, Thing.SQUARE)), pair(Relation.NEXT_TO, Colour.RED, Colour.BLUE)
    )

    assert verdict == Verdict(
        background_is_right=True,
        colours_are_right=False,
        shape_is_right=False,
        order_is_right=None,
    )


def test_a_blank_picture_shows_nothing() -> None:
    assert (background_of(BLANK), colour_of(BLANK), thing_of(BLANK)) == (Colour.WHITE, None, None)


def test_noise_is_not_right() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)

    assert not judge(noise, RED_CIRCLE_ON_BLUE).is_right


@pytest.mark.parametrize("landscape", Landscape)
def test_a_landscape_is_recognised(landscape: Landscape) -> None:
    assert background_of(drawn(single(Colour.ORANGE, Thing.BOAT, landscape))) is landscape


@pytest.mark.parametrize("thing", Thing)
def test_every_thing_is_recognised_in_most_colours(thing: Thing) -> None:
    scenes = [single(colour, thing, Colour.GRAY) for colour in Colour if colour != Colour.GRAY]

    found = [thing_of(drawn(scene, seed)) for seed, scene in enumerate(scenes)]

    assert found.count(thing) >= 9


@pytest.mark.parametrize("colour", Colour)
def test_every_colour_is_recognised_in_every_thing(colour: Colour) -> None:
    background = Colour.YELLOW if colour is not Colour.YELLOW else Colour.BLUE
    scenes = [single(colour, thing, background) for thing in Thing]

    found = [colour_of(drawn(scene)) for scene in scenes]

    assert found.count(colour) == len(Thing)


def test_soft_and_noisy_pictures_are_judged_rightly() -> None:
    scenes = held_out_scenes(150, seed=8)

    table = evaluate([(scene, [soft_and_noisy(scene, n)]) for n, scene in enumerate(scenes)])

    fractions = {row.measure: row.first for row in table.rows}
    assert fractions["background"] >= 0.99
    assert fractions["colour of one thing"] >= 0.97
    assert fractions["shape of one thing"] >= 0.95
    assert fractions["colours of two"] >= 0.97
    assert fractions["colours and shapes of two"] >= 0.92
    assert fractions["order of two"] >= 0.97


def test_pictures_of_other_scenes_are_not_right() -> None:
    scenes = held_out_scenes(101, seed=9)

    right = [
        judge(drawn(shown), asked).is_right
        for shown, asked in itertools.pairwise(scenes)
        if shown.items != asked.items
    ]

    assert sum(right) == 0


def test_the_report_sets_the_first_beside_the_average_candidate() -> None:
    right = drawn(RED_CIRCLE_ON_BLUE)
    wrong = drawn(single(Colour.RED, Thing.STAR, Colour.BLUE))
    stacked = pair(Relation.ON_TOP_OF, Colour.RED, Colour.BLUE)
    cat, dog = object_scene(Object.CAT, Colour.WHITE), object_scene(Object.DOG, Colour.WHITE)

    table = evaluate(
        [
            (RED_CIRCLE_ON_BLUE, [right, wrong, wrong, wrong]),
            (stacked, [drawn(stacked)]),
        ],
        [(cat, [drawn(dog), drawn(cat)])],
        {Object.CAT: SPRITES[Object.CAT], Object.DOG: SPRITES[Object.DOG]},
    )

    assert str(table) == (
        "| what is right             | scenes | ranked first | average candidate |\n"
        "|---------------------------|-------:|-------------:|------------------:|\n"
        "| background                |      2 |       100.0% |            100.0% |\n"
        "| colour of one thing       |      1 |       100.0% |            100.0% |\n"
        "| shape of one thing        |      1 |       100.0% |             25.0% |\n"
        "| colours of two            |      1 |       100.0% |            100.0% |\n"
        "| colours and shapes of two |      1 |       100.0% |            100.0% |\n"
        "| order of two              |      1 |       100.0% |            100.0% |\n"
        "| everything                |      2 |       100.0% |             62.5% |\n"
        "| object, first guess       |      1 |         0.0% |             50.0% |\n"
        "| object, among five        |      1 |       100.0% |            100.0% |"
    )


def test_the_report_leaves_out_what_was_not_asked() -> None:
    table = evaluate([(RED_CIRCLE_ON_BLUE, [drawn(RED_CIRCLE_ON_BLUE)])])

    assert [row.measure for row in table.rows] == [
        "background",
        "colour of one thing",
        "shape of one thing",
        "everything",
    ]
