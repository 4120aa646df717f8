"""Reads a prompt word by word, and beside each word what it may be a disguise of.

A disguise is read as well, never instead: "4x4" stays "4x4" and is also "axa", which no list
has. So a reading too many does no harm, as long as it is no word of a list by accident.

Everything is a single pass over the prompt with look-ups in tables; there is no pattern that
a hostile prompt could make slow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

from bot.moderation.decoding import MAX_HIDDEN_LETTERS, MIN_HIDDEN_LETTERS, Decoder, ages
from bot.moderation.lexicon import ARTICLES, LETTERS_WITHOUT_SPACES
from bot.moderation.spelling import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PIECE: Final = re.compile(
    f"[0-9]{{0,2}}[{LETTERS_WITHOUT_SPACES}々]+"
    f"|[^\\W_{LETTERS_WITHOUT_SPACES}々]+"
    "|[\U0001f300-\U0001faff\u2600-\u27bf]"
)
_WITHOUT_SPACES: Final = re.compile(f"[{LETTERS_WITHOUT_SPACES}]")
_HANGUL: Final = re.compile("[\uac00-\ud7af]")
# "2 7 years old" is 27, and not 7.
_DIGIT_APART: Final = re.compile(r"(?<!\S)([0-9]) (?=[0-9](?!\S))")
_WIDE_SPACE: Final = re.compile(r"\s\s+")

# What stands around words: ASCII, and Unicode's quotation marks, dashes and dots.
_OUTER_SIGNS: Final = (
    "\"'.,;:!?()[]{}<>~/\\|#*_-\u00ab\u00bb\u2013\u2014\u201a\u201c\u201d\u201e\u2026"
)
_MIN_JOINED_LETTERS: Final = 4
_SHORT_LETTERS: Final = 2
# Words that an entry with an article behind it may span, where they were put together.
_LONGEST_SPAN: Final = 8


@dataclass(slots=True)
class Reading:
    """A prompt, read.

    Attributes:
        edges: By word: what can be read there and after which word that ends.
        glued: Words of lists that were found inside of longer words: what, from, to.
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
        return {edges[0][0] for edges in self.edges}


@dataclass(slots=True)
class _Pieces:
    """A prompt cut up.

    Attributes:
        words: Letters and digits that stand together.
        chunks: What stands between two spaces and is not a word alone: from, to, text.
    """

    words: list[str] = field(default_factory=list[str])
    chunks: list[tuple[int, int, str]] = field(default_factory=list[tuple[int, int, str]])


