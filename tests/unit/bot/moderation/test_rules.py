"""The files of rules, looked at as a whole."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from bot.moderation import Level, TextVerdict, rulebook
from bot.moderation.lexicon import Lexicon
from bot.moderation.rulebook import HARMLESS, Rulebook
from bot.moderation.spelling import plain
from bot.sentences import NOT_DRAWN

BOOK = Rulebook.read()
FOLDER = Path(str(resources.files("bot.moderation") / "rules"))
SEVERITY = list(TextVerdict)


@pytest.mark.parametrize("rule", BOOK.rules, ids=lambda rule: rule.code)
def test_a_stricter_level_is_never_milder_and_a_context_never_harsher(rule: object) -> None:
    assert isinstance(rule, type(BOOK.rules[0]))
    for row in (rule.verdicts, rule.milder):
        verdicts = [SEVERITY.index(row[level]) for level in Level]
        assert verdicts == sorted(verdicts)
    assert all(
        SEVERITY.index(rule.milder[level]) <= SEVERITY.index(rule.verdicts[level])
        for level in Level
    )


def test_every_rule_says_why_it_is_there() -> None:
    rules = tomllib.loads((FOLDER / "rules.toml").read_text("utf-8"))["rule"]

    assert [rule for rule in rules if len(rule.get("why", "")) < 20] == []


def test_every_code_has_its_words_and_no_words_are_left_over() -> None:
    assert {rule.code for rule in BOOK.rules} == NOT_DRAWN.keys()


def test_every_list_serves_a_rule_or_a_phrase_of_another_list() -> None:
    named = {name for rule in BOOK.rules for name in rule.lists}
    named |= {reference.strip("<>") for reference in BOOK.lexicon.references}

    assert BOOK.lexicon.names - named == {HARMLESS}


def test_only_what_is_refused_at_every_level_is_grave() -> None:
    grave = [rule for rule in BOOK.rules if rule.is_grave]

    assert grave
    assert all(set(rule.verdicts.values()) == {TextVerdict.REFUSE} for rule in grave)
    assert "self_harm" not in {rule.code for rule in grave}  # who asks may need help, not a block


def test_no_file_holds_an_entry_twice_in_one_line() -> None:
    doubles = [
        (path.name, name, language, entry)
        for path in sorted(FOLDER.glob("*.toml"))
        if path.name not in {"rules.toml", "languages.toml", "disguises.toml"}
        for name, table in tomllib.loads(path.read_text("utf-8")).items()
        for language, text in table.items()
        for entry in _doubles(text)
    ]

    assert doubles == []


def _doubles(text: str) -> set[str]:
    entries = [" ".join(entry.split()) for entry in re.split(r",", text)]
    return {entry for entry in entries if entry and entries.count(entry) > 1}


def test_a_rule_about_a_list_that_is_not_there_stops_the_start() -> None:
    lexicon = Lexicon(plain)
    lexicon.add("minor", "en", "child")

    with pytest.raises(ValueError, match=r"There are rules about .*sexual.*, but no such lists"):
        rulebook.check_lists(BOOK.rules, lexicon)
