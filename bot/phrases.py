"""Sentences with gaps, filled in by the rules of a language.

A phrase is a text such as ``"{who} has {count} left"``, or one text for each plural form of
its language, chosen by the value named ``count``::

    {"one": "{count} picture", "other": "{count} pictures"}

Where texts come from is others' to say: English ones stand in ``bot.sentences`` and, as the
other languages, in ``bot/discord/locales``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Phrase = str | Mapping[str, str]

COUNT: Final = "count"
NARROW_SPACE: Final = "\u202f"
HARD_SPACE: Final = "\u00a0"


class Say(Protocol):
    """Fills in a phrase by its key."""

    def __call__(self, key: str, /, **values: str | int) -> str:
        """Return the sentence."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """What sentences need to know of a language.

    Attributes:
        forms: The plural forms that a phrase with a count has.
        form_of: Which of them a whole number takes.
        thousands: Stands between groups of three digits.
    """

    forms: tuple[str, ...]
    form_of: Callable[[int], str]
    thousands: str


def _one_is_one(count: int) -> str:
    return "one" if count == 1 else "other"


def _none_is_one(count: int) -> str:
    return "one" if count in {0, 1} else "other"


def _always_other(_count: int) -> str:
    return "other"


def _slavic(count: int) -> str:
    """1, 21 and 101 are one; 2 to 4, 22 and 33 are few; 0, 5, 11 to 14 and 25 are many."""
    ones, tens = count % 10, count // 10 % 10
    if tens == 1 or ones == 0 or ones > 4:  # noqa: PLR2004 - the rule, as told above
        return "many"
    return "one" if ones == 1 else "few"


_TWO: Final = ("one", "other")

# Source: Unicode CLDR, "Language Plural Rules" (cardinals, whole numbers under a million) and
# the group separators of its "Numbers".
GRAMMARS: Final[Mapping[str, Grammar]] = {
    "en": Grammar(forms=_TWO, form_of=_one_is_one, thousands=","),
    "de": Grammar(forms=_TWO, form_of=_one_is_one, thousands="."),
    "fr": Grammar(forms=_TWO, form_of=_none_is_one, thousands=NARROW_SPACE),
    "es": Grammar(forms=_TWO, form_of=_one_is_one, thousands="."),
    "pt-BR": Grammar(forms=_TWO, form_of=_none_is_one, thousands="."),
    "ja": Grammar(forms=("other",), form_of=_always_other, thousands=","),
    "ko": Grammar(forms=("other",), form_of=_always_other, thousands=","),
    "uk": Grammar(forms=("one", "few", "many"), form_of=_slavic, thousands=HARD_SPACE),
}


def fill(phrase: Phrase, grammar: Grammar, values: Mapping[str, str | int]) -> str:
    """Return ``phrase`` with its gaps filled.

    A number is written with the language's groups of digits; what is no amount (a seed, an
    id) is given as text. What is in a value is never read as a gap.

    Raises:
        KeyError: A gap without a value.
    """
    text = phrase if isinstance(phrase, str) else phrase[grammar.form_of(int(values[COUNT]))]
    return text.format_map({name: _written(value, grammar) for name, value in values.items()})


def _written(value: str | int, grammar: Grammar) -> str:
    return value if isinstance(value, str) else f"{value:,}".replace(",", grammar.thousands)
