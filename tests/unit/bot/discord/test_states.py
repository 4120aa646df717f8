from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bot.discord.address import Address
from bot.discord.buttons.ids import Verb
from bot.discord.states import composed, farewell_of, state_of
from bot.discord.words import words_of
from bot.jobs import JobId
from engine.api import Drawing, Preview, Queued

if TYPE_CHECKING:
    from bot.jobs import Progress

NOW = datetime(2026, 6, 9, 12, 0, tzinfo=UTC)
JOB = JobId("0123456789abcdef0123")
ENGLISH = words_of("en-GB")
ADDRESS = Address(
    application_id=9,
    token="token",
    expires_at=NOW + timedelta(minutes=15),
    channel_id=7,
    user_id=42,
    may_post=True,
    filesize_limit_bytes=1,
)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Queued(pictures_ahead=0), "Next in line…"),
        (Queued(pictures_ahead=1), "Waiting: 1 picture ahead of yours…"),
        (
            Queued(pictures_ahead=1_200, eta_s=600.0),
            "Waiting: 1,200 pictures ahead of yours… Ready <t:1781007000:R>.",
        ),
        (Drawing(fraction=0.0, eta_s=1.0), "Drawing… 0 %"),
        (Drawing(fraction=0.256, eta_s=20.0), "Drawing… 26 % Ready <t:1781006420:R>."),
        (Preview(fraction=0.5, picture=b"half"), "Drawing… 50 %"),
    ],
    ids=repr,
)
def test_a_message_says_how_far_a_job_is_and_when_it_will_be_done(
    event: Progress, text: str
) -> None:
    state = state_of(JOB, event, ENGLISH, now=NOW, before=None)

    assert state.text == text
    assert state.press.verb is Verb.CANCEL


def test_a_first_look_stays_until_there_is_a_newer_one() -> None:
    before = None
    looks: list[bytes | None] = []
    for event in (
        Drawing(fraction=0.1),
        Preview(fraction=0.2, picture=b"first"),
        Drawing(fraction=0.3),
        Preview(fraction=0.4, picture=b"second"),
    ):
        before = state_of(JOB, event, ENGLISH, now=NOW, before=before)
        looks.append(before.preview)

    assert looks == [None, b"first", b"first", b"second"]


def test_a_first_look_is_sent_with_the_text() -> None:
    event = Preview(fraction=0.2, picture=b"look")
    state = state_of(JOB, event, ENGLISH, now=NOW, before=None)

    _, (file,) = composed(state, ENGLISH)

    assert (file.filename, file.fp.read()) == ("preview.webp", b"look")


def test_where_the_bot_may_post_it_says_that_it_will() -> None:
    state = farewell_of(JOB, ADDRESS, ENGLISH)

    assert state.text == (
        "This takes longer than Discord lets me change this message. Your pictures will come "
        "as a new message."
    )
    assert state.press.verb is Verb.CANCEL


def test_where_the_bot_may_not_post_a_button_will_show_the_pictures() -> None:
    state = farewell_of(JOB, replace(ADDRESS, may_post=False), ENGLISH)

    assert state.text == (
        "This takes longer than Discord lets me change this message. Press the button in a "
        "while to see your pictures; they will be in /history, too."
    )
    assert state.press.verb is Verb.FETCH
