"""Prompts to token ids: the normaliser and the two tokenizers.

DalleBart was trained on text that went through a chain of small rewrites; a prompt must
take the same way, or its words get ids that the model has never seen together. CLIP takes
the prompt as it was written. This module knows no arrays but the ids it returns, and
nothing of models or devices.
"""

from __future__ import annotations

import gzip
import html
import importlib.metadata
import json
import logging
import math
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import emoji
import ftfy
import numpy as np
from unidecode import unidecode

from engine.api import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

WORD_RANKS_FILE = "enwiki-words-frequency.txt"

# Stand-ins for characters that later rules would rewrite. They must count as letters for
# ``\w`` and ``\b`` (the original's stand-in is a word), and unidecode leaves none in a text.
_DOT, _QUOTE, _SLASH = "\u02d1", "\u02bc", "\u01c0"

_PERSON_WORDS = ("a person", "someone", "somebody")
_PERSON_WEIGHTS = (282_265, 121_194, 12_219)

Rule = tuple[re.Pattern[str], str]


def _rules(*pairs: tuple[str, str]) -> tuple[Rule, ...]:
    return tuple((re.compile(pattern), replacement) for pattern, replacement in pairs)


_PEOPLE = re.compile(r"<person>([,\s]*(and)*[,\s]*<person>)+")
_HASHTAG = re.compile(r"#(\w+)")

_CLEAN_AND_PROTECT = _rules(
    (r"\A\s*\[\d+\]|\[\d+\]\s*\Z", ""),  # Wikipedia's footnote marks
    (r"<[^<]+?>", " "),  # HTML tags
    (r"http\S+", ""),
    (r"(\d),(\d{3})", r"\1\2"),  # 1,234,567 needs two passes: matches do not overlap
    (r"(\d),(\d{3})", r"\1\2"),
    (r"(\w)\.(\w)", rf"\1{_DOT}\2"),
    (r"'(?=([stdm]|ll|re|ve)\b)", _QUOTE),
    (r"(\d)/(\d)", rf"\1{_SLASH}\2"),
    (r"(\w)-(\w)", r"\1 \2"),
    (r"([%&/$*])", r" \1 "),
)
_PUNCTUATE = _rules(
    (r"[_#\\]", " "),
    (r"['\"`]", ' " '),
    (r"[()\[\].,|:;?!=+~\-/{}]", ","),
    (_DOT, "."),
    (_QUOTE, "'"),
    (_SLASH, "/"),
    (r"(\D)\1{3,}", r"\1"),  # "sooooo" -> "so", "yess" stays
    (r'\s*"[\s"]*', ' " '),
    (r"\s*,[\s,]*", ", "),
    (r"\s+", " "),
)


class WordRanks:
    """How common words are, to find the words in a hashtag: ``catlover`` -> ``cat lover``.

    A word costs the logarithm of its rank, and the cheapest way to cut the tag wins. One
    unknown character makes everything after it unknown too, and it falls into letters.

    Source: dalle-mini 0.1.5 ``text.py``, after a well-known answer by Generic Human
    (https://stackoverflow.com/a/11642687).
    """

    def __init__(self, words: Iterable[str], *, price_per_word: float = 0.0) -> None:
        self._cost = {
            word: math.log(rank) + price_per_word for rank, word in enumerate(words, start=1)
        }
        self._longest = max(map(len, self._cost), default=1)

    @classmethod
    def from_folder(cls, folder: Path) -> WordRanks:
        """Take the checkpoint's own word list, or the one that ships with wordninja.

        Raises:
            CheckpointError: The checkpoint's list cannot be read.
        """
        path = folder / WORD_RANKS_FILE
        try:
            if not path.exists():
                return cls._from_wordninja()
            with path.open(encoding="utf-8") as lines:
                return cls(line.split(maxsplit=1)[0] for line in lines if line.strip())
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(path, error) from error

    @classmethod
    def _from_wordninja(cls) -> WordRanks:
        # Importing wordninja would build a second table of its own; only its list is wanted.
        package = importlib.metadata.distribution("wordninja")
        path = Path(str(package.locate_file("wordninja/wordninja_words.txt.gz")))
        words = gzip.decompress(path.read_bytes()).decode().split()
        # Its own price (Zipf's law), without which this shorter list cuts too finely:
        # "in st a gram".
        return cls(words, price_per_word=math.log(math.log(len(words))))

    def split(self, tag: str) -> str:
        """Separate the words of a hashtag by spaces."""
        return " ".join(
            word for part in re.split(r"[^a-zA-Z0-9']+", tag) for word in self._words(part)
        )

    def _words(self, text: str) -> list[str]:
        words: list[str] = []
        end = len(text)
        lengths = self._last_word_lengths(text)
        while end > 0:
            start = end - lengths[end]
            word = text[start:end]
            if words and word[-1].isdigit() and words[-1][0].isdigit():
                words[-1] = word + words[-1]  # "2", "0", "2", "2" is one number
            else:
                words.append(word)
            end = start
        return words[::-1]

    def _last_word_lengths(self, text: str) -> list[int]:
        """For each prefix of ``text``, the length of its last word in the cheapest cut.

        Example: "acat" with "a", "cat" known gives [0, 1, 1, 2, 3]: the first four letters
        are cheapest as "a" + "cat", whose last word has three.
        """
        costs, lengths = [0.0], [0]
        for end in range(1, len(text) + 1):
            cost, length = min(
                (costs[end - size] + self._word_cost(text[end - size : end]), size)
                for size in range(1, min(end, self._longest) + 1)
            )
            costs.append(cost)
            lengths.append(length)
        return lengths

    def _word_cost(self, word: str) -> float:
        return self._cost.get(word.lower(), math.inf)


