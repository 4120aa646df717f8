"""The tree of a flax checkpoint file, without the bytes of its arrays.

A ``flax_model.msgpack`` of the largest released model has 10.4 GB, and flax's own reader
holds all of it, and each array once more, before the first one can be cast. Here only the
names, shapes and places are read (kilobytes); each array, or one layer of it, can then be
read on its own. Knows nothing of models.

The format: nested maps whose leaves are extension 1 (an array) or 3 (a scalar), each
holding ``[shape, dtype name, bytes]``. An array of more than 2^30 bytes is a map itself,
with its pieces one after another::

    {"__msgpack_chunked_array__": True, "shape": {"0": 2, "1": 3}, "chunks": {"0": …, "1": …}}

Source: https://github.com/msgpack/msgpack/blob/master/spec.md; flax 0.12,
`serialization.py` (unchanged since 0.3, which wrote the released checkpoints).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

_CHUNKED: Final = "__msgpack_chunked_array__"
_ARRAY_EXTENSIONS: Final = (1, 3)

# What each first byte begins: a constant; or a kind with its count, or with the form
# (struct's) of the number that follows and is the count.
_TAGS: Final[dict[int, tuple[str, Any]]] = {
    **{0x00 + i: ("constant", i) for i in range(128)},
    **{0x80 + i: ("map", i) for i in range(16)},
    **{0x90 + i: ("list", i) for i in range(16)},
    **{0xA0 + i: ("text", i) for i in range(32)},
    0xC0: ("constant", None),
    0xC2: ("constant", False),
    0xC3: ("constant", True),
    **{0xC4 + i: ("bytes", form) for i, form in enumerate((">B", ">H", ">I"))},
    **{0xC7 + i: ("extension", form) for i, form in enumerate((">B", ">H", ">I"))},
    **{0xCA + i: ("number", form) for i, form in enumerate((">f", ">d"))},
    **{0xCC + i: ("number", form) for i, form in enumerate((">B", ">H", ">I", ">Q"))},
    **{0xD0 + i: ("number", form) for i, form in enumerate((">b", ">h", ">i", ">q"))},
    **{0xD4 + i: ("extension", 2**i) for i in range(5)},
    **{0xD9 + i: ("text", form) for i, form in enumerate((">B", ">H", ">I"))},
    **{0xDC + i: ("list", form) for i, form in enumerate((">H", ">I"))},
    **{0xDE + i: ("map", form) for i, form in enumerate((">H", ">I"))},
    **{0xE0 + i: ("constant", i - 32) for i in range(32)},
}


class NoTreeError(Exception):
    """The file holds something else than a map of arrays."""


@dataclass(frozen=True, slots=True)
class Span:
    """``size`` bytes of a file from ``start``."""

    start: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayInFile:
    """An array whose bytes are ``spans`` of a file, one after another.

    Attributes:
        is_whole: Whether the file goes on to the array's end.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    spans: tuple[Span, ...]
    is_whole: bool

    @property
    def size_bytes(self) -> int:
        """What the whole array takes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self, index: int | None = None) -> NDArray[Any]:
        """Read all of it, or its part ``index`` along the first axis, into new memory.

        Raises:
            OSError: The file is no longer what it was.
        """
        result = np.empty(self.shape if index is None else self.shape[1:], self.dtype)
        buffer = result.reshape(-1).view(np.uint8).data
        with self.path.open("rb", buffering=0) as file:
            _read_into(buffer, file, self.spans, skip=(index or 0) * len(buffer))
        return result


def read_tree(path: Path) -> tuple[dict[str, ArrayInFile], bool]:
    """Find every array of a file by its name, ``model/encoder/final_ln/bias``.

    Returns:
        The arrays, and whether the file is whole. Of one that was cut short, what comes
        before its end is there; the last array may not be whole.

    Raises:
        NoTreeError: It is no file of flax's.
        OSError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            walk = _Walk(path, file)
            return dict(_leaves(walk.tree())), not walk.is_cut
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise NoTreeError(str(error)) from error


