from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bot.discord
from bot.discord.words import ENGLISH, FOLDER, LANGUAGE_OF, words_of
from bot.phrases import COUNT, GRAMMARS
from bot.sentences import REASONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.phrases import Phrase

OTHERS = sorted(GRAMMARS.keys() - {ENGLISH})
GAP = re.compile(r"\{(\w*)[^}]*\}")
WHOLE_GAP = re.compile(r"\{[a-z_]+\}")
# Source: Discord API documentation, "Application Command Naming".
NAME = re.compile(r"[-_'\w]{1,32}")
MENTIONED = re.compile(r"(?<![\w/])/([-_\w]+)")


def forms_of(phrase: Phrase) -> list[str]:
    return [phrase] if isinstance(phrase, str) else list(phrase.values())


def gaps_of(phrase: Phrase) -> set[str]:
    return {gap for form in forms_of(phrase) for gap in GAP.findall(form)}


def keys_that_code_says() -> Iterator[str]:
    """Every string in our code that is a key of the catalogue, as it stands or begun."""
    for file in [*Path(bot.discord.__path__[0]).rglob("*.py"), Path("bot/sentences.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_language_has_a_file_and_every_file_is_a_language() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == GRAMMARS.keys()
    assert set(LANGUAGE_OF.values()) == GRAMMARS.keys()


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_says_all_that_english_says_and_nothing_else(language: str) -> None:
    ours, english = words_of(language).phrases.keys(), words_of(ENGLISH).phrases.keys()

    assert (english - ours, ours - english) == (set(), set())


@pytest.mark.parametrize("language", GRAMMARS)
def test_no_key_stands_twice_in_a_file(language: str) -> None:
    text = (FOLDER / f"{language}.json").read_text(encoding="utf-8")
    keys = re.findall(r'^  "(\w+)":', text, flags=re.MULTILINE)

    assert len(keys) == len(json.loads(text))


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_fills_every_gap_that_english_fills(language: str) -> None:
    theirs, english = words_of(language).phrases, words_of(ENGLISH).phrases

    wrong = {
        key for key in english if gaps_of(theirs[key]) - {COUNT} != gaps_of(english[key]) - {COUNT}
    }

    assert wrong == set()


@pytest.mark.parametrize("language", GRAMMARS)
def test_a_phrase_with_a_count_has_the_plural_forms_of_its_language(language: str) -> None:
    phrases, forms = words_of(language).phrases, GRAMMARS[language].forms
    english = words_of(ENGLISH).phrases
    for key, phrase in phrases.items():
        if not isinstance(english[key], str) and len(forms) > 1:
            assert not isinstance(phrase, str), key
            assert tuple(phrase) == forms, key
        assert COUNT in gaps_of(phrase) or COUNT not in gaps_of(english[key]), key


@pytest.mark.parametrize("language", GRAMMARS)
def test_every_form_holds_all_gaps_but_the_count(language: str) -> None:
    for key, phrase in words_of(language).phrases.items():
        for form in forms_of(phrase):
            assert set(GAP.findall(form)) - {COUNT} == gaps_of(phrase) - {COUNT}, key
            assert len(GAP.findall(form)) == len(WHOLE_GAP.findall(form)), key


@pytest.mark.parametrize("language", GRAMMARS)
def test_names_and_descriptions_are_as_discord_wants_them(language: str) -> None:
    for key, phrase in words_of(language).phrases.items():
        assert isinstance(phrase, str) or not key.startswith(("command_", "option_")), key
        if key.endswith("_about"):
            assert 1 <= len(phrase) <= 100, key
        elif key.startswith(("command_", "option_")) and key != "command_outdated":
            assert isinstance(phrase, str)
            assert NAME.fullmatch(phrase), key
            assert phrase == phrase.lower(), key
        elif key.startswith(("menu_", "button_", "style_", "level_")):
            limit = {"menu_": 32, "button_": 80}.get(key.split("_")[0] + "_", 100)
            is_sentence = str(phrase).endswith((".", "。"))
            assert is_sentence or len(phrase) <= limit, key
        elif key.endswith("_title"):
            assert len(phrase) <= 45, key


@pytest.mark.parametrize("language", GRAMMARS)
def test_the_commands_that_a_language_mentions_are_called_so_there(language: str) -> None:
    phrases = words_of(language).phrases
    called = {
        str(text)
        for key, text in phrases.items()
        if key.startswith("command_") and not key.endswith("_about")
    }
    mentioned = {
        (key, name)
        for key, phrase in phrases.items()
        for form in forms_of(phrase)
        for name in MENTIONED.findall(form)
    }

    assert {(key, name) for key, name in mentioned if name not in called} == set()
    assert len({name for _, name in mentioned}) == 8


def test_every_phrase_is_said_somewhere() -> None:
    said = set(keys_that_code_says())
    begun = tuple(
        text for text in said if re.fullmatch(r"[a-z]+_[a-z_]*", text) and text.endswith("_")
    )
    in_a_name = {"command", "option"}

    unsaid = {
        key
        for key in words_of(ENGLISH).phrases
        if key not in said and not key.startswith(begun) and key.split("_")[0] not in in_a_name
    }

    assert unsaid == set()


def test_english_reasons_stand_in_one_place() -> None:
    own = json.loads((FOLDER / "en.json").read_text(encoding="utf-8"))

    assert own.keys() & REASONS.keys() == set()
    assert words_of(None).say("reason_closing") == REASONS["reason_closing"]


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("es-419", "es"),
        ("es-ES", "es"),
        ("en-GB", "en"),
        ("pt-BR", "pt-BR"),
        ("de", "de"),
        ("es", "es"),
    ],
)
def test_a_locale_of_discord_has_its_language(locale: str, language: str) -> None:
    assert words_of(locale).language == language


@pytest.mark.parametrize("locale", [None, "", "sv-SE", "../en"])
def test_a_language_that_we_do_not_speak_is_answered_in_english(locale: str | None) -> None:
    assert words_of(locale).language == ENGLISH


def test_a_count_takes_the_form_of_its_language() -> None:
    assert [words_of("uk").say("pictures", count=count) for count in (1, 3, 5, 21, 1_012)] == [
        "1 картинка",
        "3 картинки",
        "5 картинок",
        "21 картинка",
        "1\u00a0012 картинок",
    ]
    assert words_of("fr").say("pictures", count=0) == "0 image"
