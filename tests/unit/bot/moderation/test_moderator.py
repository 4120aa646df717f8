"""Single decisions of the moderator that the corpus shows only by its verdicts."""

from __future__ import annotations

import pytest

from bot.moderation import Judgement, Level, Moderator, TextVerdict


@pytest.mark.parametrize(
    ("prompt", "lists"),
    [
        ("a blue tit", set[str]()),
        ("blue tits and tits", {"nudity"}),  # what covers one of them does not cover the other
        ("un enfant nu", {"minor", "nudity"}),
        ("nu metal band", set[str]()),  # a French word only in French company
        ("ein Kind", {"minor"}),
        ("a kind word", set[str]()),
        ("a 12 year old", {"minor"}),
        ("a 21 year old", {"adult"}),
        ("aged seventeen", {"minor"}),
        ("1943", {"history"}),
        ("21歳の女性", {"adult"}),
        ("裸足の少年", {"minor"}),
    ],
)
def test_words_are_found_where_they_mean_something(
    moderator: Moderator, prompt: str, lists: set[str]
) -> None:
    assert moderator.found(prompt).keys() - {"group_noun", "person"} == lists


def test_words_that_are_far_apart_are_not_taken_together(moderator: Moderator) -> None:
    near = "a beaten child"
    far = "a child in front of a bakery where a cook has beaten some cream"

    assert moderator.judge(near, level=Level.STANDARD).code == "violence_minor"
    assert moderator.judge(far, level=Level.STANDARD).verdict is TextVerdict.ALLOW


def test_the_gravest_rule_gives_its_code(moderator: Moderator) -> None:
    prompt = "a naked child covered in blood"

    assert moderator.judge(prompt, level=Level.STANDARD) == Judgement(
        verdict=TextVerdict.REFUSE, code="sexual_minor", is_grave=True
    )


def test_a_context_makes_milder_only_what_its_rule_says(moderator: Moderator) -> None:
    adult = moderator.judge("a nude, oil painting", level=Level.STANDARD)
    child = moderator.judge("a nude child, oil painting", level=Level.STANDARD)

    assert (adult.verdict, child.verdict) == (TextVerdict.SOFT, TextVerdict.REFUSE)


def test_the_same_words_get_the_same_judgement_again(moderator: Moderator) -> None:
    prompt = "a black man as a monkey, and a naked mole rat"

    assert len({moderator.judge(prompt, level=Level.STANDARD) for _ in range(5)}) == 1


def test_a_moderator_tells_how_much_it_knows(moderator: Moderator) -> None:
    assert repr(moderator).startswith("<Moderator 32 rules, <Lexicon 49 lists, ")