class _Walk:
    """Reads one value after another; arrays become ``ArrayInFile``, bytes ``Span``.

    ``is_cut`` turns true when the file ends within a map, which is then given as far as it
    goes: what is missing can be told by name.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.is_cut = False
        self._path = path
        self._file = file
        self._size = file.seek(0, 2)
        file.seek(0)

    def tree(self) -> dict[str, Any]:
        try:
            tree = self._value()
        except EOFError:
            raise ValueError("no map") from None
        self.is_cut = self.is_cut or self._file.tell() > self._size
        if not isinstance(tree, dict) or not (self.is_cut or self._file.tell() == self._size):
            raise ValueError("no map, or something follows it")
        return cast("dict[str, Any]", tree)

    def _value(self) -> Any:
        kind, count = _TAGS[self._take(1)[0]]
        if kind == "constant":
            return count
        if isinstance(count, str):
            (count,) = struct.unpack(count, self._take(struct.calcsize(count)))
        read = {"map": self._map, "list": self._list, "text": self._text, "bytes": self._skip}
        if kind == "extension":
            return self._array()
        return count if kind == "number" else read[kind](count)

    def _map(self, count: int) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for _ in range(count):
            try:
                key = self._value()
                result[key] = self._value()
            except EOFError:
                self.is_cut = True
            if self.is_cut:
                break
        return result

    def _list(self, count: int) -> list[Any]:
        return [self._value() for _ in range(count)]

    def _text(self, size: int) -> str:
        return self._take(size).decode()

    def _skip(self, size: int) -> Span:
        span = Span(self._file.tell(), size)
        self._file.seek(size, 1)
        return span

    def _array(self) -> ArrayInFile:
        if self._take(1)[0] not in _ARRAY_EXTENSIONS:
            raise ValueError("no array")
        shape, dtype, span = self._value()
        array = ArrayInFile(
            path=self._path,
            shape=tuple(shape),
            dtype=jnp.dtype(dtype),
            spans=(span,),
            is_whole=span.start + span.size <= self._size,
        )
        if array.size_bytes != span.size:
            raise ValueError("an array has too few or too many bytes")
        return array

    def _take(self, size: int) -> bytes:
        taken = self._file.read(size)
        if len(taken) < size:
            raise EOFError
        return taken


def _leaves(tree: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ArrayInFile]]:
    for key, value in tree.items():
        path = (*above, key)
        if isinstance(value, ArrayInFile):
            yield "/".join(path), value
        elif _CHUNKED not in value:
            yield from _leaves(value, path)
        elif value.get("chunks"):  # not so in a file that was cut before the first
            yield "/".join(path), _joined(value["shape"], list(value["chunks"].values()))


def _joined(shape: dict[str, int], pieces: list[ArrayInFile]) -> ArrayInFile:
    """Make one array of its pieces; of a file that was cut, the last ones may be missing."""
    spans = tuple(span for piece in pieces for span in piece.spans)
    joined = replace(pieces[0], shape=tuple(shape.values()), spans=spans)
    has_all = joined.size_bytes == sum(span.size for span in spans)
    return replace(joined, is_whole=has_all and all(piece.is_whole for piece in pieces))


def _read_into(buffer: memoryview, file: Any, spans: tuple[Span, ...], *, skip: int) -> None:
    """Fill ``buffer`` from ``spans``, read as one, leaving out the first ``skip`` bytes.

    Example: spans of 4 and 6 bytes, skip 3, a buffer of 5: the last byte of the first span
    and the first four of the second.
    """
    for span in spans:
        here = buffer[: max(span.size - skip, 0)]
        file.seek(span.start + min(skip, span.size))
        buffer, skip = buffer[len(here) :], max(skip - span.size, 0)
        while here:
            count = file.readinto(here)  # at most 2 GiB at a time on Linux
            if not count:
                raise OSError("the file ends too early")
            here = here[count:]
