"""The colours of the training pictures: their names, their values, their shades."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Rgb = tuple[int, int, int]


class Colour(StrEnum):
    """A colour that a prompt can name."""

    RED = "red"
    ORANGE = "orange"
    YELLOW = "yellow"
    GREEN = "green"
    BLUE = "blue"
    PURPLE = "purple"
    PINK = "pink"
    BROWN = "brown"
    BLACK = "black"
    WHITE = "white"
    GRAY = "gray"


RGB: dict[Colour, Rgb] = {
    Colour.RED: (218, 36, 40),
    Colour.ORANGE: (250, 132, 18),
    Colour.YELLOW: (250, 216, 40),
    Colour.GREEN: (38, 158, 66),
    Colour.BLUE: (38, 90, 220),
    Colour.PURPLE: (132, 48, 182),
    Colour.PINK: (246, 142, 192),
    Colour.BROWN: (122, 74, 38),
    Colour.BLACK: (24, 24, 26),
    Colour.WHITE: (248, 248, 248),
    Colour.GRAY: (142, 142, 144),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shades:
    """One colour in three lights."""

    light: Rgb
    base: Rgb
    dark: Rgb

    def at(self, brightness: float) -> Rgb:
        """Return the shade at ``brightness``: -1 is dark, 0 is base, 1 is light."""
        end = self.light if brightness > 0 else self.dark
        return blend(self.base, end, abs(brightness))


def blend(start: Rgb, end: Rgb, fraction: float) -> Rgb:
    """Return the colour that lies ``fraction`` of the way from ``start`` to ``end``."""
    red, green, blue = (round(a + (b - a) * fraction) for a, b in zip(start, end, strict=True))
    return red, green, blue


def shades_of(rgb: Rgb) -> Shades:
    """Return three lights of ``rgb`` that can be told apart.

    Black cannot get darker nor white lighter, so their base moves inwards a little; but
    the light of black stays darker than the dark of gray.
    """
    white, black = (255, 255, 255), (0, 0, 0)
    brightness = sum(rgb) / 3
    if brightness < 60:  # noqa: PLR2004 - only black is that dark
        return Shades(light=blend(rgb, white, 0.26), base=blend(rgb, white, 0.08), dark=rgb)
    if brightness > 220:  # noqa: PLR2004 - only white is that bright
        return Shades(light=rgb, base=blend(rgb, black, 0.08), dark=blend(rgb, black, 0.24))
    return Shades(light=blend(rgb, white, 0.38), base=rgb, dark=blend(rgb, black, 0.26))
