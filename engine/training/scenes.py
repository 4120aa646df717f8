"""The training pictures: what a scene shows, its picture, its caption, and the hold-out.

Everything is drawn by this code. A scene says what is shown; where exactly it stands and
in which tint is drawn from ``rng``, so that one scene has many pictures.

The hold-out keeps the checkpoint honest: some scenes are never yielded for training, so
their prompts test whether the model puts known words together in new ways. Held out are

- the colour and thing pairs that a stable hash chooses (about one in ten), anywhere;
- a green cube alone, on any background;
- one in ten (colour, thing, background) of the single things, among them the red circle
  on a blue background;
- one in ten pairs of two things in their relation, among them the red cube on top of a
  blue sphere.

``python -m engine.training.scenes sheet.png`` draws a sheet of examples to look at.
"""

# ruff: noqa: S311 - the random numbers place things in pictures, they keep no secrets

from __future__ import annotations

import hashlib
import random
import sys
import textwrap
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from engine.training.colours import RGB, Colour, Rgb, jittered, shades_of
from engine.training.things import LOOKS, Pen, Thing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SKY_RGB: Rgb = (168, 214, 246)
GRASS_RGB: Rgb = (92, 176, 72)
NIGHT_RGB: Rgb = (22, 26, 74)
MOON_RGB: Rgb = (250, 238, 180)

_SUPERSAMPLING = 3  # drawn three times as large, then averaged: smooth edges
_HORIZON = 0.62  # of the height, from the top
_SINGLE_FRACTION = 0.65  # of the scenes; the others show two things
_HELD_OUT_ONE_IN = 10


class Size(StrEnum):
    """How large a thing alone is; a prompt names only the extremes."""

    SMALL = "small"
    NORMAL = "normal"
    BIG = "big"


class Relation(StrEnum):
    """How the first of two things stands to the second."""

    ON_TOP_OF = "on top of"
    NEXT_TO = "next to"


class Landscape(StrEnum):
    """A background that is more than a colour."""

    GRASS = "on the grass"
    NIGHT = "at night"


Background = Colour | Landscape


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One coloured thing."""

    colour: Colour
    thing: Thing


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a picture shows.

    Attributes:
        items: One thing, or two in the order in which the caption names them.
        relation: How the first stands to the second; ``None`` for one thing.
        background: What is behind them.
        size: Of a thing alone; two things are always of normal size.
    """

    items: tuple[Item, ...]
    relation: Relation | None = None
    background: Background = Colour.WHITE
    size: Size = Size.NORMAL


# --- drawing -------------------------------------------------------------------------

