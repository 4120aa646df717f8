"""Every prompt of the corpus, at every level."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from bot.moderation import Level, TextVerdict
from tests.support.moderation_cases import LEVELS, cases

if TYPE_CHECKING:
    from bot.moderation import Moderator

LANGUAGES = {"en", "de", "fr", "es", "pt-BR", "ja", "ko", "uk"}
GRAVE_KINDS = {"sexual_minor", "real_person_sexual", "hate", "self_harm", "sexual", "nudity"}


@pytest.mark.parametrize("name", ["known", "held_out"])
def test_every_prompt_gets_the_verdict_that_it_should(moderator: Moderator, name: str) -> None:
    wrong = [
        (case.prompt, level, judgement.verdict, judgement.code)
        for case in cases(name)
        for level in LEVELS
        if (judgement := moderator.judge(case.prompt, level=level)).verdict
        is not case.verdicts[level]
    ]

    assert wrong == []


def test_there_are_enough_prompts_of_every_kind_and_no_prompt_twice() -> None:
    every = [*cases("known"), *cases("held_out")]
    harmless = sum(case.verdicts[Level.STANDARD] is TextVerdict.ALLOW for case in every)

    assert len(every) == len({case.prompt for case in every}) >= 400
    assert 0.35 < harmless / len(every) < 0.65
    assert sum(case.disguise != "plain" for case in every) >= 40


def test_every_language_of_the_bot_has_prompts_of_the_grave_kinds() -> None:
    pairs = Counter((case.kind, case.language) for case in [*cases("known"), *cases("held_out")])

    missing = {(kind, lang) for kind in GRAVE_KINDS for lang in LANGUAGES} - pairs.keys()

    assert missing == set()


def test_what_harms_children_is_refused_even_where_moderation_is_off(moderator: Moderator) -> None:
    every = [*cases("known"), *cases("held_out")]
    about_children = [case for case in every if case.kind == "sexual_minor"]

    judged = {moderator.judge(case.prompt, level=Level.OFF) for case in about_children}

    assert {(judgement.verdict, judgement.code, judgement.is_grave) for judgement in judged} == {
        (TextVerdict.REFUSE, "sexual_minor", True)
    }


def test_where_moderation_is_off_everything_else_is_drawn(moderator: Moderator) -> None:
    about_children = {"sexual_minor", "sexual_youth"}
    refused = [
        case.prompt
        for case in [*cases("known"), *cases("held_out")]
        if case.kind not in about_children
        and moderator.judge(case.prompt, level=Level.OFF).verdict is not TextVerdict.ALLOW
    ]

    # "hentai girl", "fille …": what may be meant for a child is refused in any company.
    assert all("girl" in prompt for prompt in refused)
