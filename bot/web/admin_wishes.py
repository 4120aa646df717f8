"""What the admin page sends, read and checked; pure functions of the JSON body."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from bot import admin_sentences as sentences
from bot.jobs import InvalidRuleError, Person, Platform

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

Wish = dict[str, object]

MAX_ID_CHARS = 255
MAX_BLOCK_H = 24 * 366


def parse(body: bytes) -> Wish:
    """The fields of a JSON object.

    Raises:
        InvalidRuleError: It is none.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise InvalidRuleError(sentences.ADMIN_NO_OBJECT)
    return cast("Wish", fields)


def text_of(wish: Mapping[str, object], name: str, *, is_needed: bool = True) -> str:
    """A short text; empty only if it is not needed.

    Raises:
        InvalidRuleError: It is missing, no text, or longer than any id.
    """
    value = wish.get(name)
    text = value.strip() if isinstance(value, str) else ""
    is_wrong_kind = value is not None and not isinstance(value, str)
    if is_wrong_kind or (is_needed and not text) or len(text) > MAX_ID_CHARS:
        raise InvalidRuleError(sentences.admin_field_wrong(name))
    return text


def platform_of(wish: Mapping[str, object]) -> Platform:
    """The platform that is meant.

    Raises:
        InvalidRuleError: There is none of that name.
    """
    try:
        return Platform(text_of(wish, "platform"))
    except ValueError as error:
        raise InvalidRuleError(sentences.admin_no_platform([*Platform])) from error


def person_of(wish: Mapping[str, object]) -> Person:
    """The person that is meant: ``platform`` and ``person``."""
    return Person(platform=platform_of(wish), id=text_of(wish, "person"))


def count_of(wish: Mapping[str, object], name: str) -> int | None:
    """A whole number; ``None`` where nothing is said.

    Raises:
        InvalidRuleError: It is something else.
    """
    value = wish.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRuleError(sentences.admin_field_wrong(name))
    return value


def number_of(wish: Mapping[str, object], name: str) -> int:
    """The same, where something must be said.

    Raises:
        InvalidRuleError: It is missing or something else.
    """
    count = count_of(wish, name)
    if count is None:
        raise InvalidRuleError(sentences.admin_field_wrong(name))
    return count


def end_of(wish: Mapping[str, object], now: datetime) -> datetime | None:
    """When a block ends that lasts so many ``hours``; ``None`` is never.

    Raises:
        InvalidRuleError: It would end at once, or after more than a year.
    """
    hours = count_of(wish, "hours")
    if hours is None:
        return None
    if not 1 <= hours <= MAX_BLOCK_H:
        raise InvalidRuleError(sentences.admin_field_wrong("hours"))
    return now + timedelta(hours=hours)
