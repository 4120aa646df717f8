from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta

import pytest

import bot.jobs
import engine.api
from bot.jobs import (
    ClosingError,
    OverBurstError,
    OverQuotaError,
    Scope,
    TooManyJobsError,
    UndeliverableError,
)
from bot.sentences import EXPLANATIONS, explain, in_words, pictures, terminal_progress
from engine.api import Drawing, EngineBusyError, InvalidRequestError, Queued

NOW = datetime(2026, 6, 9, 20, 48, tzinfo=UTC)
MIDNIGHT = datetime(2026, 6, 10, tzinfo=UTC)


@pytest.mark.parametrize("module", [engine.api, bot.jobs], ids=["engine.api", "bot.jobs"])
def test_every_error_of_a_border_has_a_row(module: object) -> None:
    errors = {
        value
        for _, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, Exception)
    }

    assert errors - EXPLANATIONS.keys() == set()


def test_a_used_up_allowance_says_when_it_reopens() -> None:
    error = OverQuotaError(allowance_count=27, left_count=0, reopens_at=MIDNIGHT)

    assert explain(error, NOW) == (
        "Today's allowance of 27 pictures is used up. It reopens at 00:00 UTC, in 3 h 12 min."
    )


def test_an_allowance_that_is_too_small_says_what_would_fit() -> None:
    error = OverQuotaError(allowance_count=27, left_count=1, reopens_at=MIDNIGHT)

    assert explain(error, NOW) == (
        "You have 1 picture left today, out of 27. Ask for at most 1, "
        "or come back when your allowance reopens at 00:00 UTC, in 3 h 12 min."
    )


def test_a_platform_renders_moments_in_its_own_way() -> None:
    error = OverQuotaError(allowance_count=9, left_count=0, reopens_at=MIDNIGHT)

    sentence = explain(error, NOW, when=lambda moment: f"<t:{moment.timestamp():.0f}:R>")

    assert sentence == ("Today's allowance of 9 pictures is used up. It reopens <t:1781049600:R>.")


def test_a_busy_engine_says_when_to_try_again() -> None:
    assert explain(EngineBusyError(90.0), NOW) == (
        "Too many pictures are waiting to be drawn just now. Try again at 20:49 UTC, in 2 min. "
        "Nothing was taken from your allowance."
    )


def test_an_invalid_request_speaks_for_itself() -> None:
    assert explain(InvalidRequestError("The prompt is empty."), NOW) == "The prompt is empty."


def test_a_closing_bot_says_when_to_come_back() -> None:
    assert explain(ClosingError(), NOW) == (
        "The bot is restarting and takes no requests just now. Try again in a minute."
    )


def test_an_error_without_a_row_gets_the_row_of_its_base() -> None:
    class ChannelGoneError(UndeliverableError):
        pass

    assert explain(ChannelGoneError(), NOW) == explain(UndeliverableError(), NOW)


def test_a_foreign_error_shows_nothing_of_itself() -> None:
    assert explain(KeyError("secret"), NOW) == (
        "Something went wrong on the bot's side. Please try again later; "
        "its admin finds the reason in the log."
    )


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        (timedelta(seconds=1), "at 20:48 UTC, in 1 min"),
        (timedelta(minutes=59, seconds=1), "at 21:47 UTC, in 1 h"),
        (timedelta(hours=2), "at 22:48 UTC, in 2 h"),
        (timedelta(hours=2, minutes=1), "at 22:49 UTC, in 2 h 1 min"),
        (timedelta(0), "at 20:48 UTC, in 1 min"),
    ],
)
def test_a_coming_moment_is_rendered_in_words(ahead: timedelta, expected: str) -> None:
    assert in_words(NOW + ahead, NOW) == expected


def test_pictures_are_counted() -> None:
    assert [pictures(1), pictures(9), pictures(1000)] == [
        "1 picture",
        "9 pictures",
        "1,000 pictures",
    ]


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (Queued(pictures_ahead=0), "waiting"),
        (Queued(pictures_ahead=1, eta_s=300.0), "waiting for 1 picture, 5 min left"),
        (Queued(pictures_ahead=9, eta_s=99.1), "waiting for 9 pictures, 2 min left"),
        (Drawing(fraction=0.5), "drawing"),
        (Drawing(fraction=0.5, eta_s=11.2), "drawing, 12 s left"),
        (Drawing(fraction=1.0, eta_s=0.0), "drawing, 1 s left"),
    ],
    ids=repr,
)
def test_the_terminal_says_what_goes_on_and_when_it_ends(
    event: Queued | Drawing, sentence: str
) -> None:
    assert terminal_progress(event) == sentence


def test_a_used_up_allowance_of_a_community_and_of_the_bot_says_whose_it_is() -> None:
    of_community = OverQuotaError(
        allowance_count=500, left_count=0, reopens_at=MIDNIGHT, scope=Scope.COMMUNITY
    )
    of_bot = OverQuotaError(
        allowance_count=9_000, left_count=4, reopens_at=MIDNIGHT, scope=Scope.BOT
    )

    assert explain(of_community, NOW) == (
        "Today's allowance of 500 pictures for everybody here is used up. "
        "It reopens at 00:00 UTC, in 3 h 12 min."
    )
    assert explain(of_bot, NOW) == (
        "All people of this bot together have 4 pictures left today, out of 9,000. "
        "Ask for at most 4, or come back when that allowance reopens at 00:00 UTC, in 3 h 12 min."
    )


def test_too_many_pictures_in_a_short_time_says_how_many_fit_and_when_all_do() -> None:
    soon = NOW + timedelta(seconds=90)
    some = OverBurstError(allowance_count=45, left_count=3, reopens_at=soon)
    none = OverBurstError(allowance_count=45, left_count=0, reopens_at=soon, scope=Scope.COMMUNITY)

    assert explain(some, NOW) == (
        "You have asked for many pictures in a short time. "
        "Ask for at most 3 now, or try again at 20:49 UTC, in 2 min."
    )
    assert explain(none, NOW, when=lambda moment: f"<t:{moment.timestamp():.0f}:R>") == (
        "People here have asked for many pictures in a short time. "
        "Try again <t:1781038170:R>. Nothing was taken from your allowance."
    )


@pytest.mark.parametrize(
    ("scope", "count", "sentence"),
    [
        (Scope.PERSON, 1, "1 request is waiting or being drawn for you"),
        (Scope.COMMUNITY, 1_000, "1,000 requests are waiting or being drawn for people here"),
        (Scope.BOT, 100_000, "100,000 requests are waiting or being drawn at this bot"),
    ],
)
def test_too_many_jobs_says_whose_and_what_to_wait_for(
    scope: Scope, count: int, sentence: str
) -> None:
    error = TooManyJobsError(allowance_count=count, left_count=0, reopens_at=None, scope=scope)

    assert explain(error, NOW) == (
        f"{sentence}, and more are not allowed at once. Try again when one is done. "
        "Nothing was taken from your allowance."
    )
