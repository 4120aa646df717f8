"""From the body of a POST to what is asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from bot import sentences
from engine.api import DrawRequest, InvalidRequestError, SamplingOptions

if TYPE_CHECKING:
    from collections.abc import Collection

_AGAIN: Final = ("pictures", "request_id")
_SAMPLING: Final = ("temperature", "top_k", "top_p", "condition_scale")
_DRAW: Final = ("prompt", "pictures", "seed", *_SAMPLING, "request_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody sent.

    Attributes:
        request_id: The sender's own name for it: sent twice, it is drawn once.
    """

    request: DrawRequest
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedAgain:
    """How somebody wants something drawn that is there already.

    Attributes:
        picture_count: ``None`` is for the receiver to choose.
        request_id: As in ``Asked``.
    """

    picture_count: int | None
    request_id: str | None


def parse(body: bytes) -> Asked:
    """Understand a request to draw.

    Raises:
        InvalidRequestError: With the sentence that says what to change.
    """
    fields = _fields(body, known=_DRAW)
    request = DrawRequest(
        prompt=_prompt(fields.get("prompt")),
        picture_count=_whole_number(fields.get("pictures", 9), sentences.WEB_NOT_A_COUNT),
        seed=_seed(fields.get("seed")),
        options=SamplingOptions(
            temperature=_number("temperature", fields),
            top_k=_count("top_k", fields),
            top_p=_number("top_p", fields),
            condition_scale=_number("condition_scale", fields),
        ),
        preview=True,
    )
    return Asked(request=request, request_id=_request_id(fields.get("request_id")))


def parse_again(body: bytes) -> AskedAgain:
    """Understand a request for another drawing or a variation; an empty body is one.

    Raises:
        InvalidRequestError: With the sentence that says what to change.
    """
    fields = _fields(body or b"{}", known=_AGAIN)
    count = fields.get("pictures")
    return AskedAgain(
        picture_count=None if count is None else _whole_number(count, sentences.WEB_NOT_A_COUNT),
        request_id=_request_id(fields.get("request_id")),
    )


def _fields(body: bytes, *, known: Collection[str]) -> dict[str, object]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise InvalidRequestError(sentences.WEB_NOT_JSON)
    given = cast("dict[str, object]", fields)
    for name in given.keys() - set(known):
        raise InvalidRequestError(sentences.web_unknown_option(name, known))
    return given


def _prompt(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidRequestError(sentences.WEB_NOT_A_SENTENCE)
    return value


def _whole_number(value: object, sentence: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequestError(sentence)
    return value


def _seed(value: object) -> int | None:
    return None if value is None else _whole_number(value, sentences.WEB_NOT_A_SEED)


def _count(name: str, fields: dict[str, object]) -> int | None:
    value = fields.get(name)
    return None if value is None else _whole_number(value, sentences.web_not_a_whole_number(name))


def _number(name: str, fields: dict[str, object]) -> float | None:
    value = fields.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise InvalidRequestError(sentences.web_not_a_number(name))


def _request_id(value: object) -> str | None:
    return value[:64] if isinstance(value, str) and value.isascii() else None
