"""Disguises, made by machine from prompts that are refused without them."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.moderation import Level, Moderator, TextVerdict
from bot.moderation.rulebook import Rulebook
from tests.support.moderation_cases import cases

if TYPE_CHECKING:
    from collections.abc import Callable

    Disguise = Callable[[str], str]

BOOK = Rulebook.read()
REFUSED = [
    case.prompt
    for case in cases("known")
    if case.kind == "sexual_minor" and case.language == "en" and case.disguise == "plain"
]
LEET = str.maketrans("aeios", "43105")
CYRILLIC = str.maketrans("aceopxyi", "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456")
UPRIGHT = str.maketrans("abcdefghijklmnopqrstuvwxyz", "".join(map(chr, range(0x1D41A, 0x1D434))))
WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


def with_marks(text: str) -> str:
    return "".join(f"{letter}\u0336\u0301" if letter.isalpha() else letter for letter in text)


DISGUISES: dict[str, Disguise] = {
    "capitals": str.upper,
    "leet": lambda text: text.translate(LEET),
    "letters apart": lambda text: "   ".join(" ".join(word) for word in text.split()),
    "dots between": lambda text: " ".join(".".join(word) for word in text.split()),
    "dashes between": lambda text: " ".join("-".join(word) for word in text.split()),
    "zero-width": "\u200b".join,
    "soft hyphens": "\u00ad".join,
    "direction marks": lambda text: f"\u202e{text}\u202c",
    "cyrillic lookalikes": lambda text: text.translate(CYRILLIC),
    "mathematical letters": lambda text: text.translate(UPRIGHT),
    "full width": lambda text: text.translate(WIDE),
    "accents": with_marks,
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "long vowels": lambda text: "".join(c * 4 if c in "aeiou" else c for c in text),
    "quotes around": lambda text: " ".join(f"\u201c{word}\u201d," for word in text.split()),
    "underscores for spaces": lambda text: text.replace(" ", "_"),
    "other spaces": lambda text: text.replace(" ", "\u3000"),
    "a word in front": lambda text: f"masterpiece, 4k, {text}, trending",
}


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES.keys())
def test_a_disguise_hides_nothing(moderator: Moderator, disguise: Disguise) -> None:
    drawn = [
        disguised
        for prompt in REFUSED
        if moderator.judge(disguised := disguise(prompt), level=Level.RELAXED).verdict
        is not TextVerdict.REFUSE
    ]

    assert drawn == []


@pytest.mark.parametrize("name", ["known", "held_out"])
def test_invisible_signs_make_no_harmless_prompt_harmful(moderator: Moderator, name: str) -> None:
    harmless = [case for case in cases(name) if case.verdicts[Level.STRICT] is TextVerdict.ALLOW]

    changed = [
        case.prompt
        for case in harmless
        for disguise in (DISGUISES["zero-width"], DISGUISES["decomposed"], str.upper)
        if moderator.judge(disguise(case.prompt), level=Level.STRICT).verdict
        is not TextVerdict.ALLOW
    ]

    assert changed == []


HOSTILE = st.one_of(
    st.text(max_size=1_000),
    st.text(alphabet="a ", max_size=1_000),
    st.text(alphabet="nude.*-_ 4$\u200b", max_size=1_000),
    st.lists(st.sampled_from(REFUSED), max_size=40).map(" ".join),
    st.tuples(st.text(max_size=6), st.integers(0, 200)).map(lambda pair: pair[0] * pair[1]),
)


@settings(deadline=None)
@given(HOSTILE)
def test_no_text_makes_the_reader_do_more_than_a_little_work_for_each_letter(text: str) -> None:
    reading = BOOK.disguises.read(text)

    # Each edge and each glued word was paid for with a few look-ups, and nothing else was.
    letter_count = len(unicodedata.normalize("NFKD", text))
    work = sum(map(len, reading.edges)) + len(reading.glued) + len(reading.letters)
    assert work <= 8 * letter_count
    assert all(0 < end <= len(reading.edges) for edges in reading.edges for _, end in edges)


@settings(deadline=None)
@given(HOSTILE, st.sampled_from(Level))
def test_every_text_gets_a_judgement_that_says_why(text: str, level: Level) -> None:
    judgement = MODERATOR.judge(text, level=level)

    assert (judgement.verdict is TextVerdict.ALLOW) == (judgement.code == "")


@settings(deadline=None)
@given(HOSTILE)
def test_a_stricter_level_is_never_milder(text: str) -> None:
    severity = list(TextVerdict)

    verdicts = [severity.index(MODERATOR.judge(text, level=level).verdict) for level in Level]

    assert verdicts == sorted(verdicts)


MODERATOR = Moderator(BOOK)
