"""Codes of a scene, put together from the codes of its parts.

A picture's codes are not independent: that of a cell at the edge of a red star on blue tells of
the star, of red and of blue. A model that never saw this star would have to guess a code that it
never saw in this place. So the VQGAN is trained to make pictures from codes that do not mix:

- each code is a pair, one of the shapes and one of the colours (``engine.training.vqgan``);
- the cells of a thing have the shapes that the red thing on white has, and the one colour that a
  flat picture of its own colour has;
- the cells of an object, which has its own colours, have its codes on white;
- all other cells have the codes of the background with nothing in front.

What a cell of a thing shows of the background, the decoder takes from the cells around.
Whatever has been learned of a thing then holds in every colour and before every background.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import jax.numpy as jnp
import numpy as np
from flax import nnx

from engine.training.colours import RGB, Colour
from engine.training.objects import Object
from engine.training.scenes import (
    BLACK_AND_WHITE_EXTENT_CELLS,
    CELLS,
    EXTENTS_CELLS,
    Background,
    Item,
    Landscape,
    Place,
    Scene,
    Style,
    draw_at,
)
from engine.training.things import Thing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jaxtyping import Array, Float, Int
    from numpy.typing import NDArray

    from engine.models.vqgan import Vqgan
    from engine.training.objects import Sprites

_Cell = TypeVar("_Cell", bound=np.generic)

BACKGROUND, OWN_COLOURS = -2, -1
"""What paints a cell, if not the colour with this index in ``Colour``."""

BACKGROUNDS: tuple[Background, ...] = (*Colour, *Landscape)
_COLOURS = tuple(Colour)
_PART_COLOUR = Colour.RED
_CELL_PX = 8  # only to see which cells a thing covers
_COVERED = 16  # of 255 levels: less is a trace of a soft edge
_FLAT_CELLS = 2
_ENCODED_AT_ONCE = 50

# --- what parts look like --------------------------------------------------------------


def in_part_colours(scene: Scene) -> Scene:
    """Return ``scene`` with everything that has no colours of its own in red, on white."""
    items = tuple(replace(item, colour=item.colour and _PART_COLOUR) for item in scene.items)
    return replace(scene, items=items, background=Colour.WHITE)


def empty_pictures(side_px: int) -> NDArray[np.uint8]:
    """Return every one of ``BACKGROUNDS`` with nothing in front, [17, side_px, side_px, 3]."""
    return np.stack([draw_at((), Scene(items=(), background=b), side_px) for b in BACKGROUNDS])


def flat_pictures(cell_px: int) -> NDArray[np.float32]:
    """Return a small picture in [0, 1] of each colour, [11, h, h, 3]."""
    rgb = in_unit(np.array([RGB[colour] for colour in Colour], np.uint8))
    return np.broadcast_to(rgb[:, None, None], (len(rgb), *[_FLAT_CELLS * cell_px] * 2, 3)).copy()


class Covers:
    """Knows which cells of its square a thing covers."""

    def __init__(self, sprites: Sprites) -> None:
        self._sprites = sprites
        self._known: dict[tuple[Thing | Object, int], NDArray[np.bool_]] = {}

    def of(self, thing: Thing | Object, extent: int) -> NDArray[np.bool_]:
        """Whether each cell of a square is covered, [extent, extent]."""
        if (thing, extent) not in self._known:
            place = _in_the_middle(extent)
            covered = np.zeros((CELLS, CELLS), np.bool_)
            for background in (Colour.WHITE, Colour.BLACK):  # what is white shows on black
                scene = Scene(items=(_part(thing),), background=background)
                drawn = draw_at([place], scene, CELLS * _CELL_PX, self._sprites)
                change = np.abs(drawn.astype(int) - RGB[background]).max(-1)
                cells = change.reshape(CELLS, _CELL_PX, CELLS, _CELL_PX).max((1, 3))
                covered |= cells > _COVERED
            self._known[thing, extent] = _square(covered, place)
        return self._known[thing, extent]

    def paints(self, scene: Scene, places: Sequence[Place]) -> NDArray[np.int8]:
        """What paints each cell of a scene, int8 [CELLS, CELLS]."""
        paints = np.full((CELLS, CELLS), BACKGROUND, np.int8)
        for item, place in zip(scene.shown, places, strict=True):
            colour = _COLOURS.index(item.colour) if item.colour else OWN_COLOURS
            _square(paints, place)[self.of(item.thing, place.extent)] = colour
        return paints


def _part(thing: Thing | Object) -> Item:
    return Item(thing=thing, colour=_PART_COLOUR if isinstance(thing, Thing) else None)


def _in_the_middle(extent: int) -> Place:
    return Place(left=(CELLS - extent) // 2, top=(CELLS - extent) // 2, extent=extent)


def _square(cells: NDArray[_Cell], place: Place) -> NDArray[_Cell]:
    """Return the part of ``cells`` [CELLS, CELLS] that ``place`` takes, as a view."""
    rows = slice(place.top, place.top + place.extent)
    return cells[rows, place.left : place.left + place.extent]


# --- codes -----------------------------------------------------------------------------


def in_unit(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pictures in [0, 1], as a VQGAN takes them."""
    return pixels.astype(np.float32) / np.float32(255)


