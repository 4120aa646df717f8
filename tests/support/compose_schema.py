"""The form of a compose file by the Compose Specification, and what it says against one.

The schema is that of the specification without its prose (``data/README.md`` says which),
made by ``python -m tests.support.compose_schema compose-spec.json``.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from jsonschema import Draft7Validator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema.exceptions import ValidationError

SCHEMA = Path(__file__).with_name("data") / "compose_spec.json.gz"


def complaints(compose: dict[str, Any]) -> list[str]:
    """What the specification says against ``compose``."""
    validator = Draft7Validator(json.loads(gzip.decompress(SCHEMA.read_bytes())))
    errors = cast("Iterator[ValidationError]", validator.iter_errors(compose))  # pyright: ignore[reportUnknownMemberType]
    return [f"{error.json_path}: {error.message}" for error in errors]


def _without_prose(schema: Any) -> Any:
    """``schema`` without descriptions; a property may be called so, too, and stays."""
    if isinstance(schema, list):
        return [_without_prose(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_prose(value)
        for key, value in cast("dict[str, Any]", schema).items()
        if not (key == "description" and isinstance(value, str))
    }


if __name__ == "__main__":
    source = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    text = json.dumps(_without_prose(source), separators=(",", ":"))
    SCHEMA.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
