"""Judges a prompt: read it, find the words of all lists, apply the rules.

Where a list was found is kept as the bits of one number, a bit for each word of the prompt.
"Near" is then a shift, and "covered by something harmless" an AND, however long the prompt.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from bot.moderation.lexicon import Hit
from bot.moderation.rulebook import ANY_LANGUAGE, HARMLESS, Rulebook
from bot.moderation.verdicts import ALLOWED, Judgement, Level, TextVerdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bot.moderation.disguise import Reading
    from bot.moderation.rulebook import Rule

# "black man" names a group, and a group is named by "<group> as <vermin>": each round of
# templates may use what the one before has found.
_MAX_ROUNDS: Final = 3
_SEVERITY: Final = {TextVerdict.ALLOW: 0, TextVerdict.SOFT: 1, TextVerdict.REFUSE: 2}


class Moderator:
    """Judges prompts; can be shared by all.

    Args:
        rulebook: Instead of the rules that come with the package.
    """

    def __init__(self, rulebook: Rulebook | None = None) -> None:
        self._book = rulebook or Rulebook.read()
        glued = self._book.lexicon.singles(self._book.lexicon.names)
        self._terms = {word: tuple(terms) for word, terms in glued.items()}
        self._references = self._book.lexicon.references

    def __repr__(self) -> str:
        return f"<Moderator {len(self._book.rules)} rules, {self._book.lexicon!r}>"

    def judge(self, prompt: str, *, level: Level) -> Judgement:
        """Say what becomes of a prompt: the gravest of what the rules say."""
        found = self.found(prompt)
        if not found:
            return ALLOWED
        worst = ALLOWED
        for rule in self._book.rules:
            if level is Level.OFF and not rule.is_always_on:
                continue
            verdict = _applied(rule, found, level)
            if _SEVERITY[verdict] > _SEVERITY[worst.verdict]:
                worst = Judgement(verdict=verdict, code=rule.code, is_grave=rule.is_grave)
        return worst

    def found(self, prompt: str) -> Mapping[str, int]:
        """By list: the words of the prompt that belong to it, a bit for each."""
        reading = self._book.disguises.read(prompt)
        hits = self._hits(reading)
        languages = self._languages(reading, hits)
        harmless = _bits_of(hit for hit in hits if hit.term.name == HARMLESS)
        found: dict[str, int] = {}
        for term, first, end in hits:
            bits = _bits(first, end)
            if term.name == HARMLESS or not bits & ~harmless:
                continue
            if not term.is_ambiguous or term.language in languages:
                found[term.name] = found.get(term.name, 0) | bits
        return found

    def _hits(self, reading: Reading) -> set[Hit]:
        lexicon = self._book.lexicon
        hits = set(lexicon.find(reading.edges))
        for word, first, end in reading.glued:
            hits.update(Hit(term, first, end) for term in self._terms.get(word, ()))
        places = reading.letter_places
        letter_hits = lexicon.find_letters(reading.letters)
        hits.update(
            Hit(term, places[first], places[end - 1] + 1)
            for term, first, end in letter_hits
            if term.name != HARMLESS  # it has hidden what it covers already
        )
        new = hits
        for _ in range(_MAX_ROUNDS):
            if not self._refer(reading, new):
                break
            new = set(lexicon.find_templates(reading.edges)) - hits
            hits |= new
        return hits

    def _refer(self, reading: Reading, hits: Iterable[Hit]) -> bool:
        """Let templates read "<animal>" where an animal was found."""
        is_any = False
        for term, first, end in hits:
            name = f"<{term.name}>"
            if name in self._references:
                reading.edges[first].append((name, end))
                is_any = True
        return is_any

    def _languages(self, reading: Reading, hits: Iterable[Hit]) -> set[str]:
        words = reading.words
        told = {name for name, signs in self._book.signs.items() if not signs.isdisjoint(words)}
        return told | {
            hit.term.language
            for hit in hits
            if not hit.term.is_ambiguous and hit.term.language != ANY_LANGUAGE
        }


def _applied(rule: Rule, found: Mapping[str, int], level: Level) -> TextVerdict:
    groups = [_either(group, found) for group in rule.groups]
    if not all(groups) or _either(rule.without, found):
        return TextVerdict.ALLOW
    if rule.near_count is not None and not _are_near(groups, rule.near_count):
        return TextVerdict.ALLOW
    row = rule.milder if _either(rule.milder_in, found) else rule.verdicts
    return row[level]


def _either(names: Iterable[str], found: Mapping[str, int]) -> int:
    bits = 0
    for name in names:
        bits |= found.get(name, 0)
    return bits


def _are_near(groups: list[int], count: int) -> bool:
    """Whether each group has a word near one of the next: ``count`` others between them."""
    return all(_widened(left, count + 1) & right for left, right in pairwise(groups))


def _widened(bits: int, count: int) -> int:
    """Each bit, and ``count`` bits on both sides of it."""
    wide = bits
    for _ in range(count):
        wide |= wide << 1 | wide >> 1
    return wide


def _bits(first: int, end: int) -> int:
    return (1 << end) - (1 << first)


def _bits_of(hits: Iterable[Hit]) -> int:
    bits = 0
    for hit in hits:
        bits |= _bits(hit.first, hit.end)
    return bits