def encoded(model: Vqgan, pixels: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Codes int16 [N, S] of pictures [N, h, w, 3]."""
    codes: list[NDArray[np.int16]] = []
    for start in range(0, len(pixels), _ENCODED_AT_ONCE):
        some = in_unit(pixels[start : start + _ENCODED_AT_ONCE])
        missing = _ENCODED_AT_ONCE - len(some)  # one shape is compiled once
        filled = np.pad(some, ((0, missing), (0, 0), (0, 0), (0, 0)))
        codes.append(np.asarray(_encode(model, jnp.asarray(filled)), np.int16)[: len(some)])
    return np.concatenate(codes)


@nnx.jit
def _encode(model: Vqgan, pixels: Float[Array, "N h w 3"]) -> Int[Array, "N S"]:
    return model.encode(pixels)


_PartKey = tuple[Thing | Object, Style, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collages:
    """The codes of all parts under one VQGAN.

    Attributes:
        parts: Codes of each thing and object in each extent [extent, extent].
        colours: The second half of a code for each colour.
        empty: Codes of each background [CELLS, CELLS].
        colour_code_count: How many second halves there are.
        covers: Which cells a thing covers.
    """

    parts: Mapping[_PartKey, NDArray[np.int16]]
    colours: Mapping[Colour, int]
    empty: Mapping[Background, NDArray[np.int16]]
    colour_code_count: int
    covers: Covers

    @classmethod
    def of(
        cls,
        model: Vqgan,
        colour_codes: Sequence[int],
        colour_code_count: int,
        sprites: Sprites,
    ) -> Collages:
        """Encode every part with ``model``; ``colour_codes`` are those of the flat pictures."""
        side_px = model.config.resolution

        def codes_of(pictures: NDArray[np.uint8]) -> NDArray[np.int16]:
            return encoded(model, pictures).reshape(-1, CELLS, CELLS)

        parts: dict[_PartKey, NDArray[np.int16]] = {}
        for extent in EXTENTS_CELLS:
            place = _in_the_middle(extent)
            keys = list(_part_keys(sprites, extent))
            scenes = [Scene(items=(_part(thing),), style=style) for thing, style, _ in keys]
            pictures = np.stack([draw_at([place], one, side_px, sprites) for one in scenes])
            squares = [_square(cells, place) for cells in codes_of(pictures)]
            parts |= dict(zip(keys, squares, strict=True))
        return cls(
            parts=parts,
            colours=dict(zip(Colour, colour_codes, strict=True)),
            empty=dict(zip(BACKGROUNDS, codes_of(empty_pictures(side_px)), strict=True)),
            colour_code_count=colour_code_count,
            covers=Covers(sprites),
        )

    def codes(self, scene: Scene, places: Sequence[Place]) -> NDArray[np.int16]:
        """Codes of ``scene`` with its things at ``places``, int16 [S]."""
        cells = self.empty[scene.background].copy()
        for item, place in zip(scene.shown, places, strict=True):
            codes = self.parts[item.thing, scene.style, place.extent]
            if item.colour:
                shapes = codes // self.colour_code_count
                codes = shapes * self.colour_code_count + self.colours[item.colour]
            covered = self.covers.of(item.thing, place.extent)
            _square(cells, place)[covered] = codes[covered]
        return cells.reshape(-1)


def _part_keys(sprites: Iterable[Object], extent: int) -> Iterator[_PartKey]:
    for thing in (*Thing, *sprites):
        yield thing, Style.COLOURFUL, extent
        if isinstance(thing, Object) and extent == BLACK_AND_WHITE_EXTENT_CELLS:
            yield thing, Style.BLACK_AND_WHITE, extent
