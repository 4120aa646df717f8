"""The training pictures: what a scene shows, its picture, its caption, and the hold-out.

A scene says what is shown; where it stands is drawn from ``rng``. A small model has to learn
from few pictures, so nothing else varies: colours are exact, there are three sizes, and
whatever is shown stands on a grid of cells, each the square of pixels that one image token
stands for. The same thing then gives the same tokens wherever it stands.

The hold-out keeps the checkpoint honest: some scenes are never yielded for training, so
their prompts test whether the model puts known words together in new ways. Held out are

- the colour and thing pairs that a stable hash chooses (about one in ten), anywhere;
- a green cube alone, on any background;
- one in ten (colour, thing, background) of the single things, among them the red circle
  on a blue background;
- one in ten (object, background) of the objects alone, the default background excepted;
- one in ten (number, colour, thing) of several of the same;
- one in ten pairs of two things in their relation, among them the red cube on top of a
  blue sphere.

``python -m engine.training.scenes data/training/objects sheet.png`` draws a sheet to look at.
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

from engine.training.colours import RGB, Colour, Rgb, shades_of
from engine.training.objects import NO_SPRITES, Object, load_sprites
from engine.training.things import LOOKS, Pen, Thing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from engine.training.objects import Sprites

MOON_RGB: Rgb = (250, 238, 180)
STAR_RGB: Rgb = (236, 232, 250)

CELLS = 8  # of a side; one image token each
_SUPERSAMPLING = 3  # drawn three times as large, then averaged: smooth edges
_HORIZON_CELL = 5  # from the top
_SINGLE_FRACTION = 0.65  # of the scenes
_COUNTED_FRACTION = 0.1  # of the scenes: several of the same; the others show two things
_OBJECT_FRACTION = 0.5  # of the single things
_BLACK_AND_WHITE_FRACTION = 0.08  # of the objects alone
_PAIRED_OBJECT_FRACTION = 0.3  # of the things in pairs
_HELD_OUT_ONE_IN = 10
_HELD_OUT_SINGLE_FRACTION = 0.75  # of the scenes that the checkpoint is tested with


class Size(StrEnum):
    """How large a thing alone is; a prompt names only the extremes."""

    SMALL = "small"
    NORMAL = "normal"
    BIG = "big"


class Relation(StrEnum):
    """How the first of two things stands to the second."""

    ON_TOP_OF = "on top of"
    NEXT_TO = "next to"


class Style(StrEnum):
    """How a picture is coloured."""

    COLOURFUL = "colourful"
    BLACK_AND_WHITE = "black and white"


class Landscape(StrEnum):
    """A background that is more than a colour."""

    GRASS = "on the grass"
    BEACH = "on the beach"
    SNOW = "in the snow"
    SEA = "on the sea"
    NIGHT = "at night"
    SPACE = "in space"


Background = Colour | Landscape


SKY_AND_GROUND: dict[Landscape, tuple[Rgb, Rgb]] = {
    Landscape.GRASS: ((168, 214, 246), (92, 176, 72)),
    Landscape.BEACH: ((132, 206, 244), (242, 214, 150)),
    Landscape.SNOW: ((176, 198, 222), (244, 248, 254)),
    Landscape.SEA: ((196, 226, 246), (30, 100, 186)),
    Landscape.NIGHT: ((22, 26, 74), (22, 26, 74)),
    Landscape.SPACE: ((52, 18, 92), (52, 18, 92)),
}
"""The colours above and below the horizon; by night and in space there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A coloured thing, or an object, which has its own colours."""

    thing: Thing | Object
    colour: Colour | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a picture shows.

    Attributes:
        items: One thing, or two in the order in which the caption names them.
        relation: How the first stands to the second; ``None`` for one thing.
        background: What is behind them.
        size: Of a thing alone; where there are more, they are always of normal size.
        count: How often one thing is shown, 1 to 4; two things are shown once each.
        style: Black and white only for an object alone on white, of normal size.
    """

    items: tuple[Item, ...]
    relation: Relation | None = None
    background: Background = Colour.WHITE
    size: Size = Size.NORMAL
    count: int = 1
    style: Style = Style.COLOURFUL

    @property
    def shown(self) -> tuple[Item, ...]:
        """Every single thing in the picture."""
        return self.items * self.count