# Extent of a thing alone, and how far its centre may stray, as fractions of the side.
_EXTENT = {Size.SMALL: 0.32, Size.NORMAL: 0.54, Size.BIG: 0.82}
_STRAY = {Size.SMALL: 0.22, Size.NORMAL: 0.10, Size.BIG: 0.025}
_PAIR_EXTENT = 0.40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a thing stands, as fractions of the side."""

    left: float
    top: float
    unit: float


def draw_scene(scene: Scene, rng: random.Random, side_px: int = 128) -> NDArray[np.uint8]:
    """Return a picture of ``scene``, uint8 [side_px, side_px, 3]."""
    canvas_px = side_px * _SUPERSAMPLING
    image = Image.new("RGB", (canvas_px, canvas_px))
    canvas = ImageDraw.Draw(image)
    _paint_background(canvas, scene.background, rng, canvas_px)
    for item, place in zip(scene.items, _places(scene, rng), strict=True):
        pen = Pen(
            canvas=canvas,
            left_px=place.left * canvas_px,
            top_px=place.top * canvas_px,
            unit_px=place.unit * canvas_px,
        )
        LOOKS[item.thing].paint(pen, shades_of(jittered(RGB[item.colour], rng)))
    return np.asarray(image.reduce(_SUPERSAMPLING))


def _paint_background(
    canvas: ImageDraw.ImageDraw, background: Background, rng: random.Random, side_px: int
) -> None:
    everything = Pen(canvas=canvas, left_px=0, top_px=0, unit_px=side_px)
    match background:
        case Colour():
            everything.box(0, 0, 1, 1, jittered(RGB[background], rng))
        case Landscape.GRASS:
            everything.box(0, 0, 1, _HORIZON, jittered(SKY_RGB, rng))
            everything.box(0, _HORIZON, 1, 1, jittered(GRASS_RGB, rng))
        case Landscape.NIGHT:
            _paint_night(everything, rng)


def _paint_night(pen: Pen, rng: random.Random) -> None:
    sky = jittered(NIGHT_RGB, rng)
    pen.box(0, 0, 1, 1, sky)
    for _ in range(9):
        pen.disc(rng.uniform(0.04, 0.96), rng.uniform(0.04, 0.96), 0.009, MOON_RGB)
    pen.disc(0.88, 0.12, 0.07, MOON_RGB)
    pen.disc(0.85, 0.105, 0.06, sky)  # what it bites off leaves a crescent


def _places(scene: Scene, rng: random.Random) -> list[_Place]:
    match scene.relation:
        case None:
            return [_place_alone(scene, rng)]
        case Relation.ON_TOP_OF:
            return _place_stacked(scene, rng)
        case Relation.NEXT_TO:
            return _place_side_by_side(scene, rng)


def _place_alone(scene: Scene, rng: random.Random) -> _Place:
    look = LOOKS[scene.items[0].thing]
    unit = _unit(scene.items[0], _EXTENT[scene.size] * rng.uniform(0.94, 1.06))
    stray = _STRAY[scene.size]
    x = 0.5 + rng.uniform(-stray, stray)
    if scene.background is Landscape.GRASS:
        bottom = rng.uniform(0.80, 0.88) if scene.size is not Size.BIG else rng.uniform(0.9, 0.94)
    else:
        bottom = 0.5 + rng.uniform(-stray, stray) + look.height * unit / 2
    return _Place(left=x - look.width * unit / 2, top=bottom - look.height * unit, unit=unit)


def _place_stacked(scene: Scene, rng: random.Random) -> list[_Place]:
    units = [_unit(item, _PAIR_EXTENT * rng.uniform(0.94, 1.06)) for item in scene.items]
    looks = [LOOKS[item.thing] for item in scene.items]
    heights = [look.height * unit for look, unit in zip(looks, units, strict=True)]
    x = 0.5 + rng.uniform(-0.1, 0.1)
    top = (1 - sum(heights)) / 2 + rng.uniform(-0.04, 0.04)
    if scene.background is Landscape.GRASS:
        top = rng.uniform(0.9, 0.94) - sum(heights)
    lefts = [x - look.width * unit / 2 for look, unit in zip(looks, units, strict=True)]
    tops = [top, top + heights[0]]
    return [
        _Place(left=left, top=top, unit=unit)
        for left, top, unit in zip(lefts, tops, units, strict=True)
    ]


def _place_side_by_side(scene: Scene, rng: random.Random) -> list[_Place]:
    units = [_unit(item, _PAIR_EXTENT * rng.uniform(0.94, 1.06)) for item in scene.items]
    looks = [LOOKS[item.thing] for item in scene.items]
    bottom = rng.uniform(0.80, 0.88) if scene.background is Landscape.GRASS else 0.7
    bottom += rng.uniform(-0.06, 0.06)
    places: list[_Place] = []
    for look, unit, x in zip(looks, units, (0.27, 0.73), strict=True):
        left = x + rng.uniform(-0.02, 0.02) - look.width * unit / 2
        places.append(_Place(left=left, top=bottom - look.height * unit, unit=unit))
    return places


def _unit(item: Item, extent: float) -> float:
    """Return the unit at which the longer side of ``item`` is ``extent``."""
    return extent / max(LOOKS[item.thing].width, LOOKS[item.thing].height)


# --- captions ------------------------------------------------------------------------

_KINDS_OF_PICTURE = ("picture", "drawing", "painting", "image", "photo")
_NEEDLESSLY_NAMED_FRACTION = 0.2  # of the captions that need not name their background
_BRITISH_FRACTION = 0.1  # of the captions with gray


def caption(scene: Scene, rng: random.Random) -> str:
    """Return a caption of ``scene``, most often its ``canonical_caption``."""
    is_needless = scene.background is default_background(scene.items)
    is_named = not is_needless or rng.random() < _NEEDLESSLY_NAMED_FRACTION
    word = rng.choices(tuple(_WORDINGS), weights=tuple(_WORDINGS.values()))[0]
    words = word(scene, rng, is_named)
    return words.replace("gray", "grey") if rng.random() < _BRITISH_FRACTION else words


def canonical_caption(scene: Scene) -> str:
    """Return the plainest caption: "a red circle on a blue background"."""
    return _with_background(
        _subject(scene), scene, is_named=scene.background is not default_background(scene.items)
    )


def default_background(items: tuple[Item, ...]) -> Colour:
    """Return the background that a caption need not name: white, unless something is white."""
    colours = {item.colour for item in items}
    return next(one for one in (Colour.WHITE, Colour.GRAY, Colour.BLUE) if one not in colours)


def with_article(noun: str) -> str:
    """Return ``noun`` after "a" or "an"."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _subject(scene: Scene) -> str:
    first, *others = [with_article(_noun(item, scene.size)) for item in scene.items]
    return " ".join([first, *(f"{scene.relation} {other}" for other in others)])


