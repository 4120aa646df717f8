"""The prompts that moderation is measured by, with the verdict that each should get.

``known.tsv`` was written with the rules, ``held_out.tsv`` before there was one. The columns:
how the words are disguised, language, class, verdicts at the levels relaxed, standard and
strict (Allow, Soft, Refuse), prompt. Letters that no editor shows stand as ``\\u200b``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.moderation import Level, TextVerdict

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA_DIR: Final = Path(__file__).parents[1] / "unit" / "bot" / "moderation" / "data"
LEVELS: Final = (Level.RELAXED, Level.STANDARD, Level.STRICT)
LETTERS: Final = {"A": TextVerdict.ALLOW, "S": TextVerdict.SOFT, "R": TextVerdict.REFUSE}
_ESCAPE = re.compile(r"\\u\{([0-9a-f]+)\}|\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One prompt."""

    disguise: str
    language: str
    kind: str
    verdicts: Mapping[Level, TextVerdict]
    prompt: str


def cases(name: str) -> list[Case]:
    """All prompts of a file: ``known`` or ``held_out``."""
    lines = (DATA_DIR / f"{name}.tsv").read_text("utf-8").splitlines()
    return [_case(line) for line in lines[1:]]


def _case(line: str) -> Case:
    disguise, language, kind, letters, prompt = line.split("\t")
    return Case(
        disguise=disguise,
        language=language,
        kind=kind,
        verdicts={level: LETTERS[letter] for level, letter in zip(LEVELS, letters, strict=True)},
        prompt=_ESCAPE.sub(lambda match: chr(int(match[match.lastindex or 1], 16)), prompt),
    )