# --- drawing -------------------------------------------------------------------------

# Some cells of the background stay free around everything: see engine.training.collage.
_EXTENT_CELLS = {Size.SMALL: 4, Size.NORMAL: 6, Size.BIG: 7}
_PAIR_EXTENT_CELLS = 4
_COUNTED_EXTENT_CELLS = 3
EXTENTS_CELLS = tuple({*_EXTENT_CELLS.values(), _PAIR_EXTENT_CELLS, _COUNTED_EXTENT_CELLS})
BLACK_AND_WHITE_EXTENT_CELLS = _EXTENT_CELLS[Size.NORMAL]
_FILL = 0.94  # of its cells; the rest is air around the thing


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The square of cells in which a thing stands, on its lower edge."""

    left: int
    top: int
    extent: int


def draw_scene(
    scene: Scene, rng: random.Random, side_px: int = 128, sprites: Sprites = NO_SPRITES
) -> NDArray[np.uint8]:
    """Return a picture of ``scene``, uint8 [side_px, side_px, 3].

    ``sprites`` are only needed where the scene shows an object.
    """
    return draw_at(places_of(scene, rng), scene, side_px, sprites)


def draw_at(
    places: Sequence[Place], scene: Scene, side_px: int, sprites: Sprites = NO_SPRITES
) -> NDArray[np.uint8]:
    """Return the picture of ``scene`` with its things at ``places``, as ``draw_scene`` does."""
    canvas_px = side_px * _SUPERSAMPLING
    image = Image.new("RGB", (canvas_px, canvas_px))
    _paint_background(ImageDraw.Draw(image), scene.background, canvas_px)
    for item, place in zip(scene.shown, places, strict=True):
        _paint_item(image, item, place, sprites)
    if scene.style is Style.BLACK_AND_WHITE:
        image = image.convert("L").convert("RGB")
    return np.asarray(image.reduce(_SUPERSAMPLING))


def _paint_item(image: Image.Image, item: Item, place: Place, sprites: Sprites) -> None:
    cell_px = image.width / CELLS
    extent_px = place.extent * cell_px * _FILL
    width_px, height_px = extent_px, extent_px
    if isinstance(item.thing, Thing):
        look = LOOKS[item.thing]
        longer = max(look.width, look.height)
        width_px, height_px = (extent_px * side / longer for side in (look.width, look.height))
    left_px = (place.left + place.extent / 2) * cell_px - width_px / 2
    bottom_px = (place.top + place.extent) * cell_px - (1 - _FILL) / 2 * extent_px
    top_px = bottom_px - height_px
    if isinstance(item.thing, Object):
        sprite = sprites[item.thing].resize(
            (round(extent_px), round(extent_px)), Image.Resampling.LANCZOS
        )
        image.paste(sprite, (round(left_px), round(top_px)), sprite)
        return
    assert item.colour is not None  # noqa: S101 - a thing of the generator's own has one
    unit_px = height_px / LOOKS[item.thing].height
    pen = Pen(canvas=ImageDraw.Draw(image), left_px=left_px, top_px=top_px, unit_px=unit_px)
    LOOKS[item.thing].paint(pen, shades_of(RGB[item.colour]))


def _paint_background(canvas: ImageDraw.ImageDraw, background: Background, side_px: int) -> None:
    everything = Pen(canvas=canvas, left_px=0, top_px=0, unit_px=side_px)
    if isinstance(background, Colour):
        everything.box(0, 0, 1, 1, RGB[background])
        return
    sky, ground = SKY_AND_GROUND[background]
    everything.box(0, 0, 1, 1, sky)
    match background:
        case Landscape.NIGHT:
            _paint_stars(everything, MOON_RGB)
            everything.disc(0.875, 0.125, 0.07, MOON_RGB)
            everything.disc(0.845, 0.11, 0.06, sky)  # what it bites off leaves a crescent
        case Landscape.SPACE:
            _paint_stars(everything, STAR_RGB)
        case _:
            everything.box(0, _HORIZON_CELL / CELLS, 1, 1, ground)


def _paint_stars(pen: Pen, rgb: Rgb) -> None:
    """One star in the middle of every ninth cell or so, always the same ones."""
    for column, row in ((0, 0), (3, 0), (1, 3), (6, 3), (0, 6), (7, 6), (4, 7)):
        pen.disc((column + 0.5) / CELLS, (row + 0.5) / CELLS, 0.011, rgb)


def places_of(scene: Scene, rng: random.Random) -> list[Place]:
    """Return where each of ``scene.shown`` stands."""
    if scene.count > 1:
        return _place_several(scene.count, rng)
    match scene.relation:
        case None:
            return [_place_alone(scene, rng)]
        case Relation.ON_TOP_OF:
            return _place_stacked(scene, rng)
        case Relation.NEXT_TO:
            return _place_side_by_side(scene, rng)


def _place_several(count: int, rng: random.Random) -> list[Place]:
    """Two in a row, or a third above them, or a second row."""
    near, far = 0, CELLS - _COUNTED_EXTENT_CELLS
    corners = {
        2: [(near, 3), (far, 3)],
        3: [(rng.choice((2, 3)), near), (near, far), (far, far)],
        4: [(near, near), (far, near), (near, far), (far, far)],
    }[count]
    return [Place(left=left, top=top, extent=_COUNTED_EXTENT_CELLS) for left, top in corners]


def _place_alone(scene: Scene, rng: random.Random) -> Place:
    extent = _EXTENT_CELLS[scene.size]
    left = rng.randint(0, CELLS - extent)
    return Place(left=left, top=_random_top(scene, extent, 0, rng), extent=extent)


def _random_top(scene: Scene, extent: int, highest: int, rng: random.Random) -> int:
    """Anywhere from ``highest`` down, or on the ground where there is one."""
    lowest = CELLS - extent
    return rng.randint(lowest - 1 if has_ground(scene.background) else highest, lowest)


def _place_stacked(scene: Scene, rng: random.Random) -> list[Place]:
    extent = _PAIR_EXTENT_CELLS
    left = rng.randint(0, CELLS - extent)
    air = CELLS - 2 * extent + _whole_cells_above(scene.items[1], extent)
    return [
        Place(left=left, top=air, extent=extent),
        Place(left=left, top=CELLS - extent, extent=extent),
    ]


def _whole_cells_above(item: Item, extent: int) -> int:
    """How many cells above ``item`` are empty in its square, so that another can come down."""
    if isinstance(item.thing, Object):
        return 0
    look = LOOKS[item.thing]
    return int(extent * (1 - look.height / max(look.width, look.height)))


def _place_side_by_side(scene: Scene, rng: random.Random) -> list[Place]:
    top = _random_top(scene, _PAIR_EXTENT_CELLS, 1, rng)
    return [Place(left=left, top=top, extent=_PAIR_EXTENT_CELLS) for left in (0, CELLS // 2)]


def has_ground(background: Background) -> bool:
    """Whether what is shown stands below a horizon."""
    if isinstance(background, Colour):
        return False
    sky, ground = SKY_AND_GROUND[background]
    return sky != ground


# --- captions ------------------------------------------------------------------------

_KINDS_OF_PICTURE = (
    "picture", "drawing", "painting", "image", "photo", "cartoon", "3d render", "illustration"
)  # fmt: skip
_NEEDLESSLY_NAMED_FRACTION = 0.2  # of the captions that need not name their background
_COLOURLESS_FRACTION = 0.1  # of the captions of one thing: then any colour is right
_BRITISH_FRACTION = 0.1  # of the captions with gray


def caption(scene: Scene, rng: random.Random) -> str:
    """Return a caption of ``scene``, most often its ``canonical_caption``."""
    is_needless = scene.background is default_background(scene.items)
    is_named = not is_needless or rng.random() < _NEEDLESSLY_NAMED_FRACTION
    word = rng.choices(tuple(_WORDINGS), weights=tuple(_WORDINGS.values()))[0]
    words = word(scene, rng, is_named)
    if scene.relation is None and scene.count == 1 and rng.random() < _COLOURLESS_FRACTION:
        noun = _noun(scene.items[0], Size.NORMAL)
        words = words.replace(with_article(noun), with_article(str(scene.items[0].thing)))
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
    """Return ``noun`` after "a" or "an", or alone if it takes no article."""
    if noun.removeprefix("small ") in _WITHOUT_ARTICLE:
        return noun
    return f"an {noun}" if noun[0] in "aeiou" and noun != "unicorn" else f"a {noun}"


_WITHOUT_ARTICLE = {"cheese", "popcorn", "grapes", "corn", "broccoli", "fire", "scissors"}


_NUMBERS = {2: "two", 3: "three", 4: "four"}
_PLURALS = {
    "fish": "fish", "sheep": "sheep", "snowman": "snowmen", "volcano": "volcanoes",
    "butterfly": "butterflies", "strawberry": "strawberries", "trophy": "trophies",
}  # fmt: skip
_UNCOUNTED = _WITHOUT_ARTICLE | {"sun", "rainbow", "ice cream", "watermelon"}


def plural(noun: str) -> str:
    """Return ``noun`` for more than one."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    return f"{noun}es" if noun.endswith(("ch", "sh", "s", "x", "tomato")) else f"{noun}s"


