"""Measures whether a picture shows the scene that was asked for.

Independent of everything that draws or ranks: colours are compared in CIELAB, shapes
with the generator's own renderings. It knows only the generator's world: colours of
``engine.training.colours``, things of ``engine.training.things`` and objects of
``engine.training.objects`` in front of plain or simple backgrounds. Two things it takes apart
where what stands out is narrowest, or down the middle if they are side by side; several of the same
where there is a gap.

Every picture is uint8 [h, w, 3], of any size; it is measured at 64 by 64 pixels.
"""

# ruff: noqa: S311 - the random numbers place things in pictures, they keep no secrets

from __future__ import annotations

import dataclasses
import functools
import itertools
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from engine.training.colours import RGB, Colour, Rgb, shades_of
from engine.training.objects import NO_SPRITES, Object
from engine.training.scenes import (
    SKY_AND_GROUND,
    Background,
    Item,
    Relation,
    Scene,
    Size,
    default_background,
    draw_scene,
    has_ground,
)
from engine.training.things import Thing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from engine.training.objects import Sprites

    Mask = NDArray[np.bool_]
    Numbers = NDArray[np.float32]
    PictureArray = NDArray[np.uint8]
    _ObjectReferences = tuple[tuple[Object, ...], Numbers, Numbers]

_SIDE_PX = 64
_BORDER_PX = 2
_THING_DISTANCE = 14.0  # in CIELAB; 2 is just noticeable, the closest two colours are 30 apart
_PART_FRACTION = 0.3  # of the largest part; smaller ones are stars, the moon, dirt
_PRESENT_FRACTION = 0.12  # of the visible area, for a colour to count as present
_FIGURE_PX = 28
_HORIZON_PX = 5 * _SIDE_PX // 8
_SOFT_PX = 2  # on each side of the horizon
_GAP_PX = 4  # narrower than this, what is on both sides is one thing
_COLOUR_UNIT = 40.0  # so far apart in CIELAB counts as much as not being there
_LIGHTNESS_WEIGHT = 1.5  # of the inner shading against the outline
_REFERENCE_SIZES = (Size.NORMAL, Size.SMALL)  # small corners are rounder
_REFERENCE_SEED = 20_220_601  # pictures to be judged must come from other seeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is right about a picture; ``None`` where the question does not arise.

    Attributes:
        background_is_right: The background has the colour asked for.
        colours_are_right: Each colour asked for is there; of one thing, it dominates.
        shape_is_right: The outline and shading are nearest to the thing asked for; of two
            things, each of them in its half.
        order_is_right: Of two things, the first is above, or left of, the second.
        number_is_right: Of several of the same, there are as many as asked for.
    """

    background_is_right: bool
    colours_are_right: bool
    shape_is_right: bool
    order_is_right: bool | None = None
    number_is_right: bool | None = None

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        return (
            self.background_is_right
            and self.colours_are_right
            and self.shape_is_right
            and self.order_is_right is not False
            and self.number_is_right is not False
        )


def judge(picture: PictureArray, scene: Scene) -> Verdict:
    """Return what of ``scene``, which shows coloured things, is right in ``picture``."""
    figure = _Figure.of(picture, scene.count)
    background_is_right = figure.background == scene.background
    wanted = [item.colour for item in scene.items if item.colour]
    if scene.relation is None:
        parts = figure.parts() if scene.count > 1 else [figure]
        return Verdict(
            background_is_right=background_is_right,
            colours_are_right=figure.main_colour() == wanted[0],
            shape_is_right={part.nearest_thing() for part in parts} == {scene.items[0].thing},
            number_is_right=len(parts) == scene.count if scene.count > 1 else None,
        )
    is_there = set(wanted) <= figure.colours_present()
    halves = figure.halves(scene.relation)
    return Verdict(
        background_is_right=background_is_right,
        colours_are_right=is_there,
        shape_is_right=all(
            half.nearest_thing() == item.thing
            for half, item in zip(halves, scene.items, strict=True)
        ),
        order_is_right=figure.is_in_order(wanted, scene.relation) if is_there else None,
    )


class ObjectJudge:
    """Knows what the objects look like on each background."""

    def __init__(self, sprites: Sprites) -> None:
        self._sprites = sprites
        self._references: dict[Background, _ObjectReferences] = {}

    def likeliest(
        self, picture: PictureArray, background: Background, count: int = 5
    ) -> list[Object]:
        """Return the ``count`` objects whose renderings are most like ``picture``, best first."""
        figure = _Figure.of(picture)
        if not figure.mask.any():
            return []
        if background not in self._references:
            self._references[background] = _object_references(background, self._sprites)
        names, colours, outlines = self._references[background]
        colour, outline = figure.colouring()
        shared = np.minimum(outlines, outline)
        union = np.maximum(outlines, outline).sum((1, 2))
        apart = (np.linalg.norm(colours - colour, axis=-1) * shared).sum((1, 2)) / _COLOUR_UNIT
        distance = (union - shared.sum((1, 2)) + apart) / union
        ranked = dict.fromkeys(names[i] for i in np.argsort(distance, kind="stable"))
        return list(ranked)[:count]


def background_of(picture: PictureArray) -> Background:
    """Return the background that ``picture`` has, or is nearest to."""
    return _Figure.of(picture).background


def colour_of(picture: PictureArray) -> Colour | None:
    """Return the colour of most of what stands out; ``None`` if nothing does."""
    return _Figure.of(picture).main_colour()


def thing_of(picture: PictureArray) -> Thing | None:
    """Return the thing that ``picture`` is most like; ``None`` if nothing stands out."""
    return _Figure.of(picture).nearest_thing()


# --- the report ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How often one thing was right.

    Attributes:
        measure: What was looked at.
        scene_count: In how many scenes the question arose.
        first: The fraction of first-ranked pictures that were right.
        average: The same of all candidates, each scene counting alike.
    """

    measure: str
    scene_count: int
    first: float
    average: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The report of an evaluation; ``str`` of it is a Markdown table."""

    rows: tuple[Row, ...]

    def __str__(self) -> str:
        lines = [
            f"| {'what is right':<25} | scenes | ranked first | average candidate |",
            f"|{'-' * 27}|{'-' * 7}:|{'-' * 13}:|{'-' * 18}:|",
        ]
        lines += [
            f"| {row.measure:<25} | {row.scene_count:6} | {row.first:12.1%} | {row.average:17.1%} |"
            for row in self.rows
        ]
        return "\n".join(lines)


def evaluate(
    pictures: Sequence[tuple[Scene, Sequence[PictureArray]]],
    objects: Sequence[tuple[Scene, Sequence[PictureArray]]] = (),
    sprites: Sprites = NO_SPRITES,
) -> Table:
    """Judge the candidates of several scenes.

    Args:
        pictures: Scenes of coloured things, each with one or more candidates, best first.
        objects: The same of objects, each alone.
        sprites: What the objects look like.
    """
    verdicts = [[judge(one, scene) for one in candidates] for scene, candidates in pictures]
    alone, several, pairs = (
        [each for each, (scene, _) in zip(verdicts, pictures, strict=True) if kind(scene)]
        for kind in (
            lambda scene: len(scene.shown) == 1,
            lambda scene: scene.count > 1,
            lambda scene: scene.relation is not None,
        )
    )
    object_judge = ObjectJudge(sprites)
    guesses = [
        [object_judge.likeliest(one, scene.background) for one in candidates]
        for scene, candidates in objects
    ]
    wanted = [scene.items[0].thing for scene, _ in objects]
    rows = (
        _row("background", [[v.background_is_right for v in each] for each in verdicts]),
        _row("colour of one thing", [[v.colours_are_right for v in each] for each in alone]),
        _row("shape of one thing", [[v.shape_is_right for v in each] for each in alone]),
        _row("colours of two", [[v.colours_are_right for v in each] for each in pairs]),
        _row(
            "colours and shapes of two",
            [[v.colours_are_right and v.shape_is_right for v in each] for each in pairs],
        ),
        _row("order of two", [[v.order_is_right for v in each] for each in pairs]),
        _row("number of equal things", [[v.number_is_right for v in each] for each in several]),
        _row(
            "their colour and shape",
            [[v.colours_are_right and v.shape_is_right for v in each] for each in several],
        ),
        _row("everything", [[v.is_right for v in each] for each in verdicts]),
        _row(
            "object, first guess",
            [[g[:1] == [w] for g in each] for w, each in zip(wanted, guesses, strict=True)],
        ),
        _row(
            "object, among five",
            [[w in g for g in each] for w, each in zip(wanted, guesses, strict=True)],
        ),
    )
    return Table(rows=tuple(row for row in rows if row.scene_count))


def _row(measure: str, answers: Sequence[Sequence[bool | None]]) -> Row:
    asked = [each for each in answers if any(one is not None for one in each)]
    firsts = [each[0] for each in asked if each[0] is not None]
    return Row(
        measure=measure,
        scene_count=len(asked),
        first=_mean(map(bool, firsts)),
        average=_mean(_mean(bool(one) for one in each if one is not None) for each in asked),
    )


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0


# --- measuring -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Figure:
    """A picture taken apart.

    Attributes:
        lab: Its colours in CIELAB [64, 64, 3].
        background: What is behind.
        mask: Where something stands out from it [64, 64].
    """

    lab: Numbers
    background: Background
    mask: Mask

    @classmethod
    def of(cls, picture: PictureArray, count: int = 1) -> _Figure:
        """Take ``picture`` apart, which should show ``count`` of the same.

        The median filter takes noise and stars away.
        """
        image = Image.fromarray(picture).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BOX)
        lab = _lab(np.asarray(image.filter(ImageFilter.MedianFilter(3))))
        free = _free(count)
        background = _nearest_background(lab, free)
        distance = np.linalg.norm(lab - _behind(lab, background, free), axis=-1)
        mask = distance > _THING_DISTANCE
        if has_ground(background):  # its horizon is soft: what is there, its neighbours say
            first, last = _HORIZON_PX - _SOFT_PX, _HORIZON_PX + _SOFT_PX
            mask[first:last] = mask[first - 1] & mask[last]
        return cls(lab=lab, background=background, mask=_large_parts(mask))

    def main_colour(self) -> Colour | None:
        """Return the colour of most of the visible pixels."""
        common = Counter(self._colours()).most_common(1)
        return common[0][0] if common else None

    def colours_present(self) -> set[Colour]:
        """Return the colours that are more than a detail."""
        counts = Counter(self._colours())
        least = _PRESENT_FRACTION * counts.total()
        return {colour for colour, count in counts.items() if count >= least}

    def is_in_order(self, colours: Sequence[Colour], relation: Relation) -> bool:
        """Whether the first of two present colours is above, or left of, the second."""
        rows_and_columns = np.argwhere(self.mask)
        axis = 0 if relation is Relation.ON_TOP_OF else 1
        names = np.array([str(colour) for colour in self._colours()])
        first, second = (np.median(rows_and_columns[names == one, axis]) for one in colours)
        return bool(first < second)

    def nearest_thing(self) -> Thing | None:
        """Return the thing whose rendering has the most similar outline and shading."""
        if not self.mask.any():
            return None
        things, outlines, insides = _references()
        outline, inside = self.shape()
        overlap = np.minimum(outlines, outline).sum((1, 2))
        union = np.maximum(outlines, outline).sum((1, 2))
        difference = np.abs(insides - inside).sum((1, 2)) / union
        return things[int(np.argmin(1 - overlap / union + _LIGHTNESS_WEIGHT * difference))]

    def halves(self, relation: Relation) -> tuple[_Figure, _Figure]:
        """Return the upper and the lower, or the left and the right half of what stands out.

        Side by side each has half of the picture; of two that are stacked the higher one takes
        more of it, so they are parted where the figure is narrowest.
        """
        first = np.zeros_like(self.mask)
        if relation is Relation.ON_TOP_OF:
            first[: self._waist()] = True
        else:
            first[:, : _SIDE_PX // 2] = True
        upper, lower = (_large_parts(self.mask & half) for half in (first, ~first))
        return dataclasses.replace(self, mask=upper), dataclasses.replace(self, mask=lower)

    def _waist(self) -> int:
        """Return the narrowest row in the middle third of what stands out, or an empty one."""
        widths = self.mask.sum(axis=1)
        rows = np.flatnonzero(widths)
        top, height = (rows[0], rows[-1] + 1 - rows[0]) if rows.size else (0, _SIDE_PX)
        middle = top + height / 2
        third = range(int(middle - height / 6), int(middle + height / 6) + 1)
        return min(third, key=lambda row: (widths[row], abs(row - middle)))

    def parts(self) -> list[_Figure]:
        """Return what stands out in parts that have a gap between them."""
        image = Image.fromarray(self.mask.astype(np.uint8))
        grown = np.asarray(image.filter(ImageFilter.MaxFilter(_GAP_PX + 1))) > 0
        labels = np.where(self.mask, _connected(grown), 0)
        return [
            dataclasses.replace(self, mask=labels == label) for label in np.unique(labels) if label
        ]

    def colouring(self) -> tuple[Numbers, Numbers]:
        """Return colours in CIELAB [28, 28, 3] and outline (0 to 1), centred, one size."""
        corners = self._corners()
        channels = [_centred(self.lab[..., i] * self.mask, corners) for i in range(3)]
        return np.stack(channels, axis=-1), _centred(self.mask.astype(np.float32), corners)

    def shape(self) -> tuple[Numbers, Numbers]:
        """Return outline (0 to 1) and inner lightness (-1 to 1), centred, one size.

        The lightness is relative to the figure's own, so that colour does not matter.
        """
        lightness = self.lab[..., 0]
        middle = np.median(lightness[self.mask])
        inside = np.where(self.mask, np.clip((lightness - middle) / 40, -1, 1), 0)
        corners = self._corners()
        return _centred(self.mask.astype(np.float32), corners), _centred(inside, corners)

    def _corners(self) -> tuple[int, int, int, int]:
        rows, columns = np.nonzero(self.mask)
        return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1

    def _colours(self) -> list[Colour]:
        """Return the nearest colour of each visible pixel, in raster order.

        What stands out has not the colour of the background, or it would not; so a soft
        edge is not mistaken for it.
        """
        shades = [(name, lab) for name, lab in _palette() if name != self.background]
        palette = np.stack([lab for _, lab in shades])
        distances = np.linalg.norm(self.lab[self.mask][:, None] - palette, axis=-1)
        return [shades[index][0] for index in np.argmin(distances, axis=1)]


@functools.cache
def _free(count: int) -> Mask:
    """Where nothing but background should be: the border, or between ``count`` of the same."""
    free = np.zeros((_SIDE_PX, _SIDE_PX), np.bool_)
    first, second = 3 * _SIDE_PX // 8, 5 * _SIDE_PX // 8
    match count:
        case 1:
            free[:] = True
            free[_BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX] = False
        case 2:  # side by side
            free[:, first:second] = free[:first] = free[-first // 2 :] = True
        case 3:  # one above two
            free[:first, : first // 2] = free[:first, -first // 2 :] = True
            free[first:second] = free[second:, first:second] = True
        case _:  # in the corners
            free[:, first:second] = True
    return free


def _nearest_background(lab: Numbers, free: Mask) -> Background:
    """Compare what is ``free`` above the horizon and below it with all backgrounds."""
    upper, lower = _above_and_below(lab, free)
    names, above, below = _backgrounds()
    distances = np.linalg.norm(above - upper, axis=-1) + np.linalg.norm(below - lower, axis=-1)
    return names[int(np.argmin(distances))]


def _behind(lab: Numbers, background: Background, free: Mask) -> Numbers:
    """Return the colour of the background, of each row where it has a horizon."""
    if has_ground(background):
        upper, lower = _above_and_below(lab, free)
        is_above = np.arange(_SIDE_PX)[:, None, None] < _HORIZON_PX
        return np.where(is_above, upper, lower)
    return np.median(lab[free], axis=0)


def _above_and_below(lab: Numbers, free: Mask) -> tuple[Numbers, Numbers]:
    """Return the colours of what is ``free`` above the horizon and below it."""
    halves = slice(None, _HORIZON_PX), slice(_HORIZON_PX, None)
    upper, lower = (np.median(lab[half][free[half]], axis=0) for half in halves)
    return upper, lower


def _large_parts(mask: Mask) -> Mask:
    """Return ``mask`` without the connected parts that are small beside its largest."""
    labels = _connected(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0  # the background
    keep = sizes >= max(1.0, _PART_FRACTION * sizes.max())
    return keep[labels]


def _connected(mask: Mask) -> NDArray[np.int64]:
    """Number the connected parts of ``mask`` from 1; 0 is what is outside.

    Each pixel starts with its own number and takes the largest of its neighbours', then
    the number that the pixel of that number has by now, until nothing changes.
    """
    numbers = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        wide = np.pad(numbers, 1)
        spread = np.maximum.reduce(
            [numbers, wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:]]
        )
        spread = np.where(mask, np.append(0, spread)[spread], 0)
        if np.array_equal(spread, numbers):
            return np.unique(numbers, return_inverse=True)[1].reshape(mask.shape)
        numbers = spread


def _centred(values: Numbers, corners: tuple[int, int, int, int]) -> Numbers:
    """Cut ``values`` to ``corners`` and scale its longer side to the common size."""
    left, top, right, bottom = corners
    scale = _FIGURE_PX / max(right - left, bottom - top)
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    cut = Image.fromarray(np.ascontiguousarray(values[top:bottom, left:right], np.float32))
    scaled = np.asarray(cut.resize(size, Image.Resampling.BILINEAR))
    square = np.zeros((_FIGURE_PX, _FIGURE_PX), np.float32)
    x, y = (_FIGURE_PX - size[0]) // 2, (_FIGURE_PX - size[1]) // 2
    square[y : y + size[1], x : x + size[0]] = scaled
    return square


@functools.cache
def _references() -> tuple[tuple[Thing, ...], Numbers, Numbers]:
    """Return the things, outlines [N, 28, 28] and insides [N, 28, 28] of renderings."""
    things: list[Thing] = []
    shapes: list[tuple[Numbers, Numbers]] = []
    rng = random.Random(_REFERENCE_SEED)
    for thing in Thing:
        for colour, size in itertools.product(Colour, _REFERENCE_SIZES):
            items = (Item(colour=colour, thing=thing),)
            scene = Scene(items=items, background=default_background(items), size=size)
            shapes.append(_Figure.of(draw_scene(scene, rng, _SIDE_PX)).shape())
            things.append(thing)
        for colour in Colour:
            items = (Item(colour=colour, thing=thing),)
            scene = Scene(items=items, background=default_background(items), count=2)
            two = _Figure.of(draw_scene(scene, rng, _SIDE_PX), 2)
            shapes.append(two.parts()[0].shape())
            things.append(thing)
    outlines, insides = zip(*shapes, strict=True)
    return tuple(things), np.stack(outlines), np.stack(insides)


def _object_references(background: Background, sprites: Sprites) -> _ObjectReferences:
    """Return objects, colours [N, 28, 28, 3] and outlines [N, 28, 28] of renderings."""
    names: list[Object] = []
    looks: list[tuple[Numbers, Numbers]] = []
    rng = random.Random(_REFERENCE_SEED)
    for one, size in itertools.product(sprites, _REFERENCE_SIZES):
        scene = Scene(items=(Item(thing=one),), background=background, size=size)
        figure = _Figure.of(draw_scene(scene, rng, _SIDE_PX, sprites))
        if figure.mask.any():
            looks.append(figure.colouring())
            names.append(one)
    colours, outlines = zip(*looks, strict=True)
    return tuple(names), np.stack(colours), np.stack(outlines)


@functools.cache
def _palette() -> tuple[tuple[Colour, Numbers], ...]:
    """Return each colour three times, with its three shades in CIELAB."""
    return tuple(
        (colour, lab)
        for colour in Colour
        for shades in (shades_of(RGB[colour]),)
        for lab in _lab_of([shades.light, shades.base, shades.dark])
    )


@functools.cache
def _backgrounds() -> tuple[tuple[Background, ...], Numbers, Numbers]:
    """Return all backgrounds with their colour above and below in CIELAB [N, 3]."""
    halves: dict[Background, tuple[Rgb, Rgb]] = {
        **{one: (RGB[one], RGB[one]) for one in Colour},
        **SKY_AND_GROUND,
    }
    above, below = zip(*halves.values(), strict=True)
    return tuple(halves), _lab_of(above), _lab_of(below)


def _lab_of(colours: Sequence[Rgb]) -> Numbers:
    return _lab(np.array(colours, np.uint8))


def _lab(srgb: PictureArray) -> Numbers:
    """Return sRGB levels [..., 3] as CIELAB, in which distances are those that are seen.

    Source: IEC 61966-2-1 (sRGB to XYZ, white D65) and CIE 15 (XYZ to CIELAB).
    """
    levels = srgb.astype(np.float32) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004 - sRGB's constant
    to_xyz = np.array(
        [
            [0.4124, 0.3576, 0.1805],
            [0.2126, 0.7152, 0.0722],
            [0.0193, 0.1192, 0.9505],
        ]
    )
    xyz = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)
