"""What lies in the files of a model: arrays by name, found without being read.

A model is one ``flax_model.msgpack``, or, as transformers writes what has more than 10 GB,
several files that ``flax_model.msgpack.index.json`` lists. Small weights that ship with the
package are numpy's. Knows nothing of models: what ought to be there is for
`engine/weights.py` to say.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from zipfile import BadZipFile

import numpy as np

from engine.api import CheckpointError
from engine.msgpack_tree import NoTreeError, read_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

FILE: Final = "flax_model.msgpack"
INDEX_FILE: Final = "flax_model.msgpack.index.json"


class StoredArray(Protocol):
    """An array that was found in a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that it has in the file."""
        ...

    @property
    def is_whole(self) -> bool:
        """Whether the file goes on to the array's end."""
        ...

    def read(self, index: int | None = None) -> NDArray[Any]:
        """Read all of it, or its part ``index`` along the first axis.

        Raises:
            OSError: The file is no longer what it was.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What lies in the file, or files, of one model.

    Attributes:
        source: The file that an error should name.
        arrays: By their names in the file: ``model/encoder/final_ln/bias``.
        problems: What is wrong with the files themselves, for one sentence with all.
    """

    source: Path
    arrays: Mapping[str, StoredArray]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _ArrayInMemory:
    """A ``StoredArray`` that is read already."""

    array: NDArray[Any]
    is_whole: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def read(self, index: int | None = None) -> NDArray[Any]:
        return self.array if index is None else self.array[index]


def find_arrays(folder: Path) -> Found:
    """Look into a model's ``flax_model.msgpack``, or the files that its index lists.

    Raises:
        CheckpointError: A file is not there, cannot be read, or is no such file. One that
            is merely cut short is told in ``Found.problems``.
    """
    if not (folder / FILE).exists() and (folder / INDEX_FILE).exists():
        return _find_in_shards(folder / INDEX_FILE)
    return _find_in(folder / FILE)


def read_npz(path: Path) -> Found:
    """Read a small file of numpy's that ships with the package.

    Bytes ``x`` that lie beside ``x.scale`` and ``x.low`` stand for numbers, a scale and a
    least value for each place of the last axis.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            held = _as_numbers({name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise CheckpointError(
            f"{path} is missing or damaged; install the package again."
        ) from error
    return Found(source=path, arrays={name: _ArrayInMemory(array) for name, array in held.items()})


def _as_numbers(held: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Put numbers in place of bytes that have a scale and a least value.

    Example: bytes 0 and 255, scale 0.5 and low -1 are -1 and 126.5.
    """
    numbers = dict(held)
    for name, array in held.items():
        scale, low = f"{name}.scale", f"{name}.low"
        if array.dtype == np.uint8 and scale in numbers and low in numbers:
            numbers[name] = array * numbers.pop(scale) + numbers.pop(low)
    return numbers


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a checkpoint.

    Raises:
        CheckpointError: It is not there, not readable, or not a JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error) from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is not a JSON object.")
    return cast("dict[str, Any]", values)


def unreadable(path: Path, error: Exception) -> CheckpointError:
    """The error for a file that is not there or cannot be read, with the reason in it."""
    reason = error.strerror if isinstance(error, OSError) else None
    return CheckpointError(f"{path} cannot be read ({reason or error}).")


def _find_in(path: Path) -> Found:
    try:
        arrays, is_whole = read_tree(path)
    except OSError as error:
        raise unreadable(path, error) from error
    except NoTreeError as error:
        raise CheckpointError(
            f"{path} is damaged or no checkpoint; copy it again from where it came from."
        ) from error
    return Found(
        source=path, arrays=arrays, problems=() if is_whole else (f"{path.name} is cut short",)
    )


def _find_in_shards(index: Path) -> Found:
    found = [_find_in(index.parent / name) for name in _shard_names(index)]
    names = [name for one in found for name in one.arrays]
    twice = sorted({name for name in names if names.count(name) > 1})
    return Found(
        source=index,
        arrays={name: array for one in found for name, array in one.arrays.items()},
        problems=(
            *(problem for one in found for problem in one.problems),
            *(f"{name} is in more than one file" for name in twice),
        ),
    )


def _shard_names(index: Path) -> Iterable[str]:
    places = read_json(index).get("weight_map")
    names: set[Any] = (
        set(cast("dict[str, Any]", places).values()) if isinstance(places, dict) else set()
    )
    if not names or not all(isinstance(name, str) and _stays_in_its_folder(name) for name in names):
        raise CheckpointError(f"{index} lists no files beside it.")
    return sorted(names)


def _stays_in_its_folder(name: str) -> bool:
    return name not in {"", ".", ".."} and not set("/\\\0") & set(name)
