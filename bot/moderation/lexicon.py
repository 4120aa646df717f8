"""Words and phrases, by list: read from ``rules/*.toml`` and found in a sequence of words.

An entry becomes a path in a tree of words, so that a prompt is walked once for all lists
together, whatever their number. Scripts that set no spaces between words are searched letter
by letter; there the longest entry at a place wins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

LETTERS_WITHOUT_SPACES: Final = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af"
_WITHOUT_SPACES = re.compile(f"[{LETTERS_WITHOUT_SPACES}]")
_WITH_PLURAL_S: Final = frozenset({"any", "en", "fr", "es", "pt"})
# Stands before an entry without spaces that counts only where a word begins.
_AT_START: Final = "^"
# Beginnings ("masturbat*") have at least so many letters.
_HEAD_LETTERS: Final = 2
_SIBILANTS: Final = ("s", "x", "z", "ch", "sh")

# "a black man as a monkey" and "black man as monkey" are the same to all entries.
ARTICLES: Final = frozenset({"a", "an", "the"})

# For each word of a prompt: what can be read there, and after which word that ends.
Edges = Sequence[Sequence[tuple[str, int]]]


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """What an entry stands for. There is one for all entries of the same line.

    Attributes:
        name: Of its list.
        language: Of the line in that list.
        is_ambiguous: It counts only beside another word of its language.
    """

    name: str
    language: str
    is_ambiguous: bool = False


class Hit(NamedTuple):
    """Where an entry was found: the words from ``first`` up to, not including, ``end``."""

    term: Term
    first: int
    end: int


@dataclass(slots=True)
class Node:
    """A place in the tree: what ends here, and where the next word leads."""

    terms: list[Term] = field(default_factory=list[Term])
    words: dict[str, Node] = field(default_factory=dict[str, "Node"])
    beginnings: dict[str, dict[str, Node]] = field(default_factory=dict[str, dict[str, "Node"]])

    def add(self, words: Sequence[str], term: Term) -> None:
        """Make the path of an entry; a word that ends in "*" stands for any ending."""
        node = self
        for word in words:
            node = node.grown(word)
        if term not in node.terms:
            node.terms.append(term)

    def grown(self, word: str) -> Node:
        """Return where ``word`` leads, made if need be."""
        if not word.endswith("*"):
            return self.words.setdefault(word, Node())
        alike = self.beginnings.setdefault(word[:_HEAD_LETTERS], {})
        return alike.setdefault(word[:-1], Node())

    def after(self, word: str) -> list[Node]:
        """Where a word of the prompt leads."""
        node = self.words.get(word)
        found = [] if node is None else [node]
        if self.beginnings and (alike := self.beginnings.get(word[:_HEAD_LETTERS])):
            found += [node for beginning, node in alike.items() if word.startswith(beginning)]
        return found


class Lexicon:
    """All lists.

    Args:
        normalise: Turns an entry into the form that words of prompts are brought to.
    """

    def __init__(self, normalise: Callable[[str], str]) -> None:
        self._normalise = normalise
        self._phrases = Node()
        self._templates = Node()
        self._letters: dict[str, list[tuple[str, bool, Term]]] = {}
        self._singles: dict[str, list[Term]] = {}
        self._words: dict[str, set[str]] = {}
        self._terms: dict[tuple[str, str, bool], Term] = {}
        self.names: set[str] = set()

    def __repr__(self) -> str:
        return f"<Lexicon {len(self.names)} lists, {len(self._singles)} single words>"

    @property
    def references(self) -> frozenset[str]:
        """The lists that templates name."""
        return frozenset(_references(self._templates))

    def singles(self, lists: Collection[str]) -> dict[str, list[Term]]:
        """Entries of one word of these lists that count wherever they are found."""
        found = {
            word: [term for term in terms if term.name in lists and not term.is_ambiguous]
            for word, terms in self._singles.items()
        }
        return {word: terms for word, terms in found.items() if terms}

    def words(self, lists: Collection[str]) -> frozenset[str]:
        """Whole words of the entries of these lists, those of phrases among them."""
        return frozenset(word for word, names in self._words.items() if names & set(lists))

    def add(self, name: str, language: str, entry: str) -> None:
        """Take in one entry of a list."""
        self.names.add(name)
        key = (name, language, entry.startswith("?"))
        term = self._terms.setdefault(key, Term(*key))
        entry = entry.removeprefix("?")
        if _WITHOUT_SPACES.search(entry) and "<" not in entry:
            self._add_letters(entry, term)
            return
        words = tuple(self._word(part) for part in entry.split())
        if len(words) > 1:
            words = tuple(word for word in words if word not in ARTICLES)
        for variant in _variants(words, language):
            if any(word.startswith("<") for word in variant):
                self._templates.add(variant, term)
            else:
                self._phrases.add(variant, term)
                self._note_words(variant, term)

    def _word(self, part: str) -> str:
        if part.startswith("<"):
            return part
        ending = "*" if part.endswith("*") else ""
        return self._normalise(part.removesuffix("*")).replace("'", "") + ending

    def _add_letters(self, entry: str, term: Term) -> None:
        letters = self._normalise(entry.replace("*", "")).removeprefix(_AT_START)
        bucket = self._letters.setdefault(letters[0], [])
        bucket.append((letters, entry.startswith(_AT_START), term))
        bucket.sort(key=lambda item: -len(item[0]))

    def _note_words(self, words: Sequence[str], term: Term) -> None:
        if len(words) == 1 and not words[0].endswith("*"):
            self._singles.setdefault(words[0], []).append(term)
        for word in words:
            if not word.endswith("*"):
                self._words.setdefault(word, set()).add(term.name)

    def find(self, edges: Edges) -> Iterator[Hit]:
        """Find all entries that name no other lists."""
        return _walk_all(self._phrases, edges)

    def find_templates(self, edges: Edges) -> Iterator[Hit]:
        """Find entries that name other lists: "<animal>" is a word of ``edges`` like others."""
        return _walk_all(self._templates, edges)

    def find_letters(self, text: str) -> Iterator[Hit]:
        """Find entries in text without spaces; the longest at a place hides the others.

        The hits tell letters instead of words.
        """
        place = 0
        while place < len(text):
            is_start = place == 0 or text[place - 1] == " "
            found = [
                (letters, term)
                for letters, is_for_start, term in self._letters.get(text[place], ())
                if text.startswith(letters, place) and (is_start or not is_for_start)
            ]
            length = len(found[0][0]) if found else 1
            for letters, term in found:
                if len(letters) == length:
                    yield Hit(term, place, place + length)
            place += length


def _walk_all(root: Node, edges: Edges) -> Iterator[Hit]:
    """Follow all paths from all words, and tell what ends on the way."""
    starts: dict[str, list[Node]] = {}
    for first, readings in enumerate(edges):
        open_paths: list[tuple[Node, int]] = []
        for word, end in readings:
            if (nodes := starts.get(word)) is None:
                nodes = starts[word] = root.after(word)
            open_paths += [(node, end) for node in nodes]
        while open_paths:
            node, place = open_paths.pop()
            for term in node.terms:
                yield Hit(term, first, place)
            if place < len(edges) and (node.words or node.beginnings):
                for word, end in edges[place]:
                    open_paths += [(after, end) for after in node.after(word)]


def _variants(words: tuple[str, ...], language: str) -> Iterator[tuple[str, ...]]:
    """The entry itself and, where the language does so, its plural."""
    yield words
    last = words[-1]
    if language in _WITH_PLURAL_S and last[-1].isalpha():
        ending = "es" if language == "en" and last.endswith(_SIBILANTS) else "s"
        if not last.endswith("s"):
            yield (*words[:-1], last + ending)


def _references(node: Node) -> Iterator[str]:
    for word, after in node.words.items():
        if word.startswith("<"):
            yield word
        yield from _references(after)
    for alike in node.beginnings.values():
        for after in alike.values():
            yield from _references(after)
