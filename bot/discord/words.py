"""What the bot says on Discord, in the languages that it speaks there.

One file for each language in ``locales``, from keys to phrases (``bot.phrases``). English is
what the others are complete by: its file and the reasons that every platform gives
(``bot.sentences``). The files are read when they are first needed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.phrases import GRAMMARS, fill
from bot.sentences import REASONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.phrases import Phrase

FOLDER: Final = Path(__file__).parent / "locales"
ENGLISH: Final = "en"

# Discord's names of the languages that we speak, and our files for them.
# Source: Discord API documentation, "Reference", Locales.
LANGUAGE_OF: Final[Mapping[str, str]] = {
    "en-US": ENGLISH,
    "en-GB": ENGLISH,
    "de": "de",
    "fr": "fr",
    "es-ES": "es",
    "es-419": "es",
    "pt-BR": "pt-BR",
    "ja": "ja",
    "ko": "ko",
    "uk": "uk",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The phrases of one language."""

    language: str
    phrases: Mapping[str, Phrase] = field(repr=False)

    def say(self, key: str, /, **values: str | int) -> str:
        """Return the phrase ``key`` with its gaps filled (``bot.phrases.fill``).

        Texts are Discord markdown; values that people wrote are the caller's to escape.

        Raises:
            KeyError: No such phrase, or a gap without a value: a mistake in the code.
        """
        return fill(self.phrases[key], GRAMMARS[self.language], values)


def words_of(locale: str | None) -> Words:
    """Return the words for a locale of Discord's or a language of ours; else the English ones."""
    name = str(locale)
    return _words(name if name in GRAMMARS else LANGUAGE_OF.get(name, ENGLISH))


@cache
def _words(language: str) -> Words:
    text = (FOLDER / f"{language}.json").read_text(encoding="utf-8")
    own: dict[str, Phrase] = json.loads(text)
    return Words(language=language, phrases={**REASONS, **own} if language == ENGLISH else own)
