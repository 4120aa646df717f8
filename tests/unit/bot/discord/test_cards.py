from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import discord
import pytest
from discord import ui
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.discord.buttons.control import Control
from bot.discord.buttons.ids import Press, Verb, press_of
from bot.discord.cards import Result, caption, plain, progress_card, result_card
from bot.discord.files import Upload
from bot.discord.words import FOLDER, words_of
from bot.jobs import JobId
from engine.api import MAX_PROMPT_CHARS

if TYPE_CHECKING:
    from bot.discord.cards import Layout

ENGLISH = words_of("en-GB")
JOB = JobId("0123456789abcdef0123")
NINE = Result(job_id=JOB, prompt="a cat", seed=7, picture_count=9, model="mini", drawn_in_s=12)


def uploads(*ranks: int, is_spoiler: bool = False) -> list[Upload]:
    return [
        Upload(
            rank=rank,
            filename=f"imagine-7-{rank}.png",
            content=b"",
            alt=f"Picture {rank}",
            is_spoiler=is_spoiler,
        )
        for rank in ranks
    ]


def rows(layout: Layout) -> list[list[str]]:
    """The labels of the buttons of each row, or of a menu its question and its choices."""
    return [
        [label for item in row["components"] for label in _labels(item)]
        for row in layout.to_components()
        if row["type"] == 1
    ]


def _labels(item: dict[str, object]) -> list[str]:
    options: list[dict[str, str]] = item.get("options", [])  # pyright: ignore[reportAssignmentType]
    return [str(item.get("label", item.get("placeholder"))), *(o["label"] for o in options)]


def names(layout: Layout) -> list[str]:
    return [item.custom_id for item in layout.walk_children() if isinstance(item, Control)]


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


@pytest.mark.parametrize(
    ("result", "shown_count", "text"),
    [
        (NINE, 9, "**a cat**\n-# 9 pictures, best first · seed 7 · mini · 12 s"),
        (
            NINE,
            8,
            "**a cat**\n-# 8 of 9 pictures (the others are too big) · seed 7 · mini · 12 s",
        ),
        (
            replace(NINE, picture_count=1, withheld_count=2),
            1,
            "**a cat**\n-# 1 picture · 2 pictures withheld · seed 7 · mini · 12 s",
        ),
        (
            replace(NINE, as_grid=True),
            1,
            "**a cat**\n-# 9 pictures, best first · seed 7 · mini · 12 s",
        ),
        (
            replace(NINE, model="", drawn_in_s=None),
            9,
            "**a cat**\n-# 9 pictures, best first · seed 7",
        ),
    ],
    ids=["all", "some too big", "some withheld", "a grid", "of the past"],
)
def test_a_card_says_what_it_shows(result: Result, shown_count: int, text: str) -> None:
    assert caption(result, shown_count, ENGLISH) == text


def test_one_picture_has_a_button_for_everything() -> None:
    card = result_card(replace(NINE, picture_count=1), uploads(1), ENGLISH)

    assert rows(card) == [
        ["Upscale", "Variations", "Redraw", "Remix"],
        ["Save to DM", "Hide", "Report", "Delete"],
    ]
    assert names(card) == [
        f"im:upscale:{JOB}:1",
        f"im:variations:{JOB}:1",
        f"im:redraw:{JOB}:0",
        f"im:remix:{JOB}:0",
        f"im:save:{JOB}:0",
        f"im:spoiler:{JOB}:1",
        f"im:report:{JOB}:0",
        f"im:delete:{JOB}:0",
    ]


@pytest.mark.parametrize("count", [2, 4, 9])
def test_of_several_pictures_a_menu_asks_which(count: int) -> None:
    card = result_card(replace(NINE, picture_count=count), uploads(*range(1, count + 1)), ENGLISH)

    choices = [f"Picture {rank}" for rank in range(1, count + 1)]
    assert rows(card) == [
        ["Upscale a picture…", *choices],
        ["Variations of a picture…", *choices],
        ["Redraw", "Remix", "Save to DM"],
        ["Hide", "Report", "Delete"],
    ]


def test_a_grid_is_one_picture_of_which_each_can_be_chosen() -> None:
    card = result_card(replace(NINE, as_grid=True), uploads(0), ENGLISH)

    assert len(rows(card)[0]) == 10
    assert len(rows(card)) == 4


def test_a_picture_that_did_not_fit_cannot_be_chosen() -> None:
    card = result_card(replace(NINE, picture_count=3), uploads(1, 3), ENGLISH)

    assert rows(card)[0] == ["Upscale a picture…", "Picture 1", "Picture 3"]


def test_a_card_without_any_picture_that_fits_is_still_a_card() -> None:
    card = result_card(replace(NINE, picture_count=1), [], ENGLISH)

    assert rows(card) == [["Redraw", "Remix", "Save to DM"], ["Hide", "Report", "Delete"]]
    assert not [item for item in card.walk_children() if isinstance(item, ui.MediaGallery)]


def test_covered_pictures_can_be_shown_instead_of_hidden() -> None:
    card = result_card(NINE, uploads(1, 2, is_spoiler=True), ENGLISH)
    (gallery,) = [item for item in card.walk_children() if isinstance(item, ui.MediaGallery)]

    assert [item.spoiler for item in gallery.items] == [True, True]
    assert rows(card)[-1] == ["Show", "Report", "Delete"]
    assert f"im:spoiler:{JOB}:0" in names(card)


results = st.builds(
    Result,
    job_id=st.just(JOB),
    prompt=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_PROMPT_CHARS),
    seed=st.integers(0, 2**32 - 1),
    picture_count=st.integers(0, 10),
    withheld_count=st.integers(0, 16),
    model=st.text(max_size=300),
    drawn_in_s=st.none() | st.integers(0, 99_999),
    as_grid=st.booleans(),
)


@settings(deadline=None)
@given(results, st.sampled_from(sorted(path.stem for path in FOLDER.glob("*.json"))))
def test_every_card_keeps_the_limits_of_discord(result: Result, language: str) -> None:
    ranks = [0] if result.as_grid else range(1, result.picture_count + 1)
    files = uploads(*ranks)

    card = result_card(result, files, words_of(language), intro="<@123456789012345678>, hi" * 9)

    ids = names(card)
    assert card.total_children_count <= 40
    assert card.content_length() <= 4_000
    assert len(set(ids)) == len(ids)
    assert all(len(id_) <= 100 and press_of(id_) for id_ in ids)
    for row in card.to_components():
        if row["type"] == 1:
            assert 1 <= len(row["components"]) <= 5
            for item in row["components"]:
                assert len(item.get("label", "")) <= 80
                assert len(item.get("placeholder", "")) <= 150
                assert len(item.get("options", [])) <= 25


def test_progress_shows_a_first_look_and_a_way_out() -> None:
    press = Press(verb=Verb.CANCEL, job_id=JOB)
    look = discord.File(__file__, "preview.webp")

    card = progress_card("Drawing… 40 %", ENGLISH, press, preview=look)

    assert card.content_length() == len("Drawing… 40 %")
    assert rows(card) == [["Cancel"]]
    (gallery,) = [item for item in card.walk_children() if isinstance(item, ui.MediaGallery)]
    assert gallery.items[0].media.url == "attachment://preview.webp"
    look.close()
