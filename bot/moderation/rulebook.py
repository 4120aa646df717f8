"""Reads ``rules/*.toml``: the lists of words, the disguises, and what follows from them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, cast

from bot.moderation.decoding import Decoder
from bot.moderation.disguise import Disguises
from bot.moderation.lexicon import Lexicon
from bot.moderation.spelling import plain
from bot.moderation.verdicts import Level, TextVerdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_LISTS: Final = ("people", "body", "harm", "hate", "contexts")
HARMLESS: Final = "harmless"
ANY_LANGUAGE: Final = "any"
_LEVELS: Final = (Level.RELAXED, Level.STANDARD, Level.STRICT)

Toml = dict[str, Any]
Row = dict[Level, TextVerdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What follows from words that stand together.

    Attributes:
        groups: One list of each group must be found.
        near_count: How many words may lie between them; ``None`` is any number.
        without: The rule does not hold if one of these is found.
        milder_in: With one of these, ``milder`` holds instead of ``verdicts``.
        is_grave: Asking for it again and again gets a person blocked.
        is_always_on: Holds where moderation is off.
    """

    code: str
    groups: tuple[tuple[str, ...], ...]
    near_count: int | None = None
    without: tuple[str, ...] = ()
    milder_in: tuple[str, ...] = ()
    verdicts: Row = field(default_factory=Row)
    milder: Row = field(default_factory=Row)
    is_grave: bool = False
    is_always_on: bool = False

    @property
    def lists(self) -> set[str]:
        """All lists that it names."""
        return {name for group in self.groups for name in group} | {*self.without, *self.milder_in}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """All that is known.

    Attributes:
        signs: By language: short words that only it has.
    """

    lexicon: Lexicon
    disguises: Disguises
    rules: tuple[Rule, ...]
    signs: Mapping[str, frozenset[str]]

    @classmethod
    def read(cls) -> Rulebook:
        """Read the files that come with the package (a fifth of a second).

        Raises:
            ValueError: A rule names a list that is not there.
        """
        lexicon = _lexicon()
        languages, tables = _toml("languages"), _toml("disguises")
        lists = tables["sought"].split()
        decoder = Decoder(
            lookalikes=tables["lookalikes"],
            similar=tables["similar"],
            signs=tables["signs"],
            minor_numerals=map(plain, languages["numerals"]["minor"].split()),
            known=lexicon.words(lists),
            sought=lexicon.singles(lists),
            glued=lexicon.singles(tables["glued"].split()),
        )
        disguises = Disguises(decoder, map(plain, languages["common"].split()))
        rules = tuple(map(_rule, _toml("rules")["rule"]))
        check_lists(rules, lexicon)
        signs = {
            name: frozenset(plain(words).split()) for name, words in languages["signs"].items()
        }
        return cls(lexicon=lexicon, disguises=disguises, rules=rules, signs=signs)


def _toml(name: str) -> Toml:
    folder = resources.files("bot.moderation") / "rules"
    return tomllib.loads((folder / f"{name}.toml").read_text("utf-8"))


def _lexicon() -> Lexicon:
    lexicon = Lexicon(plain)
    for file in _LISTS:
        for name, languages in _toml(file).items():
            for language, entries in cast("dict[str, str]", languages).items():
                for entry in _entries(entries):
                    lexicon.add(name, language, entry)
    for section in _toml(HARMLESS).values():
        for entry in _entries(section["phrases"]):
            lexicon.add(HARMLESS, ANY_LANGUAGE, entry)
    return lexicon


def _entries(text: str) -> Iterator[str]:
    parts = (" ".join(part.split()) for part in text.replace("、", ",").split(","))
    return (part for part in parts if part)


def _rule(table: Toml) -> Rule:
    return Rule(
        code=table["code"],
        groups=tuple(_names(group) for group in table["all"]),
        near_count=table.get("near"),
        without=tuple(table.get("without", ())),
        milder_in=tuple(table.get("milder_in", ())),
        verdicts=_row(table["verdicts"]),
        milder=_row(table.get("milder", table["verdicts"])),
        is_grave=table.get("grave", False),
        is_always_on=table.get("always", False),
    )


def _names(group: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in group.split("|"))


def _row(verdicts: Sequence[str]) -> Row:
    row = dict(zip(_LEVELS, map(TextVerdict, verdicts), strict=True))
    return {Level.OFF: row[Level.RELAXED], **row}


def check_lists(rules: Sequence[Rule], lexicon: Lexicon) -> None:
    """Make sure that every list is there that a rule or a phrase names.

    Raises:
        ValueError: One is not.
    """
    named = {name for rule in rules for name in rule.lists}
    named |= {reference.strip("<>") for reference in lexicon.references}
    if missing := named - lexicon.names:
        raise ValueError(f"There are rules about {', '.join(sorted(missing))}, but no such lists.")