def _noun(item: Item, size: Size) -> str:
    words = f"{item.colour} {item.thing}"
    return words if size is Size.NORMAL else f"{size} {words}"


def _with_background(subject: str, scene: Scene, *, is_named: bool) -> str:
    if not is_named:
        return subject
    match scene.background:
        case Colour():
            return f"{subject} on {with_article(scene.background)} background"
        case Landscape():
            return f"{subject} {scene.background}"


def _plainly(scene: Scene, _rng: random.Random, is_named: bool) -> str:  # noqa: FBT001 - one signature for all wordings
    return _with_background(_subject(scene), scene, is_named=is_named)


def _as_a_picture(scene: Scene, rng: random.Random, is_named: bool) -> str:  # noqa: FBT001 - as above
    """Say what it is: "a drawing of a red circle"."""
    subject = with_article(f"{rng.choice(_KINDS_OF_PICTURE)} of {_subject(scene)}")
    return _with_background(subject, scene, is_named=is_named)


def _in_short(scene: Scene, _rng: random.Random, is_named: bool) -> str:  # noqa: FBT001 - as above
    """Leave the articles out: "red circle on blue"."""
    subject = f" {scene.relation} ".join(_noun(item, scene.size) for item in scene.items)
    if is_named and isinstance(scene.background, Colour):
        return f"{subject} on {scene.background}"
    return _with_background(subject, scene, is_named=is_named)


def _in_other_words(scene: Scene, rng: random.Random, is_named: bool) -> str:  # noqa: FBT001 - as above
    """Take another preposition, or begin with the background."""
    first, *others = [with_article(_noun(item, scene.size)) for item in scene.items]
    match scene.relation:
        case None:
            subject = first
            if is_named and isinstance(scene.background, Colour):
                return f"{scene.background} background with {subject}"
        case Relation.ON_TOP_OF:
            subject = rng.choice((f"{first} above {others[0]}", f"{others[0]} under {first}"))
        case Relation.NEXT_TO:
            subject = rng.choice((f"{first} and {others[0]}", f"{first} beside {others[0]}"))
    return _with_background(subject, scene, is_named=is_named)


_WORDINGS = {_plainly: 68, _as_a_picture: 12, _in_short: 11, _in_other_words: 9}  # in percent


# --- scenes --------------------------------------------------------------------------


def random_scene(rng: random.Random) -> Scene:
    """Return a scene to train on; never one that is held out."""
    draw = _random_single if rng.random() < _SINGLE_FRACTION else _random_pair
    scene = draw(rng)
    while is_held_out(scene):
        scene = draw(rng)
    return scene


def held_out_scenes(count: int, seed: int) -> list[Scene]:
    """Return ``count`` scenes that training never shows, singles and pairs mixed as there."""
    rng = random.Random(seed)
    scenes: list[Scene] = []
    while len(scenes) < count:
        draw = _random_single if rng.random() < _SINGLE_FRACTION else _random_pair
        scene = draw(rng)
        while not is_held_out(scene):
            scene = draw(rng)
        scenes.append(scene)
    return scenes


def is_held_out(scene: Scene) -> bool:
    """Whether training never shows ``scene`` (see the module's text)."""
    if any(_is_chosen("item", item.colour, item.thing) for item in scene.items):
        return True
    if scene.relation is None:
        return _is_single_held_out(scene.items[0], scene.background)
    first, second = scene.items
    words = (first.colour, first.thing, scene.relation, second.colour, second.thing)
    return words == _RED_CUBE_ON_BLUE_SPHERE or _is_chosen("pair", *words)


