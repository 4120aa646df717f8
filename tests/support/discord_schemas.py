"""Discord's own description of request bodies, and what it says against one of ours.

The schemas are an extract of Discord's OpenAPI description (``data/README.md`` says which),
made by ``python -m tests.support.discord_schemas openapi.json``.
"""

from __future__ import annotations

import functools
import gzip
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema.exceptions import ValidationError

    from tests.support.discord_scene import Json

EXTRACT = Path(__file__).with_name("data") / "discord_requests.json.gz"
REQUESTS = (
    ("PUT", "/applications/{application_id}/commands"),
    ("PUT", "/applications/{application_id}/guilds/{guild_id}/commands"),
    ("POST", "/channels/{channel_id}/messages"),
    ("PATCH", "/channels/{channel_id}/messages/{message_id}"),
    ("POST", "/interactions/{interaction_id}/{interaction_token}/callback"),
    ("POST", "/users/@me/channels"),
    ("POST", "/webhooks/{webhook_id}/{webhook_token}"),
    ("PATCH", "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"),
)
MEDIA = 16
# What says nothing about right and wrong.
PROSE = {"description", "title", "example", "examples", "x-discord-union"}


def complaints(method: str, template: str, body: Json) -> list[str]:
    """What Discord's description says against ``body``; nothing about routes without bodies."""
    validator = _validators().get((method, _anonymous(template)))
    if validator is None:
        return []
    errors = cast("Iterator[ValidationError]", validator.iter_errors(_normal(body)))  # pyright: ignore[reportUnknownMemberType]
    return [
        f"{deep.json_path}: {deep.validator} {str(deep.validator_value)[:100]}"
        for deep in map(_deepest, errors)
    ]


def _deepest(error: ValidationError) -> ValidationError:
    """Of all that is wrong with all variants of something, what is wrong deepest inside.

    That is the variant which was meant: the others fail already at its ``type``.
    """
    inner = map(_deepest, error.context or ())
    return max([error, *inner], key=lambda each: len(each.absolute_path))


@functools.cache
def _validators() -> dict[tuple[str, str], Draft202012Validator]:
    extract = json.loads(gzip.decompress(EXTRACT.read_bytes()))
    return {
        (method, _anonymous(path)): Draft202012Validator(
            {**extract["requests"][f"{method} {path}"], "components": extract["components"]}
        )
        for method, path in REQUESTS
    }


def _anonymous(template: str) -> str:
    """A route without the names of its parts."""
    return re.sub(r"\{[^}]*\}", "{}", template)


def _normal(body: Json) -> Json:
    """``body`` with ids as text: discord.py sends numbers, and Discord takes both.

    Not so the numbers of components, which are called ``id`` as well. Media channels (16) are
    documented, but missing in the description.
    """
    if isinstance(body, list):
        return [_normal(item) for item in cast("list[Json]", body)]
    if not isinstance(body, dict):
        return body
    normal: dict[str, Json] = {
        key: str(value) if key.endswith("_id") and isinstance(value, int) else _normal(value)
        for key, value in cast("dict[str, Json]", body).items()
    }
    for attachment in normal.get("attachments") or ():
        attachment["id"] = str(attachment["id"])
    for kind in {"users", "roles"} & normal.keys():  # whom a message may mention
        normal[kind] = [str(number) for number in normal[kind]]
    if "channel_types" in normal:
        normal["channel_types"] = [kind for kind in normal["channel_types"] if kind != MEDIA]
    return normal


# -------------------------------------------------------------------------- the extract


def extract(description: Json) -> Json:
    """The schemas of ``REQUESTS`` and everything that they refer to."""
    requests = {
        f"{method} {path}": _without_prose(
            description["paths"][path][method.lower()]["requestBody"]["content"][
                "application/json"
            ]["schema"]
        )
        for method, path in REQUESTS
    }
    schemas: dict[str, Json] = {}
    missing = set(_references(requests))
    while missing:
        name = missing.pop()
        schemas[name] = _without_prose(description["components"]["schemas"][name])
        missing |= {other for other in _references(schemas[name]) if other not in schemas}
    ordered = {name: schemas[name] for name in sorted(schemas)}
    return {"requests": requests, "components": {"schemas": ordered}}


def _references(schema: Json) -> Iterator[str]:
    if isinstance(schema, list):
        for item in cast("list[Json]", schema):
            yield from _references(item)
    elif isinstance(schema, dict):
        for key, value in cast("dict[str, Json]", schema).items():
            if key == "$ref":
                yield str(value).removeprefix("#/components/schemas/")
            else:
                yield from _references(value)


def _without_prose(schema: Json) -> Json:
    if isinstance(schema, list):
        return [_without_prose(item) for item in cast("list[Json]", schema)]
    if not isinstance(schema, dict):
        return schema
    pairs = cast("dict[str, Json]", schema).items()
    return {
        key: {name: _without_prose(inner) for name, inner in value.items()}
        if key == "properties"
        else _without_prose(value)
        for key, value in pairs
        if key == "properties" or key not in PROSE
    }


if __name__ == "__main__":
    source = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    text = json.dumps(extract(source), separators=(",", ":"), ensure_ascii=False)
    EXTRACT.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
