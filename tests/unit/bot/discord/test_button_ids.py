from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.discord.buttons.ids import TEMPLATE, Press, Verb, press_of
from bot.jobs import JobId

presses = st.builds(
    Press,
    verb=st.sampled_from(Verb),
    job_id=st.from_regex(r"[0-9a-f]{20}", fullmatch=True).map(JobId),
    n=st.integers(0, 999),
)


@settings(deadline=None)
@given(presses)
def test_what_a_button_does_is_read_back_from_its_name(press: Press) -> None:
    assert press_of(press.custom_id) == press
    assert TEMPLATE.fullmatch(press.custom_id)
    assert len(press.custom_id) <= 100


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_text_but_the_name_of_a_button_is_understood(text: str) -> None:
    press = press_of(text)

    assert press is None or press.custom_id == re.sub(r":0*(\d)", r":\1", text)


@settings(deadline=None)
@given(st.lists(st.text(max_size=5), min_size=1, max_size=2))
def test_a_choice_that_is_no_rank_is_not_understood(values: list[str]) -> None:
    press = press_of("im:upscale:0123456789abcdef0123:0", values)

    assert press is None or str(press.n).zfill(len(values[0])) == values[0]


@pytest.mark.parametrize(
    "name",
    [
        "im:paint:0123456789abcdef0123:0",  # of a later version
        "im:upscale:0123456789abcdef0123",
        "im:upscale::0",
        "im:upscale:../x:0",
        "im:upscale:0123456789abcdef0123:-1",
        "im:upscale:0123456789abcdef0123:1٣",  # digits of another script
        "me:show:0123456789abcdef0123",
    ],
)
def test_other_names_are_not_understood(name: str) -> None:
    assert press_of(name) is None


def test_a_menu_tells_by_its_choice_which_picture_is_meant() -> None:
    press = press_of("im:variations:0123456789abcdef0123:0", ["7"])

    assert press == Press(verb=Verb.VARIATIONS, job_id=JobId("0123456789abcdef0123"), n=7)