def _named(scene: Scene) -> list[str]:
    """Return what a caption calls the things, with article or number."""
    if scene.count > 1:
        item = scene.items[0]
        several = plural(item.thing)
        return [" ".join(filter(None, (_NUMBERS[scene.count], item.colour, several)))]
    return [with_article(_noun(item, scene.size)) for item in scene.items]


def _subject(scene: Scene) -> str:
    first, *others = _named(scene)
    return " ".join([first, *(f"{scene.relation} {other}" for other in others)])


def _noun(item: Item, size: Size) -> str:
    words = f"{item.colour} {item.thing}" if item.colour else str(item.thing)
    return words if size is Size.NORMAL else f"{size} {words}"


def _with_background(subject: str, scene: Scene, *, is_named: bool) -> str:
    if scene.style is Style.BLACK_AND_WHITE:
        subject = f"{subject} in {scene.style}"
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
    kind = rng.choice(_KINDS_OF_PICTURE)
    if scene.style is Style.BLACK_AND_WHITE:
        return with_article(f"{scene.style} {kind} of {_subject(scene)}")
    subject = with_article(f"{kind} of {_subject(scene)}")
    return _with_background(subject, scene, is_named=is_named)


def _in_short(scene: Scene, _rng: random.Random, is_named: bool) -> str:  # noqa: FBT001 - as above
    """Leave the articles out: "red circle on blue"."""
    if scene.count > 1:
        return _plainly(scene, _rng, is_named)
    subject = f" {scene.relation} ".join(_noun(item, scene.size) for item in scene.items)
    if is_named and isinstance(scene.background, Colour):
        return f"{subject} on {scene.background}"
    return _with_background(subject, scene, is_named=is_named)


