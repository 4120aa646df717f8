"""Reads a checkpoint's ``config.json`` into a model's frozen config."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar

from engine.api import CheckpointError

Config = TypeVar("Config")


def fields_from(
    cls: type[Config], values: Mapping[str, Any], *, model: str, required: Mapping[str, Any]
) -> Config:
    """Build ``cls`` from the keys of ``values`` that are its fields; lists become tuples.

    Args:
        cls: A dataclass; a field with a default may be missing from ``values``.
        values: The parsed ``config.json``; keys that nobody reads are ignored.
        model: The model's name, for the error.
        required: Options that no released checkpoint sets otherwise, and their values.
            A missing one is taken as set so.

    Raises:
        CheckpointError: Keys are missing, of the wrong type, or options are set otherwise:
            all of them.
    """
    fields = dataclasses.fields(cls)  # pyright: ignore[reportArgumentType]  # a dataclass
    problems = [
        f"{key} is {values[key]!r}, only {value!r} is supported"
        for key, value in required.items()
        if values.get(key, value) != value
    ]
    problems += [
        f"{f.name} is missing"
        for f in fields
        if f.name not in values and f.default is dataclasses.MISSING
    ]
    problems += [
        f"{f.name} is {values[f.name]!r}, not {wanted}"
        for f in fields
        if f.name in values and (wanted := _other_than(str(f.type), f.name, values[f.name]))
    ]
    refuse(model, problems)
    return cls(**{f.name: _typed(str(f.type), values[f.name]) for f in fields if f.name in values})


def refuse(model: str, problems: list[str]) -> None:
    """Stop if there are problems with a model's ``config.json``.

    Raises:
        CheckpointError: With all of them in one sentence.
    """
    if problems:
        raise CheckpointError(f"The {model} config.json cannot be used: {'; '.join(problems)}.")


def uneven(whole: str, whole_count: int, part: str, part_count: int) -> list[str]:
    """The problem that one number must be a multiple of the other, if it is not."""
    if whole_count % part_count == 0:
        return []
    return [f"{whole} is {whole_count}, no multiple of the {part_count} of {part}"]


def _other_than(annotation: str, name: str, value: Any) -> str | None:
    """What ``value`` should be and is not. Annotations are text (PEP 563)."""
    least = 0 if name.endswith("_id") or name == "top_k" else 1
    if annotation == "int" and not (_is_int(value) and value >= least):
        return f"a whole number from {least}"
    if annotation == "float" and not (_is_number(value) and math.isfinite(value)):
        return "a finite number"
    if annotation == "bool" and not isinstance(value, bool):
        return "true or false"
    if annotation.startswith("tuple[int") and not _is_int_list(value):
        return "a list of whole numbers from 1"
    return None


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or _is_int(value)


def _is_int_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_is_int(v) and v > 0 for v in value)  # pyright: ignore[reportUnknownVariableType]  # JSON


def _typed(annotation: str, value: Any) -> Any:
    """What JSON cannot tell apart: 1 and 1.0, list and tuple."""
    if annotation == "float":
        return float(value)
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # JSON
