"""Reads a prompt word by word, and beside each word what it may be a disguise of.

A disguise is read as well, never instead: "4x4" stays "4x4" and is also "axa", which no list
has. So a reading too many does no harm, as long as it is no word of a list by accident.

Everything is a single pass over the prompt with look-ups in tables; there is no pattern that
a hostile prompt could make slow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from bot.moderation.lexicon import ARTICLES, LETTERS_WITHOUT_SPACES
from bot.moderation.spelling import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_PIECE: Final = re.compile(
    f"[0-9]{{0,2}}[{LETTERS_WITHOUT_SPACES}々]+"
    f"|[^\\W_{LETTERS_WITHOUT_SPACES}々]+"
    "|[\U0001f300-\U0001faff\u2600-\u27bf]"
)
_WITHOUT_SPACES: Final = re.compile(f"[{LETTERS_WITHOUT_SPACES}]")
_HANGUL: Final = re.compile("[\uac00-\ud7af]")
_THREE_ALIKE: Final = re.compile(r"(.)\1\1")
_ALIKE: Final = re.compile(r"(.)\1+")
_NUMBER_IN_FRONT: Final = re.compile(r"([0-9]{1,2})(?![0-9])(.*)", re.DOTALL)

# What stands around words: ASCII, and Unicode's quotation marks, dashes and dots.
_OUTER_SIGNS: Final = (
    "\"'.,;:!?()[]{}<>~/\\|#*_-\u00ab\u00bb\u2013\u2014\u201a\u201c\u201d\u201e\u2026"
)
_MASKS: Final = frozenset("*#%_?\u00d7\u2022\u25a0\u25cf")
_MASK: Final = "*"

_MIN_HIDDEN_LETTERS: Final = 3
_MIN_JOINED_LETTERS: Final = 4
_MAX_HIDDEN_LETTERS: Final = 40
_SHORT_LETTERS: Final = 2
# Words that an entry with an article behind it may span, where they were put together.
_LONGEST_SPAN: Final = 8
_ADULT_AGE: Final = 18
# How the lists write all ages of children, and all others.
_MINOR_NUMBER: Final = "7"
_OTHER_NUMBER: Final = "70"


@dataclass(slots=True)
class Reading:
    """A prompt, read.

    Attributes:
        edges: By word: what can be read there and after which word that ends.
        glued: Words of lists that were found inside of longer words: where, and which.
        letters: All that is written without spaces, in one.
        letter_places: By letter of ``letters``: its word.
    """

    edges: list[list[tuple[str, int]]] = field(default_factory=list[list[tuple[str, int]]])
    glued: list[tuple[str, int, int]] = field(default_factory=list[tuple[str, int, int]])
    letters: str = ""
    letter_places: list[int] = field(default_factory=list[int])

    @property
    def words(self) -> set[str]:
        """The words as they stand."""
        return {edges[0][0] for edges in self.edges if edges}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """What stands between two spaces, as the words ``first`` up to ``end``."""

    text: str
    first: int
    end: int


class Disguises:
    """Knows how words are disguised.

    Args:
        lookalikes: By letter: what is written in its place.
        signs: By sign or digit: the letters that it may stand for.
        common: Short words that stand beside one another without being pieces of a word.
        minor_numerals: Words for the numbers below 18.
        sought: What may be hidden, word by word.
        glued: Those of them of which one must be in a word that is glued together.
    """

    def __init__(
        self,
        *,
        lookalikes: Mapping[str, str],
        signs: Mapping[str, str],
        common: Iterable[str],
        minor_numerals: Iterable[str],
        sought: Iterable[str],
        glued: Iterable[str],
    ) -> None:
        self._to_latin = _table(lookalikes)
        self._to_cyrillic = _cyrillic_of(lookalikes)
        self._signs = [
            str.maketrans({sign: _nth(letters, turn) for sign, letters in signs.items()})
            for turn in range(max(map(len, signs.values())))
        ]
        self._sign_letters = frozenset(signs)
        self._common = frozenset(common)
        self._minor_numerals = frozenset(minor_numerals)
        self._sought = frozenset(sought)
        self._glued = frozenset(glued)
        self._squeezed = _by(self._sought, lambda word: [_ALIKE.sub(r"\1", word)])
        self._masked = _by(self._sought, _masked)
        self._by_start = _by(self._sought, lambda word: [word[:_MIN_HIDDEN_LETTERS]])

    def __repr__(self) -> str:
        return f"<Disguises of {len(self._sought)} words>"

    def read(self, prompt: str) -> Reading:
        """Read a prompt in all ways that are known."""
        pieces: list[str] = []
        chunks: list[_Chunk] = []
        for text in plain(prompt).split():
            first = len(pieces)
            pieces += [text] if text.isascii() and text.isalpha() else _PIECE.findall(text)
            if len(pieces) > first and text != pieces[-1]:
                chunks.append(_Chunk(text=text, first=first, end=len(pieces)))
        reading = Reading(edges=[[(piece, place + 1)] for place, piece in enumerate(pieces)])
        known: dict[str, tuple[list[str], list[str]]] = {}
        for place, piece in enumerate(pieces):
            if (read := known.get(piece)) is None:
                read = known[piece] = self._read_piece(piece)
            others, parts = read
            reading.edges[place] += [(other, place + 1) for other in others]
            reading.glued += [(part, place, place + 1) for part in parts]
        joined: dict[str, tuple[list[str], list[str]]] = {}
        for chunk in chunks:
            if (read := joined.get(chunk.text)) is None:
                read = joined[chunk.text] = self._read_chunk(chunk)
            words, parts = read
            reading.edges[chunk.first] += [(word, chunk.end) for word in words]
            reading.glued += [(part, chunk.first, chunk.end) for part in parts]
        self._read_short(reading, pieces)
        self._read_halves(reading, pieces)
        _read_letters(reading, pieces)
        _pass_over_articles(reading, pieces)
        return reading

    def _read_piece(self, piece: str) -> tuple[list[str], list[str]]:
        """What a word may also be, and the words of lists inside of it."""
        others = [other for other in dict.fromkeys(self._others(piece)) if other != piece]
        return others, [part for word in (piece, *others) for part in self._parts(word)]

    def _others(self, piece: str) -> Iterator[str]:
        """What a word may also be."""
        if piece.isascii() and piece.isalpha():
            if piece in self._minor_numerals:
                yield _MINOR_NUMBER
        elif piece.isascii():
            yield from _ages(piece)
            if not piece.isdigit():
                yield from self._unsigned(piece)
        elif not _WITHOUT_SPACES.search(piece):
            yield from self._unlike(piece)
        if _THREE_ALIKE.search(piece):
            yield from self._unrepeated(piece)

    def _unsigned(self, piece: str) -> Iterator[str]:
        for table in self._signs:
            word = piece.translate(table)
            yield word
            yield from self._unrepeated(word)

    def _unrepeated(self, piece: str) -> Iterator[str]:
        if _THREE_ALIKE.search(piece):
            yield from self._squeezed.get(_ALIKE.sub(r"\1", piece), ())

    def _unlike(self, piece: str) -> Iterator[str]:
        """Undo letters of other alphabets: in Latin if it then is, in Cyrillic if it was."""
        latin = piece.translate(self._to_latin)
        if latin.isascii():
            yield latin
            if not latin.isalpha():
                yield from self._unsigned(latin)
            yield from self._unrepeated(latin)
        elif any(letter.isascii() for letter in piece):
            yield piece.translate(self._to_cyrillic)

    def _parts(self, word: str) -> Iterator[str]:
        """Two words of lists that are written as one."""
        for cut in range(_MIN_HIDDEN_LETTERS, min(len(word), _MAX_HIDDEN_LETTERS) - 2):
            if word[:cut] in self._sought and word[cut:] in self._sought:
                parts = (word[:cut], word[cut:])
                if not self._glued.isdisjoint(parts):
                    yield from parts

    def _read_chunk(self, chunk: _Chunk) -> tuple[list[str], list[str]]:
        """Read what has signs between its letters as one word."""
        core = chunk.text.strip(_OUTER_SIGNS)
        if not _MIN_HIDDEN_LETTERS <= len(core) <= _MAX_HIDDEN_LETTERS or core.isalpha():
            return [], []
        found = {
            word
            for table in self._signs
            for word in self._together("".join(filter(str.isalnum, core.translate(table))))
        }
        if not _MASKS.isdisjoint(core):
            mask = "".join(_MASK if letter in _MASKS else letter for letter in core)
            found.update(self._masked.get(mask, ()))
        if chunk.end - chunk.first > 1 or not core.isalnum():
            found.update(self._together("".join(filter(str.isalnum, core))))
        return list(found), [part for word in found for part in self._parts(word)]

    def _together(self, word: str) -> Iterator[str]:
        yield word
        if not word.isascii():
            yield from self._unlike(word)
        yield from self._unrepeated(word)

    def _read_short(self, reading: Reading, pieces: list[str]) -> None:
        """Look for words in letters that stand apart: "n u d e", "nu d e"."""
        for first, end in _runs(pieces):
            run = pieces[first:end]
            if end - first > 1 and not self._common.issuperset(run):
                self._search(reading, run, first)

    def _search(self, reading: Reading, run: list[str], first: int) -> None:
        text = "".join(run).translate(self._to_latin).translate(self._signs[0])
        places = [first + offset for offset, piece in enumerate(run) for _ in piece]
        start = 0
        while start < len(text):
            word = self._longest_at(text, start)
            if word:
                end = places[start + len(word) - 1] + 1
                reading.edges[places[start]].append((word, end))
            start += len(word) or 1

    def _longest_at(self, text: str, start: int) -> str:
        words = self._by_start.get(text[start : start + _MIN_HIDDEN_LETTERS], ())
        return max((word for word in words if text.startswith(word, start)), key=len, default="")

    def _read_halves(self, reading: Reading, pieces: list[str]) -> None:
        """Look for words that were cut in two: "na ked", but not "pen is"."""
        for place, (left, right) in enumerate(pairwise(pieces)):
            if min(len(left), len(right)) > _MIN_HIDDEN_LETTERS:
                continue
            if left in self._common and right in self._common:
                continue
            word = left + right
            if len(word) >= _MIN_JOINED_LETTERS and word in self._sought:
                reading.edges[place].append((word, place + 2))


def _nth(letters: str, turn: int) -> str:
    """What a sign stands for in the first reading, or in a later one if it has one."""
    return letters[min(turn, len(letters) - 1)]


def _ages(piece: str) -> Iterator[str]:
    """Write the number in front as the lists do: "12yo" is "7yo"."""
    match = _NUMBER_IN_FRONT.fullmatch(piece)
    if match and int(match[1]) > 0:
        number = _MINOR_NUMBER if int(match[1]) < _ADULT_AGE else _OTHER_NUMBER
        yield number + match[2]


def _runs(pieces: list[str]) -> Iterator[tuple[int, int]]:
    """Where pieces of one or two letters stand side by side."""
    first = 0
    for place, piece in enumerate([*pieces, "end"]):
        if len(piece) > _SHORT_LETTERS:
            if place > first:
                yield first, place
            first = place + 1


def _read_letters(reading: Reading, pieces: list[str]) -> None:
    """Put together what is written without spaces. Korean words stay apart, syllables do not."""
    texts: list[str] = []
    before = ""
    for place, piece in enumerate(pieces):
        if not _WITHOUT_SPACES.search(piece):
            before = ""
            continue
        both = before + piece
        is_apart = before and len(both) > _SHORT_LETTERS and _HANGUL.search(both)
        number = next(_ages(piece), piece) if piece[0].isdigit() else piece
        text = f" {number}" if is_apart else number
        texts.append(text)
        reading.letter_places += [place] * len(text)
        before = piece
    reading.letters = "".join(texts)


def _pass_over_articles(reading: Reading, pieces: list[str]) -> None:
    """Let what ends before an article also end behind it."""
    for place in range(len(pieces) - 1, 0, -1):
        if pieces[place] in ARTICLES:
            for edges in reading.edges[max(0, place - _LONGEST_SPAN) : place]:
                edges += [(word, place + 1) for word, end in edges if end == place]


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
            if len(word) - width >= _SHORT_LETTERS:
                yield word[:place] + _MASK * width + word[place + width :]


def _by(words: Iterable[str], keys: Callable[[str], Iterable[str]]) -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for word in words:
        for key in keys(word):
            table.setdefault(key, []).append(word)
    return table