class Disguises:
    """Reads prompts.

    Args:
        decoder: Knows what a word may be.
        common: Short words that stand beside one another without being pieces of a word.
    """

    def __init__(self, decoder: Decoder, common: Iterable[str]) -> None:
        self._decoder = decoder
        self._common = frozenset(common)

    def __repr__(self) -> str:
        return f"<Disguises {self._decoder!r}>"

    def read(self, prompt: str) -> Reading:
        """Read a prompt in all ways that are known."""
        pieces = _cut_up(plain(prompt))
        words = pieces.words
        reading = Reading(edges=[[(word, place + 1)] for place, word in enumerate(words)])
        self._read_words(reading, words)
        self._read_chunks(reading, pieces.chunks)
        self._read_short(reading, words)
        self._read_halves(reading, words)
        _read_letters(reading, words)
        _pass_over_articles(reading, words)
        return reading

    def _read_words(self, reading: Reading, words: list[str]) -> None:
        seen: dict[str, tuple[list[str], list[str]]] = {}
        for place, word in enumerate(words):
            if word not in seen:
                others = [] if _WITHOUT_SPACES.search(word) else self._decoder.others(word)
                seen[word] = others, self._parts((word, *others))
            others, parts = seen[word]
            reading.edges[place] += [(other, place + 1) for other in others]
            reading.glued += [(part, place, place + 1) for part in parts]

    def _read_chunks(self, reading: Reading, chunks: list[tuple[int, int, str]]) -> None:
        """Read what has signs between its letters as one word."""
        seen: dict[str, tuple[set[str], list[str]]] = {}
        for first, end, text in chunks:
            core = text.strip(_OUTER_SIGNS)
            if core.isalpha() or not MIN_HIDDEN_LETTERS <= len(core) <= 2 * MAX_HIDDEN_LETTERS:
                continue
            if core not in seen:
                found = self._decoder.joined(core)
                seen[core] = found, self._parts(found)
            found, parts = seen[core]
            reading.edges[first] += [(word, end) for word in found]
            reading.glued += [(part, first, end) for part in parts]

    def _parts(self, words: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(part for word in words for part in self._decoder.parts(word)))

    def _read_short(self, reading: Reading, words: list[str]) -> None:
        """Look for words in letters that stand apart: "n u d e", "nu d e"."""
        for first, end in _runs(words):
            run = words[first:end]
            if end - first == 1 or self._common.issuperset(run):
                continue
            places = dict(
                zip(accumulate(map(len, run), initial=0), range(first, end + 1), strict=True)
            )
            for start, word in self._decoder.inside("".join(run)):
                if start in places and start + len(word) in places:  # of whole pieces
                    reading.edges[places[start]].append((word, places[start + len(word)]))

    def _read_halves(self, reading: Reading, words: list[str]) -> None:
        """Look for words that were cut in two: "na ked", but not "pen is"."""
        for place, (left, right) in enumerate(pairwise(words)):
            if not _SHORT_LETTERS <= min(len(left), len(right)) <= MIN_HIDDEN_LETTERS:
                continue
            if not self._common.isdisjoint((left, right)):
                continue
            word = left + right
            if len(word) >= _MIN_JOINED_LETTERS and self._decoder.is_sought(word):
                reading.edges[place].append((word, place + 2))


def _cut_up(text: str) -> _Pieces:
    pieces = _Pieces()
    text = _DIGIT_APART.sub(r"\1", text)
    for group in _WIDE_SPACE.split(text) if _WIDE_SPACE.search(text) else [text]:
        group_first = len(pieces.words)
        chunks = group.split()
        for chunk in chunks:
            first = len(pieces.words)
            is_word = chunk.isascii() and chunk.isalpha()
            pieces.words += [chunk] if is_word else _PIECE.findall(chunk)
            end = len(pieces.words)
            if end > first and chunk != pieces.words[-1]:
                pieces.chunks.append((first, end, chunk))
        # Letters apart, and words further apart: "n u d e   k i d".
        if len(chunks) > 1 and all(len(chunk) == 1 for chunk in chunks):
            pieces.chunks.append((group_first, len(pieces.words), ".".join(chunks)))
    pieces.chunks = [(first, end, text) for first, end, text in pieces.chunks if end > first]
    return pieces


def _runs(words: list[str]) -> Iterator[tuple[int, int]]:
    """Where pieces of one or two letters stand side by side."""
    first = 0
    for place, word in enumerate([*words, "end"]):
        if len(word) > _SHORT_LETTERS:
            if place > first:
                yield first, place
            first = place + 1


def _read_letters(reading: Reading, words: list[str]) -> None:
    """Put together what is written without spaces. Korean words stay apart, syllables do not."""
    texts: list[str] = []
    before = ""
    for place, word in enumerate(words):
        if not _WITHOUT_SPACES.search(word):
            before = ""
            continue
        both = before + word
        is_apart = before and len(both) > _SHORT_LETTERS and _HANGUL.search(both)
        number = next(ages(word), word) if word[0].isdigit() else word
        text = f" {number}" if is_apart else number
        texts.append(text)
        reading.letter_places += [place] * len(text)
        before = word
    reading.letters = "".join(texts)


def _pass_over_articles(reading: Reading, words: list[str]) -> None:
    """Let what ends before an article also end behind it."""
    for place in range(len(words) - 1, 0, -1):
        if words[place] in ARTICLES:
            for edges in reading.edges[max(0, place - _LONGEST_SPAN) : place]:
                edges += [(word, place + 1) for word, end in edges if end == place]