def _in_other_words(scene: Scene, rng: random.Random, is_named: bool) -> str:  # noqa: FBT001 - as above
    """Take another preposition, or begin with the background."""
    first, *others = _named(scene)
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
    (draw,) = rng.choices(
        (_random_single, _random_several, _random_pair),
        weights=(_SINGLE_FRACTION, _COUNTED_FRACTION, 1 - _SINGLE_FRACTION - _COUNTED_FRACTION),
    )
    scene = draw(rng)
    while is_held_out(scene):
        scene = draw(rng)
    return scene


def held_out_scenes(count: int, seed: int) -> list[Scene]:
    """Return ``count`` scenes of coloured things that training never shows, singles and pairs."""
    rng = random.Random(seed)
    scenes: list[Scene] = []
    while len(scenes) < count:
        draw = _random_single if rng.random() < _HELD_OUT_SINGLE_FRACTION else _random_pair
        scene = draw(rng)
        while not (is_held_out(scene) and _has_only_things(scene)):
            scene = draw(rng)
        scenes.append(scene)
    return scenes


def held_out_counts(count: int, seed: int) -> list[Scene]:
    """Return ``count`` scenes of two to four equal coloured things that training never shows."""
    rng = random.Random(seed)
    scenes: list[Scene] = []
    while len(scenes) < count:
        scene = _random_several(rng)
        if is_held_out(scene) and _has_only_things(scene):
            scenes.append(scene)
    return scenes


