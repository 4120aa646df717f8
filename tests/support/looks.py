"""What a picture shows, told from a few of its pixels."""

from __future__ import annotations

import io

from PIL import Image

Colour = tuple[int, int, int]


def decoded(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    image.load()
    return image.convert("RGB")


def middle(image: Image.Image) -> Colour:
    """The mean colour of the middle ninth."""
    w, h = image.size
    return mean(image.crop((w * 4 // 9, h * 4 // 9, w * 5 // 9, h * 5 // 9)))


def border(image: Image.Image) -> Colour:
    """The mean colour of the four corners, where no shape in the middle reaches."""
    w, h = image.size
    side = min(w, h) // 10
    corners = Image.new("RGB", (2 * side, 2 * side))
    for x in (0, 1):
        for y in (0, 1):
            left, top = x * (w - side), y * (h - side)
            corner = image.crop((left, top, left + side, top + side))
            corners.paste(corner, (x * side, y * side))
    return mean(corners)


def mean(image: Image.Image) -> Colour:
    red, green, blue = image.resize((1, 1), Image.Resampling.BOX).tobytes()
    return red, green, blue


def strongest(colour: Colour) -> str:
    """The channel that outdoes the others: "red", "green" or "blue"."""
    names = ("red", "green", "blue")
    return names[max(range(3), key=lambda channel: colour[channel])]
