"""The nouns of moderation: levels, verdicts and judgements."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Level(StrEnum):
    """How strict the rules are. What harms children is refused at every level, ``OFF`` too."""

    OFF = "off"
    RELAXED = "relaxed"
    STANDARD = "standard"
    STRICT = "strict"


class TextVerdict(StrEnum):
    """What becomes of a request."""

    ALLOW = "allow"
    SOFT = "soft"
    """Drawn, but its pictures are looked at more strictly and shown behind a spoiler."""
    REFUSE = "refuse"


NO_CODE: Final = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was found in a prompt.

    Attributes:
        verdict: What becomes of it.
        code: Which rule says so, such as ``"gore"``; empty if all is well.
        is_grave: Whether asking for this again and again gets a person blocked.
    """

    verdict: TextVerdict
    code: str = NO_CODE
    is_grave: bool = False


ALLOWED: Final = Judgement(verdict=TextVerdict.ALLOW)
