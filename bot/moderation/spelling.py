"""One way to write a letter: what Unicode offers beside it is undone here.

Both the entries of the lists and the prompts go through ``plain``; afterwards they can be
compared.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_DELETED: Final = (
    *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x2800, 0x3164, 0xFEFF),
    0x30FB,  # the dot between the words of a foreign name
    *(0xFFA0, 0xFFF9, 0xFFFA, 0xFFFB),
    *range(0x180B, 0x1810),
    *range(0x200B, 0x2010),  # zero-width, direction
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    *range(0xFE00, 0xFE10),  # variation selectors
    *range(0xE0000, 0xE0200),  # tags, more variation selectors
    # Accents, except the Japanese voicing marks (U+3099, U+309A), which make other letters.
    *range(0x0300, 0x0370),
    *range(0x0483, 0x048A),
    *range(0x1AB0, 0x1B00),
    *range(0x1DC0, 0x1E00),
    *range(0x20D0, 0x2100),
    *range(0xFE20, 0xFE30),
)
# Letters as signs, which Unicode does not count as forms of letters: circled and squared
# white on black, and those that flags are made of.
_LETTER_SIGNS: Final = {
    first + offset: chr(ord("a") + offset)
    for first in (0x1F150, 0x1F170, 0x1F1E6)
    for offset in range(26)
}
# Katakana as hiragana: ヌード and ぬーど are the same word.
_HIRAGANA: Final = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}
_APOSTROPHES: Final = dict.fromkeys(map(ord, "\u2018\u2019\u02bc\u02b9\u00b4`\uff07\u2032"), "'")

_INVISIBLE: Final = dict.fromkeys(_DELETED) | _APOSTROPHES | _LETTER_SIGNS


def plain(text: str) -> str:
    """Return ``text`` in small letters without accents, invisible signs and letter forms."""
    if text.isascii():
        return text.lower().replace("`", "'")
    bare = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES)).translate(_INVISIBLE)
    folded = unicodedata.normalize("NFC", bare).casefold()
    return folded.translate(_HIRAGANA)