_GREEN_CUBE = Item(colour=Colour.GREEN, thing=Thing.CUBE)
_RED_CIRCLE = Item(colour=Colour.RED, thing=Thing.CIRCLE)
_RED_CUBE_ON_BLUE_SPHERE = (
    Colour.RED, Thing.CUBE, Relation.ON_TOP_OF, Colour.BLUE, Thing.SPHERE
)  # fmt: skip


def _is_single_held_out(item: Item, background: Background) -> bool:
    return (
        item == _GREEN_CUBE
        or (item == _RED_CIRCLE and background is Colour.BLUE)
        or _is_chosen("single", item.colour, item.thing, background)
    )


def _is_chosen(*words: str) -> bool:
    """Whether a stable hash picks ``words``, as it does one time in ten."""
    digest = hashlib.sha256("/".join(words).encode()).digest()
    return int.from_bytes(digest[:8], "big") % _HELD_OUT_ONE_IN == 0


def _random_single(rng: random.Random) -> Scene:
    items = (Item(colour=rng.choice(_COLOURS), thing=rng.choice(_THINGS)),)
    size = rng.choices(tuple(Size), weights=(2, 6, 2))[0]
    return Scene(items=items, background=_random_background(items, rng), size=size)


def _random_pair(rng: random.Random) -> Scene:
    first_colour, second_colour = rng.sample(_COLOURS, 2)
    items = (
        Item(colour=first_colour, thing=rng.choice(_THINGS)),
        Item(colour=second_colour, thing=rng.choice(_THINGS)),
    )
    relation = rng.choice(tuple(Relation))
    return Scene(items=items, relation=relation, background=_random_background(items, rng))


def _random_background(items: tuple[Item, ...], rng: random.Random) -> Background:
    default = default_background(items)
    backgrounds = rng.choices(((default,), _COLOURS, _LANDSCAPES), weights=(30, 58, 12))[0]
    seen = [one for one in backgrounds if _can_be_seen(items, one)]
    return rng.choice(seen) if seen else default


def _can_be_seen(items: tuple[Item, ...], background: Background) -> bool:
    """Whether nothing of ``items`` drowns in ``background``."""
    hidden = _DROWNED_BY.get(background, {background})
    return not any(item.colour in hidden or hidden & LOOKS[item.thing].unseen_on for item in items)


_COLOURS = tuple(Colour)
_THINGS = tuple(Thing)
_LANDSCAPES = tuple(Landscape)
_DROWNED_BY: dict[Background, set[Background]] = {
    Landscape.GRASS: {Colour.GREEN},
    Landscape.NIGHT: {Colour.BLACK},
}


# --- a sheet to look at --------------------------------------------------------------


def sheet(count: int = 72, *, columns: int = 9, side_px: int = 128, seed: int = 0) -> Image.Image:
    """Return ``count`` captioned pictures: every thing once, then random training scenes."""
    line_px = 48
    rows = -(-count // columns)
    image = Image.new("RGB", (columns * (side_px + 8), rows * (side_px + line_px)), "#dddddd")
    canvas = ImageDraw.Draw(image)
    for index, (scene, words) in enumerate(_examples(count, seed)):
        left = index % columns * (side_px + 8) + 4
        top = index // columns * (side_px + line_px) + 4
        rng = random.Random(index)
        image.paste(Image.fromarray(draw_scene(scene, rng, side_px)), (left, top))
        canvas.multiline_text((left, top + side_px), _wrapped(words), fill="black", spacing=0)
    return image


def _examples(count: int, seed: int) -> Iterator[tuple[Scene, str]]:
    rng = random.Random(seed)
    for index in range(count):
        if index < len(_THINGS):  # every thing once
            items = (Item(colour=_COLOURS[index % len(_COLOURS)], thing=_THINGS[index]),)
            scene = Scene(items=items, background=default_background(items))
        else:
            scene = random_scene(rng)
        yield scene, caption(scene, rng)


def _wrapped(words: str, width: int = 24) -> str:
    return "\n".join(textwrap.wrap(words, width))


def main() -> None:
    """Write the sheet to the path given on the command line."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and its one argument
        sys.exit("Usage: python -m engine.training.scenes SHEET.png")
    sheet().save(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
