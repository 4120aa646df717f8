from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.discord import cards
from bot.discord.cards import picture_files, plain, result_card
from engine.api import DrawRequest
from tests.support.scripted_engine import drawn

if TYPE_CHECKING:
    from engine.api import Drawn

MIB = 1024 * 1024


def of_sizes(*sizes_bytes: int) -> Drawn:
    result = drawn(DrawRequest(prompt="a cat", picture_count=len(sizes_bytes), seed=7))
    sized = zip(result.pictures, sizes_bytes, strict=True)
    return replace(result, pictures=tuple(replace(p, png=bytes(size)) for p, size in sized))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a well-known cat", r"a well\-known cat"),
        ("**bold** _it_ ~~no~~ ||x||", r"\*\*bold\*\* \_it\_ \~\~no\~\~ \|\|x\|\|"),
        ("# big\n> quote\n- list", r"\# big \> quote \- list"),
        ("@here <@1> <t:1:R> <:a:1>", r"\@here \<\@1\> \<t\:1\:R\> \<\:a\:1\>"),
        (r"\*", r"\\\*"),
        ("ein Käse, 3 €", "ein Käse, 3 €"),
    ],
)
def test_a_prompt_is_shown_letter_for_letter(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_pictures_that_are_too_big_are_left_out_and_the_card_says_so() -> None:
    result = of_sizes(100, 11 * MIB, 100)

    files = picture_files("a cat", result, each_limit_bytes=10 * MIB)

    assert [file.filename for file in files] == ["imagine-7-3.png", "imagine-7-1.png"]
    assert [file.description for file in files] == [
        "Picture 1 of 2: a cat",
        "Picture 2 of 2: a cat",
    ]
    assert result_card("a cat", result, files).content_length() == len(
        "**a cat**\n-# 2 pictures of 3 (the others are too big), best first · seed 7"
    )


def test_one_message_carries_ten_pictures_and_24_mib_at_most() -> None:
    many = picture_files("a cat", of_sizes(*[1] * 16), each_limit_bytes=10 * MIB)
    heavy = picture_files("a cat", of_sizes(*[9 * MIB] * 4), each_limit_bytes=10 * MIB)

    assert len(many) == 10
    assert len(heavy) == 2


def test_a_card_without_any_picture_that_fits_is_still_a_card() -> None:
    result = of_sizes(11 * MIB)

    card = result_card("a cat", result, [])

    assert card.total_children_count == 2
    assert card.content_length() == len(
        "**a cat**\n-# 0 pictures of 1 (the others are too big) · seed 7"
    )


def test_the_longest_prompt_fits_with_every_letter_escaped() -> None:
    prompt = "*" * 1_000
    result = drawn(DrawRequest(prompt=prompt, picture_count=9, seed=2**32 - 1))

    files = picture_files(prompt * 2, result, each_limit_bytes=MIB)
    card = result_card(prompt, result, files)

    assert card.content_length() < 4_000
    assert {len(file.description or "") for file in files} == {cards.MAX_ALT_CHARS}
