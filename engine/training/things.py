"""The things that the training pictures show, and how each is painted.

A painter works in its own units: x from 0 to the thing's width, y from 0 (top) to its
height, as the table ``LOOKS`` says. Where the thing stands and how large it is are the
``Pen``'s matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from engine.training.colours import Colour, Rgb, Shades, blend

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL import ImageDraw

Point = tuple[float, float]

_BARK: Rgb = (104, 64, 34)
_CREAM: Rgb = (236, 218, 184)
_GLASS: Rgb = (190, 224, 246)
_LEAF: Rgb = (52, 150, 60)
_POLLEN: Rgb = (252, 206, 50)
_RUBBER: Rgb = (34, 34, 38)
_SILVER: Rgb = (196, 198, 202)
_SNOW: Rgb = (252, 252, 252)

_STRIPS = 24  # of a curved surface; more are not seen at 128 px


class Thing(StrEnum):
    """Something that a prompt can name."""

    CIRCLE = "circle"
    SQUARE = "square"
    TRIANGLE = "triangle"
    STAR = "star"
    HEART = "heart"
    HEXAGON = "hexagon"
    RING = "ring"
    DIAMOND = "diamond"
    SPHERE = "sphere"
    CUBE = "cube"
    CYLINDER = "cylinder"
    CONE = "cone"
    HOUSE = "house"
    TREE = "tree"
    FLOWER = "flower"
    FISH = "fish"
    CAR = "car"
    BOAT = "boat"
    MUSHROOM = "mushroom"
    CUP = "cup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """Draws in a thing's own units at a place of the canvas.

    Attributes:
        canvas: What is drawn on.
        left_px: Where the thing's x is 0, in canvas pixels.
        top_px: Where its y is 0.
        unit_px: How many canvas pixels one unit has.
    """

    canvas: ImageDraw.ImageDraw
    left_px: float
    top_px: float
    unit_px: float

    def polygon(self, points: Sequence[Point], rgb: Rgb) -> None:
        """Fill the area between ``points``."""
        self.canvas.polygon([self._pixel(x, y) for x, y in points], fill=rgb)

    def box(self, left: float, top: float, right: float, bottom: float, rgb: Rgb) -> None:
        """Fill a rectangle."""
        self.canvas.rectangle([self._pixel(left, top), self._pixel(right, bottom)], fill=rgb)

    def bar(self, left: float, top: float, right: float, bottom: float, rgb: Rgb) -> None:
        """Fill a rectangle with rounded corners."""
        corners = [self._pixel(left, top), self._pixel(right, bottom)]
        self.canvas.rounded_rectangle(corners, 0.085 * self.unit_px, fill=rgb)

    def oval(self, left: float, top: float, right: float, bottom: float, rgb: Rgb) -> None:
        """Fill the ellipse in a rectangle."""
        self.canvas.ellipse([self._pixel(left, top), self._pixel(right, bottom)], fill=rgb)

    def disc(self, x: float, y: float, radius: float, rgb: Rgb) -> None:
        """Fill a circle around (x, y)."""
        self.oval(x - radius, y - radius, x + radius, y + radius, rgb)

    def hoop(self, x: float, y: float, radius: float, width: float, rgb: Rgb) -> None:
        """Draw a circle whose line is ``width`` thick, inwards; the inside stays as it is."""
        corners = [self._pixel(x - radius, y - radius), self._pixel(x + radius, y + radius)]
        self.canvas.ellipse(corners, outline=rgb, width=max(1, round(width * self.unit_px)))

    def dome(self, left: float, top: float, right: float, bottom: float, rgb: Rgb) -> None:
        """Fill the upper half of the ellipse in a rectangle."""
        corners = [self._pixel(left, top), self._pixel(right, bottom)]
        self.canvas.chord(corners, 180, 360, fill=rgb)

    def _pixel(self, x: float, y: float) -> Point:
        return self.left_px + x * self.unit_px, self.top_px + y * self.unit_px


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a thing is painted.

    Attributes:
        paint: Draws it in the given shades.
        width: Its extent in its own units.
        height: As ``width``.
        unseen_on: Backgrounds on which a fixed detail of it (wheels, trunk) would vanish.
    """

    paint: Callable[[Pen, Shades], None]
    width: float = 1.0
    height: float = 1.0
    unseen_on: frozenset[Colour] = frozenset()


def _circle(pen: Pen, shades: Shades) -> None:
    pen.disc(0.5, 0.5, 0.5, shades.base)


def _square(pen: Pen, shades: Shades) -> None:
    pen.box(0, 0, 1, 1, shades.base)


def _triangle(pen: Pen, shades: Shades) -> None:
    pen.polygon([(0.5, 0), (1, 0.88), (0, 0.88)], shades.base)


