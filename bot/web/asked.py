"""From the body of a POST to a drawing request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

from bot import sentences
from engine.api import DrawRequest, InvalidRequestError

_OPTIONS = frozenset({"prompt", "pictures", "seed", "request_id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody sent.

    Attributes:
        request_id: The sender's own name for it: sent twice, it is drawn once.
    """

    request: DrawRequest
    request_id: str | None


def parse(body: bytes) -> Asked:
    """Understand the body of a POST.

    Raises:
        InvalidRequestError: With the sentence that says what to change.
    """
    fields = _fields(body)
    request = DrawRequest(
        prompt=_prompt(fields.get("prompt")),
        picture_count=_whole_number(fields.get("pictures", 9), sentences.WEB_NOT_A_COUNT),
        seed=_seed(fields.get("seed")),
    )
    return Asked(request=request, request_id=_request_id(fields.get("request_id")))


def _fields(body: bytes) -> dict[str, object]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise InvalidRequestError(sentences.WEB_NOT_JSON)
    known = cast("dict[str, object]", fields)
    for name in known.keys() - _OPTIONS:
        raise InvalidRequestError(sentences.web_unknown_option(name))
    return known


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


def _request_id(value: object) -> str | None:
    return value[:64] if isinstance(value, str) and value.isascii() else None