class TextNormaliser:
    """Rewrites a prompt into the kind of text DalleBart was trained on.

    Deviations from the original, both for the sake of equal pictures for equal requests:
    a lone ``<person>`` becomes "a person", "someone" or "somebody" by a choice that the
    text itself decides, not by chance; and a protected dot, quote or slash inside a hashtag
    separates its words, where the original spells its stand-in out.

    Source: dalle-mini 0.1.5 ``text.py``; checked by ``tests/golden/test_text.py``.
    """

    def __init__(self, word_ranks: WordRanks) -> None:
        self._word_ranks = word_ranks

    def normalise(self, prompt: str) -> str:
        """Return the text that is tokenized; it always begins with one space.

        An empty prompt gives " ", which is not the same as no prompt (see
        ``TextTokenizer.unconditional``).
        """
        text = _to_plain_ascii(prompt)
        text = _name_persons(text)
        text = _apply(_CLEAN_AND_PROTECT, text)
        text = _HASHTAG.sub(lambda match: self._word_ranks.split(match[1]), text)
        text = _apply(_PUNCTUATE, text)
        return " " + _strip_commas(text)


def _to_plain_ascii(text: str) -> str:
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return unidecode(emoji.demojize(text)).lower()


def _name_persons(text: str) -> str:
    text = _PEOPLE.sub(" people ", text)
    choice = random.Random(text)  # noqa: S311 - a repeatable choice, not a secret
    return re.sub(
        "<person>", lambda _: choice.choices(_PERSON_WORDS, weights=_PERSON_WEIGHTS)[0], text
    )


def _apply(rules: tuple[Rule, ...], text: str) -> str:
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


def _strip_commas(text: str) -> str:
    return text.strip().removeprefix(",").removesuffix(",").strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextIds:
    """A text as a model takes it: ``ids`` and ``mask`` (1 is text, 0 is padding), int32 [T]."""

    ids: NDArray[np.int32]
    mask: NDArray[np.int32]


class _Encode(Protocol):
    """The part of transformers' fast tokenizers that is used here."""

    def __call__(
        self, text: str, *, padding: str, truncation: bool, max_length: int
    ) -> Mapping[str, list[int]]: ...