def _star(pen: Pen, shades: Shades) -> None:
    # The five tips of a star span 0.951 of its circle's width on each side and reach
    # from 1 above its centre to 0.809 below.
    radius = 0.5 / math.sin(math.tau / 5)
    points = [
        _on_circle(0.5, radius, radius if corner % 2 == 0 else radius * 0.42, corner / 10)
        for corner in range(10)
    ]
    pen.polygon(points, shades.base)


def _on_circle(x: float, y: float, radius: float, turn: float) -> Point:
    """Return the point at ``turn`` (0 is the top, 0.25 the right) of a circle."""
    angle = turn * math.tau
    return x + radius * math.sin(angle), y - radius * math.cos(angle)


def _heart(pen: Pen, shades: Shades) -> None:
    """Draw the common heart curve, 32 wide and 29 high, scaled to a width of 1.

    Source: the parametric heart curve, x = 16 sin³t,
    y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t (MathWorld, "Heart Curve", 6).
    """
    points: list[Point] = []
    for step in range(48):
        angle = step / 48 * math.tau
        x = 16 * math.sin(angle) ** 3
        y = sum(a * math.cos(k * angle) for k, a in ((1, 13), (2, -5), (3, -2), (4, -1)))
        points.append(((x + 16) / 32, (12 - y) / 32))
    pen.polygon(points, shades.base)


def _hexagon(pen: Pen, shades: Shades) -> None:
    pen.polygon(
        [(0, 0.433), (0.25, 0), (0.75, 0), (1, 0.433), (0.75, 0.866), (0.25, 0.866)], shades.base
    )


def _ring(pen: Pen, shades: Shades) -> None:
    pen.hoop(0.5, 0.5, 0.5, 0.17, shades.base)


def _diamond(pen: Pen, shades: Shades) -> None:
    pen.polygon([(0.36, 0), (0.72, 0.5), (0.36, 1), (0, 0.5)], shades.base)


def _sphere(pen: Pen, shades: Shades) -> None:
    for step in range(_STRIPS):
        depth = step / (_STRIPS - 1)  # 0 at the rim, 1 at the highlight
        shift = 0.17 * depth
        pen.disc(0.5 - shift, 0.5 - shift, 0.5 - 0.44 * depth, shades.at(2.1 * depth - 1.1))


def _cube(pen: Pen, shades: Shades) -> None:
    front, back = 0.72, 0.28
    pen.polygon([(0, back), (back, 0), (1, 0), (front, back)], shades.light)
    pen.polygon([(front, back), (1, 0), (1, front), (front, 1)], shades.dark)
    pen.box(0, back, front, 1, shades.base)


def _cylinder(pen: Pen, shades: Shades) -> None:
    width, rim = 0.74, 0.11
    bottom_y = [1 - rim + rim * math.sin(math.pi * k / _STRIPS) for k in range(_STRIPS + 1)]
    bottom_x = [(1 - math.cos(math.pi * k / _STRIPS)) * width / 2 for k in range(_STRIPS + 1)]
    for k in range(_STRIPS):
        strip = [(bottom_x[k], rim), (bottom_x[k + 1], rim)]
        strip += [(bottom_x[k + 1], bottom_y[k + 1]), (bottom_x[k], bottom_y[k])]
        pen.polygon(strip, shades.at(_round_light((k + 0.5) / _STRIPS)))
    pen.oval(0, 0, width, 2 * rim, shades.light)


def _cone(pen: Pen, shades: Shades) -> None:
    width, rim, apex = 0.86, 0.11, (0.43, 0.0)
    for k in range(_STRIPS):
        edge = [
            ((1 - math.cos(angle)) * width / 2, 1 - rim + rim * math.sin(angle))
            for angle in (math.pi * k / _STRIPS, math.pi * (k + 1) / _STRIPS)
        ]
        pen.polygon([apex, *edge], shades.at(_round_light((k + 0.5) / _STRIPS)))


def _round_light(turn: float) -> float:
    """Return the brightness of a round wall at ``turn`` (0 left edge, 1 right edge)."""
    return max(-1.0, 0.9 - abs(turn - 0.3) / 0.33)


def _house(pen: Pen, shades: Shades) -> None:
    pen.box(0.12, 0.4, 0.88, 1, shades.base)
    pen.polygon([(0, 0.44), (0.5, 0), (1, 0.44)], shades.dark)
    pen.box(0.42, 0.64, 0.58, 1, _BARK)
    for left in (0.2, 0.66):
        pen.box(left, 0.54, left + 0.14, 0.7, _GLASS)


def _tree(pen: Pen, shades: Shades) -> None:
    pen.box(0.34, 0.55, 0.46, 1, _BARK)
    for x, y, radius in ((0.22, 0.47, 0.22), (0.58, 0.47, 0.22), (0.4, 0.28, 0.28)):
        pen.disc(x, y, radius, shades.base)
    pen.disc(0.33, 0.22, 0.12, shades.at(0.4))


