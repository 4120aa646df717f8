"""Reads a checkpoint's ``config.json`` into a model's frozen config."""

from __future__ import annotations

import dataclasses
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
        CheckpointError: Keys are missing or options are set otherwise: all of them.
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
    if problems:
        raise CheckpointError(f"The {model} config.json cannot be used: {'; '.join(problems)}.")
    return cls(**{f.name: _frozen(values[f.name]) for f in fields if f.name in values})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # JSON
