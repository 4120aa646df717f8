from __future__ import annotations

import pytest

from bot.phrases import GRAMMARS, fill


@pytest.mark.parametrize(
    ("language", "form", "counts"),
    [
        ("en", "one", [1]),
        ("en", "other", [0, 2, 11, 21, 100]),
        ("de", "one", [1]),
        ("fr", "one", [0, 1]),
        ("fr", "other", [2, 21]),
        ("es", "other", [0, 2]),
        ("pt-BR", "one", [0, 1]),
        ("ja", "other", [0, 1, 2]),
        ("ko", "other", [1]),
        ("uk", "one", [1, 21, 101, 1_031]),
        ("uk", "few", [2, 3, 4, 22, 34, 102]),
        ("uk", "many", [0, 5, 9, 10, 11, 12, 14, 20, 25, 111, 1_012]),
    ],
)
def test_a_number_takes_the_plural_form_of_its_language(
    language: str, form: str, counts: list[int]
) -> None:
    assert {GRAMMARS[language].form_of(count) for count in counts} == {form}


@pytest.mark.parametrize("language", GRAMMARS)
def test_every_number_takes_a_form_that_the_language_has(language: str) -> None:
    grammar = GRAMMARS[language]

    assert {grammar.form_of(count) for count in range(200)} == set(grammar.forms)


def test_a_count_chooses_the_phrase_and_is_written_in_groups() -> None:
    phrase = {"one": "{count} Bild", "other": "{count} Bilder"}

    assert [fill(phrase, GRAMMARS["de"], {"count": count}) for count in (1, 1_234_567)] == [
        "1 Bild",
        "1.234.567 Bilder",
    ]


def test_a_text_is_filled_in_as_it_is() -> None:
    values = {"seed": "1234567", "prompt": "a {count} {0.__class__}"}

    filled = fill("{prompt}: {seed}", GRAMMARS["en"], values)

    assert filled == "a {count} {0.__class__}: 1234567"


def test_a_gap_without_a_value_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="seed"):
        fill("{seed}", GRAMMARS["en"], {"count": 1})