def _flower(pen: Pen, shades: Shades) -> None:
    pen.box(0.29, 0.4, 0.35, 1, _LEAF)
    pen.oval(0.02, 0.72, 0.31, 0.86, _LEAF)
    pen.oval(0.33, 0.66, 0.62, 0.8, _LEAF)
    for petal in range(6):
        pen.disc(*_on_circle(0.32, 0.345, 0.2, petal / 6), 0.145, shades.base)
    pen.disc(0.32, 0.345, 0.12, _differs(_POLLEN, shades, _BARK))


def _fish(pen: Pen, shades: Shades) -> None:
    pen.polygon([(0.28, 0.12), (0.48, 0), (0.58, 0.14)], shades.dark)
    pen.polygon([(0.6, 0.31), (1, 0.04), (0.92, 0.31), (1, 0.58)], shades.base)
    pen.oval(0, 0.06, 0.76, 0.56, shades.base)
    pen.polygon([(0.34, 0.31), (0.5, 0.24), (0.5, 0.42)], shades.dark)
    pen.disc(0.17, 0.24, 0.062, _SNOW)
    pen.disc(0.16, 0.24, 0.034, _RUBBER)


def _car(pen: Pen, shades: Shades) -> None:
    pen.polygon([(0.18, 0.24), (0.32, 0), (0.68, 0), (0.84, 0.24)], shades.base)
    pen.bar(0, 0.2, 1, 0.44, shades.base)
    pen.polygon([(0.27, 0.21), (0.36, 0.05), (0.48, 0.05), (0.48, 0.21)], _GLASS)
    pen.polygon([(0.53, 0.21), (0.53, 0.05), (0.65, 0.05), (0.75, 0.21)], _GLASS)
    for x in (0.24, 0.76):
        pen.disc(x, 0.43, 0.115, _RUBBER)
        pen.disc(x, 0.43, 0.05, _SILVER)


def _boat(pen: Pen, shades: Shades) -> None:
    pen.box(0.47, 0, 0.52, 0.68, _BARK)
    pen.polygon([(0.56, 0.04), (0.56, 0.6), (0.94, 0.6)], shades.at(0.7))
    pen.polygon([(0.43, 0.16), (0.43, 0.6), (0.12, 0.6)], shades.at(0.7))
    pen.polygon([(0, 0.66), (1, 0.66), (0.8, 0.94), (0.18, 0.94)], shades.base)


def _mushroom(pen: Pen, shades: Shades) -> None:
    pen.bar(0.34, 0.4, 0.66, 0.94, _CREAM)
    pen.dome(0, 0, 1, 1.08, shades.base)
    dot = _differs(_SNOW, shades, shades.dark)
    for x, y, radius in ((0.5, 0.17, 0.09), (0.24, 0.34, 0.075), (0.76, 0.34, 0.075)):
        pen.disc(x, y, radius, dot)


def _cup(pen: Pen, shades: Shades) -> None:
    pen.hoop(0.72, 0.4, 0.24, 0.085, shades.dark)
    pen.polygon([(0, 0.08), (0.72, 0.08), (0.64, 0.86), (0.08, 0.86)], shades.base)
    pen.oval(0, 0, 0.72, 0.17, shades.light)
    pen.oval(0.05, 0.03, 0.67, 0.14, shades.dark)


def _differs(detail: Rgb, shades: Shades, otherwise: Rgb) -> Rgb:
    """Return ``detail``, or ``otherwise`` where it would drown in the thing's colour."""
    distance = math.dist(detail, shades.base)
    return detail if distance > 60 else blend(otherwise, shades.base, 0.2)  # noqa: PLR2004 - seen


LOOKS: dict[Thing, Look] = {
    Thing.CIRCLE: Look(paint=_circle),
    Thing.SQUARE: Look(paint=_square),
    Thing.TRIANGLE: Look(paint=_triangle, height=0.88),
    Thing.STAR: Look(paint=_star, height=0.951),
    Thing.HEART: Look(paint=_heart, height=0.906),
    Thing.HEXAGON: Look(paint=_hexagon, height=0.866),
    Thing.RING: Look(paint=_ring),
    Thing.DIAMOND: Look(paint=_diamond, width=0.72),
    Thing.SPHERE: Look(paint=_sphere),
    Thing.CUBE: Look(paint=_cube),
    Thing.CYLINDER: Look(paint=_cylinder, width=0.74),
    Thing.CONE: Look(paint=_cone, width=0.86),
    Thing.HOUSE: Look(paint=_house),
    Thing.TREE: Look(paint=_tree, width=0.8, unseen_on=frozenset({Colour.BROWN})),
    Thing.FLOWER: Look(paint=_flower, width=0.64, unseen_on=frozenset({Colour.GREEN})),
    Thing.FISH: Look(paint=_fish, height=0.58),
    Thing.CAR: Look(paint=_car, height=0.545, unseen_on=frozenset({Colour.BLACK})),
    Thing.BOAT: Look(paint=_boat, height=0.94),
    Thing.MUSHROOM: Look(paint=_mushroom, height=0.94),
    Thing.CUP: Look(paint=_cup, width=0.96, height=0.86),
}
