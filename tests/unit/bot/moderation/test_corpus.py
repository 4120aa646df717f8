"""Every prompt of the corpus, at every level."""

from __future__ import annotations

import gzip
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.moderation import Level, TextVerdict
from tests.bench import moderation as bench
from tests.support.moderation_cases import DATA_DIR, LEVELS, cases

if TYPE_CHECKING:
    from bot.moderation import Moderator
    from tests.support.moderation_cases import Case

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


# All of the 10,000 commonest English words that are not drawn without a word on their own.
MARKED_WORDS = """
    anus assassinated assassination auschwitz bleeding blood bloody breasts ejaculation erection
    hanged hitler holocaust intercourse kill killed killing kills massacre masturbation murder
    murdered murders mussolini naked nazi nazis nude nudity orgasm penis pornography rape sex sexes
    sexual sexually suicide terrorist terrorists testicles torture vagina wounded
"""


def test_of_common_english_words_only_those_are_marked_that_mean_it(moderator: Moderator) -> None:
    module = find_spec("wordninja")  # a dependency, which lists them by frequency
    assert module is not None
    assert module.origin is not None
    packed = Path(module.origin).with_suffix("") / "wordninja_words.txt.gz"
    words = gzip.decompress(packed.read_bytes()).decode().split()[:10_000]

    marked = {
        word
        for word in words
        if moderator.judge(word, level=Level.STANDARD).verdict is not TextVerdict.ALLOW
    }

    assert marked == set(MARKED_WORDS.split())


def test_the_readme_tells_what_is_counted_here(moderator: Moderator) -> None:
    readme = (Path(__file__).parents[4] / "README.md").read_text("utf-8").splitlines()
    every = [*cases("known"), *cases("held_out")]

    def judge(case: Case, level: Level) -> TextVerdict:
        return moderator.judge(case.prompt, level=level).verdict

    told = {line.rsplit(" | ", 2)[0] for line in readme}  # without the columns of the others
    assert set(bench.level_rows(bench.first_look(), bench.OURS, cases("held_out"))) <= set(readme)
    assert set(bench.kind_rows({bench.OURS: judge}, every)) <= {f"{row} |" for row in told}


def test_the_first_look_tells_of_prompts_that_were_set_aside() -> None:
    set_aside = {case.prompt: case for case in cases("held_out")}
    lines = (DATA_DIR / "first_look.tsv").read_text("utf-8").splitlines()[1:]

    assert len(lines) == 2
    assert all(line.split("\t")[1] in set_aside for line in lines)