class TextTokenizer:
    """DalleBart's tokenizer: byte-level BPE in ``<s> ... </s>``, padded to one length.

    Ids that have no row in the model's embedding become ``<unk>``. The released mini model
    has 50,264 rows for 50,265 tokens, and the original draws noise for the last one.
    """

    def __init__(
        self,
        encode: _Encode,
        normalise: Callable[[str], str] | None,
        *,
        unknown_id: int,
        max_text_length: int,
        embedding_rows: int,
    ) -> None:
        self._encode = encode
        self._normalise = normalise
        self._length = max_text_length
        self._rows = embedding_rows
        self._unknown_id = np.int32(unknown_id)
        self.unconditional = self._ids("")
        """The ids of no text at all, for super conditioning; never normalised."""

    @classmethod
    def from_folder(
        cls, folder: Path, *, max_text_length: int, embedding_rows: int, normalise: bool = True
    ) -> TextTokenizer:
        """Read a checkpoint's ``tokenizer.json`` and, to split hashtags, its word list.

        Args:
            folder: The checkpoint.
            max_text_length: The length of all texts in tokens (``config.json``).
            embedding_rows: Rows of the text embedding: ``encoder_vocab_size``.
            normalise: Whether the model was trained on normalised text (``normalize_text``).

        Raises:
            CheckpointError: A file is missing or damaged.
        """
        encode, unknown_id = _load_tokenizer(folder, pad="<pad>", unknown="<unk>")
        return cls(
            encode,
            TextNormaliser(WordRanks.from_folder(folder)).normalise if normalise else None,
            unknown_id=unknown_id,
            max_text_length=max_text_length,
            embedding_rows=embedding_rows,
        )

    def encode(self, prompt: str) -> TextIds:
        """Turn a prompt into ids; what does not fit is cut off before the final ``</s>``."""
        text = without_lone_surrogates(prompt)
        return self._ids(text if self._normalise is None else self._normalise(text))

    def _ids(self, text: str) -> TextIds:
        padded = _padded_ids(self._encode, text, self._length)
        known = np.where(padded.ids < self._rows, padded.ids, self._unknown_id)
        return TextIds(ids=known, mask=padded.mask)


class ClipTokenizer:
    """CLIP's tokenizer: lower-case BPE, padded with its end token. Takes raw prompts."""

    def __init__(self, encode: _Encode, *, context_length: int) -> None:
        self._encode = encode
        self._length = context_length

    @classmethod
    def from_folder(cls, folder: Path, *, context_length: int = 77) -> ClipTokenizer:
        """Read a CLIP checkpoint's ``tokenizer.json``.

        Args:
            folder: The checkpoint.
            context_length: ``max_position_embeddings`` of its text model.

        Raises:
            CheckpointError: The file is missing or damaged.
        """
        end = "<|endoftext|>"
        encode, _ = _load_tokenizer(folder, pad=end, unknown=end)
        return cls(encode, context_length=context_length)

    def encode(self, prompt: str) -> TextIds:
        """Turn a prompt into ids; what does not fit is cut off before the end token."""
        return _padded_ids(self._encode, without_lone_surrogates(prompt), self._length)


def without_lone_surrogates(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON can carry and UTF-8 cannot, by "?"."""
    return text.encode(errors="replace").decode()


def _padded_ids(encode: _Encode, text: str, length: int) -> TextIds:
    encoded = encode(text, padding="max_length", truncation=True, max_length=length)
    return TextIds(
        ids=np.asarray(encoded["input_ids"], np.int32),
        mask=np.asarray(encoded["attention_mask"], np.int32),
    )


def _load_tokenizer(folder: Path, *, pad: str, unknown: str) -> tuple[_Encode, int]:
    """Return the tokenizer and the id of its unknown token."""
    path = folder / "tokenizer.json"
    try:
        vocabulary: dict[str, int] = json.loads(path.read_bytes())["model"]["vocab"]
        _, unknown_id = vocabulary[pad], vocabulary[unknown]
        # Imported here: it takes more than a second, and most commands need no tokenizer.
        logging.getLogger("transformers").addFilter(_is_no_call_for_pytorch)
        from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

        tokenizer: Any = PreTrainedTokenizerFast(
            tokenizer_file=str(path), pad_token=pad, unk_token=unknown
        )
        return cast("_Encode", tokenizer), unknown_id
    except Exception as error:  # tokenizers raises nothing narrower for a file of a wrong kind
        raise _unreadable(path, error) from error


def _is_no_call_for_pytorch(record: logging.LogRecord) -> bool:
    """Sort out what transformers says when it is imported: its tokenizers need no PyTorch."""
    return not record.getMessage().startswith("PyTorch was not found")


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    reason = "it is missing" if isinstance(error, FileNotFoundError) else "it is damaged"
    return CheckpointError(
        f"The checkpoint file {path} cannot be read ({reason}): fetch the checkpoint again."
    )