def held_out_objects(seed: int) -> list[Scene]:
    """Return every object once, on a background on which training never shows it."""
    rng = random.Random(seed)
    scenes: list[Scene] = []
    for one in Object:
        items = (Item(thing=one),)
        everywhere = [Scene(items=items, background=each) for each in (*_COLOURS, *_LANDSCAPES)]
        unseen = [scene for scene in everywhere if is_held_out(scene)]
        scenes.append(rng.choice(unseen or everywhere))
    return scenes


def _has_only_things(scene: Scene) -> bool:
    return all(isinstance(item.thing, Thing) for item in scene.items)


def is_held_out(scene: Scene) -> bool:
    """Whether training never shows ``scene`` (see the module's text)."""
    if any(item.colour and _is_chosen("item", item.colour, item.thing) for item in scene.items):
        return True
    if scene.relation is None:
        item = scene.items[0]
        return _is_single_held_out(item, scene.background) or (
            scene.count > 1 and _is_chosen("several", _NUMBERS[scene.count], *_words(item))
        )
    first, second = scene.items
    words = (
        str(first.colour), first.thing, scene.relation, str(second.colour), second.thing
    )  # fmt: skip
    return words == _RED_CUBE_ON_BLUE_SPHERE or _is_chosen("pair", *words)


_GREEN_CUBE = Item(colour=Colour.GREEN, thing=Thing.CUBE)
_RED_CIRCLE = Item(colour=Colour.RED, thing=Thing.CIRCLE)
_RED_CUBE_ON_BLUE_SPHERE = (
    Colour.RED, Thing.CUBE, Relation.ON_TOP_OF, Colour.BLUE, Thing.SPHERE
)  # fmt: skip


def _is_single_held_out(item: Item, background: Background) -> bool:
    if item.colour is None:
        is_plain = background is default_background((item,))
        return not is_plain and _is_chosen("object", item.thing, background)
    return (
        item == _GREEN_CUBE
        or (item == _RED_CIRCLE and background is Colour.BLUE)
        or _is_chosen("single", item.colour, item.thing, background)
    )


def _words(item: Item) -> tuple[str, ...]:
    return (item.colour, item.thing) if item.colour else (item.thing,)


def _is_chosen(*words: str) -> bool:
    """Whether a stable hash picks ``words``, as it does one time in ten."""
    digest = hashlib.sha256("/".join(words).encode()).digest()
    return int.from_bytes(digest[:8], "big") % _HELD_OUT_ONE_IN == 0


def _random_single(rng: random.Random) -> Scene:
    if rng.random() < _OBJECT_FRACTION:
        item, weights = Item(thing=rng.choice(_OBJECTS)), (1, 9, 0)
        if rng.random() < _BLACK_AND_WHITE_FRACTION:
            return Scene(items=(item,), style=Style.BLACK_AND_WHITE)
    else:
        item, weights = Item(colour=rng.choice(_COLOURS), thing=rng.choice(_THINGS)), (2, 6, 2)
    size = rng.choices(tuple(Size), weights=weights)[0]
    return Scene(items=(item,), background=_random_background((item,), rng), size=size)


def _random_several(rng: random.Random) -> Scene:
    item = _random_paired_item(rng.choice(_COLOURS), rng)
    while item.thing in _UNCOUNTED:
        item = _random_paired_item(rng.choice(_COLOURS), rng)
    background = _random_background((item,), rng)
    return Scene(items=(item,), background=background, count=rng.choice(tuple(_NUMBERS)))


