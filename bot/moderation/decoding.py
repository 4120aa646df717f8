"""What a single word may be a disguise of: other alphabets, digits, repeats, masks, two in one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bot.moderation.spelling import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

MIN_HIDDEN_LETTERS: Final = 3
MAX_HIDDEN_LETTERS: Final = 40
MASKS: Final = frozenset("*#%_?\u00d7\u2022\u25a0\u25cf")
_MASK: Final = "*"
_MIN_UNMASKED_LETTERS: Final = 2

_THREE_ALIKE: Final = re.compile(r"(.)\1\1")
_ALIKE: Final = re.compile(r"(.)\1+")
_NUMBER_IN_FRONT: Final = re.compile(r"([0-9]{1,2})(?![0-9])(.*)", re.DOTALL)
_ADULT_AGE: Final = 18
# How the lists write all ages of children, and all others.
_MINOR_NUMBER: Final = "7"
_OTHER_NUMBER: Final = "70"


class Decoder:
    """Knows how words are disguised.

    Args:
        lookalikes: By letter: what cannot be told from it.
        similar: By letter: what resembles it.
        signs: By sign or digit: the letters that it may stand for.
        minor_numerals: Words for the numbers below 18.
        known: The words that a disguise may hide, those of phrases among them.
        sought: Those that mean something by themselves.
        glued: Those of them of which one must be in a word that is glued together.
    """

    def __init__(
        self,
        *,
        lookalikes: Mapping[str, str],
        similar: Mapping[str, str],
        signs: Mapping[str, str],
        minor_numerals: Iterable[str],
        known: Iterable[str],
        sought: Iterable[str],
        glued: Iterable[str],
    ) -> None:
        self._to_latin = _table(lookalikes)
        self._also_to_latin = _table(similar) | self._to_latin
        self._to_cyrillic = _cyrillic_of(lookalikes)
        self._signs = [
            str.maketrans({sign: _nth(letters, turn) for sign, letters in signs.items()})
            for turn in range(max(map(len, signs.values())))
        ]
        self._minor_numerals = frozenset(minor_numerals)
        self._sought = frozenset(sought)
        self._glued = frozenset(glued)
        known = self._minor_numerals.union(known)
        self._squeezed = _by(known, lambda word: [_squeezed(word)])
        self._masked = _by(known, _masked)
        self._by_start = _by(known, lambda word: [word[:MIN_HIDDEN_LETTERS]])

    def __repr__(self) -> str:
        return f"<Decoder of {len(self._sought)} words>"

    def is_sought(self, word: str) -> bool:
        """Whether a word means something by itself."""
        return word in self._sought

    def others(self, word: str) -> list[str]:
        """What a word may also be, without the word itself."""
        if word.isascii() and word.isalpha() and not _THREE_ALIKE.search(word):
            return [_MINOR_NUMBER] if word in self._minor_numerals else []
        found = dict.fromkeys(self._others(word))
        found.pop(word, None)
        return list(found)

    def _others(self, word: str) -> Iterator[str]:
        for letters in self._in_known_letters(word):
            yield from ages(letters)
            for meant in self._without_signs(letters):
                yield from ages(meant)
                for real in (meant, *self._unrepeated(meant)):
                    yield real
                    if real in self._minor_numerals:
                        yield _MINOR_NUMBER

    def _in_known_letters(self, word: str) -> Iterator[str]:
        """The word itself; in Latin if it then is, else in Cyrillic if it was."""
        yield word
        if word.isascii():
            return
        is_mixed = any(letter.isascii() for letter in word)
        latin = word.translate(self._also_to_latin if is_mixed else self._to_latin)
        if latin.isascii():
            yield latin
        elif is_mixed:
            yield word.translate(self._to_cyrillic)

    def _without_signs(self, word: str) -> Iterator[str]:
        """The word itself, and with letters instead of digits and signs; an age stays one."""
        yield word
        if word.isalpha() or word.isdigit():
            return
        number = _NUMBER_IN_FRONT.fullmatch(word)
        for table in self._signs:
            yield word.translate(table)
            if number:
                yield number[1] + number[2].translate(table)

    def _unrepeated(self, word: str) -> Iterable[str]:
        return self._squeezed.get(_squeezed(word), ()) if _THREE_ALIKE.search(word) else ()

    def joined(self, text: str) -> set[str]:
        """What letters with signs between them may be together: "n.u.d.e", "$ex", "n*de"."""
        letters = ["".join(filter(str.isalnum, text.translate(table))) for table in self._signs]
        letters.append("".join(filter(str.isalnum, text)))
        found = {word for word in letters if len(word) <= MAX_HIDDEN_LETTERS}
        found.update(other for word in tuple(found) for other in self.others(word))
        if not MASKS.isdisjoint(text):
            mask = "".join(_MASK if letter in MASKS else letter for letter in text)
            found.update(self._masked.get(mask, ()))
        return found

    def parts(self, word: str) -> Iterator[str]:
        """Two words that are written as one."""
        for cut in range(MIN_HIDDEN_LETTERS, min(len(word), MAX_HIDDEN_LETTERS) - 2):
            if word[:cut] in self._sought and word[cut:] in self._sought:
                parts = (word[:cut], word[cut:])
                if not self._glued.isdisjoint(parts):
                    yield from parts

    def inside(self, text: str) -> Iterator[tuple[int, str]]:
        """The words in letters that have lost their spaces, and where each begins."""
        text = text.translate(self._to_latin).translate(self._signs[0])
        start = 0
        while start < len(text):
            words = self._by_start.get(text[start : start + MIN_HIDDEN_LETTERS], ())
            fitting = [word for word in words if text.startswith(word, start)]
            word = max(fitting, key=len, default="")
            if word:
                yield start, word
            start += len(word) or 1


def ages(word: str) -> Iterator[str]:
    """Write the number in front as the lists do: "12yo" is "7yo"."""
    match = _NUMBER_IN_FRONT.fullmatch(word)
    if match and int(match[1]) > 0:
        number = _MINOR_NUMBER if int(match[1]) < _ADULT_AGE else _OTHER_NUMBER
        yield number + match[2]
        yield number + _squeezed(match[2])


def _squeezed(word: str) -> str:
    return _ALIKE.sub(r"\1", word)


def _nth(letters: str, turn: int) -> str:
    """What a sign stands for in the first reading, or in a later one if it has one."""
    return letters[min(turn, len(letters) - 1)]


def _table(lookalikes: Mapping[str, str]) -> dict[int, str]:
    """By foreign letter: the Latin one that it looks like."""
    pairs = ((plain(sign), letter) for letter, signs in lookalikes.items() for sign in signs)
    return {ord(sign): letter for sign, letter in pairs if len(sign) == 1 and not sign.isascii()}


def _cyrillic_of(lookalikes: Mapping[str, str]) -> dict[int, str]:
    """By Latin letter: the Cyrillic one that looks like it."""
    first = {
        letter: next((sign for sign in signs if "\u0400" <= sign <= "\u04ff"), "")
        for letter, signs in lookalikes.items()
    }
    return {ord(letter): sign for letter, sign in first.items() if sign}


def _masked(word: str) -> Iterator[str]:
    """The word with one or two letters masked, never the first."""
    for width in (1, 2):
        for place in range(1, len(word) - width + 1):
            if len(word) - width >= _MIN_UNMASKED_LETTERS:
                yield word[:place] + _MASK * width + word[place + width :]


def _by(words: Iterable[str], keys: Callable[[str], Iterable[str]]) -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for word in words:
        for key in keys(word):
            table.setdefault(key, []).append(word)
    return table