def _random_pair(rng: random.Random) -> Scene:
    colours = rng.sample(_COLOURS, 2)
    items = tuple(_random_paired_item(colour, rng) for colour in colours)
    relation = rng.choice(tuple(Relation))
    return Scene(items=items, relation=relation, background=_random_background(items, rng))


def _random_paired_item(colour: Colour, rng: random.Random) -> Item:
    if rng.random() < _PAIRED_OBJECT_FRACTION:
        return Item(thing=rng.choice(_OBJECTS))
    return Item(colour=colour, thing=rng.choice(_THINGS))


def _random_background(items: tuple[Item, ...], rng: random.Random) -> Background:
    default = default_background(items)
    backgrounds = rng.choices(((default,), _COLOURS, _LANDSCAPES), weights=(50, 22, 28))[0]
    seen = [one for one in backgrounds if _can_be_seen(items, one)]
    return rng.choice(seen) if seen else default


def _can_be_seen(items: tuple[Item, ...], background: Background) -> bool:
    """Whether nothing of ``items`` drowns in ``background``."""
    hidden = _DROWNED_BY.get(background, {background})
    return not any(
        item.colour in hidden or hidden & LOOKS[item.thing].unseen_on
        for item in items
        if isinstance(item.thing, Thing)
    )


_COLOURS = tuple(Colour)
_THINGS = tuple(Thing)
_OBJECTS = tuple(Object)
_LANDSCAPES = tuple(Landscape)
_DROWNED_BY: dict[Background, set[Background]] = {
    Landscape.GRASS: {Colour.GREEN},
    Landscape.SNOW: {Colour.WHITE},
    Landscape.SEA: {Colour.BLUE},
    Landscape.NIGHT: {Colour.BLACK},
    Landscape.SPACE: {Colour.BLACK, Colour.PURPLE},
}


# --- a sheet to look at --------------------------------------------------------------


def sheet(
    sprites: Sprites, count: int = 198, *, columns: int = 18, side_px: int = 64, seed: int = 0
) -> Image.Image:
    """Return ``count`` captioned pictures: every thing once, then random training scenes."""
    line_px = 48
    rows = -(-count // columns)
    image = Image.new("RGB", (columns * (side_px + 8), rows * (side_px + line_px)), "#dddddd")
    canvas = ImageDraw.Draw(image)
    for index, (scene, words) in enumerate(_examples(count, seed)):
        left = index % columns * (side_px + 8) + 4
        top = index // columns * (side_px + line_px) + 4
        rng = random.Random(index)
        image.paste(Image.fromarray(draw_scene(scene, rng, side_px, sprites)), (left, top))
        canvas.multiline_text((left, top + side_px), _wrapped(words), fill="black", spacing=0)
    return image


def _examples(count: int, seed: int) -> Iterator[tuple[Scene, str]]:
    rng = random.Random(seed)
    for index in range(count):
        if index < len(_THINGS):  # every thing once
            items = (Item(colour=_COLOURS[index % len(_COLOURS)], thing=_THINGS[index]),)
        elif index < len(_THINGS) + len(_OBJECTS):
            items = (Item(thing=_OBJECTS[index - len(_THINGS)]),)
        else:
            items = ()
        if items:
            scene = Scene(items=items, background=default_background(items))
        else:
            scene = random_scene(rng)
        yield scene, caption(scene, rng)


def _wrapped(words: str, width: int = 14) -> str:
    return "\n".join(textwrap.wrap(words, width))


def main() -> None:
    """Write the sheet to the path given on the command line."""
    if len(sys.argv) != 3:  # noqa: PLR2004 - the program and its two arguments
        sys.exit("Usage: python -m engine.training.scenes OBJECTS_FOLDER SHEET.png")
    sheet(load_sprites(Path(sys.argv[1]))).save(Path(sys.argv[2]))


if __name__ == "__main__":
    main()
