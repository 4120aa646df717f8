from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

import bot.jobs
import bot.store
import engine.api
from bot.jobs import CrashedError, UndeliverableError
from bot.outcomes import OUTCOMES, Quota, outcome_of, reason_of, revived
from bot.sentences import explain
from engine.api import DrawingFailedError, InvalidRequestError
from tests.support.clock import NOON

if TYPE_CHECKING:
    from types import ModuleType


@pytest.mark.parametrize("module", [engine.api, bot.jobs, bot.store], ids=lambda m: m.__name__)
def test_every_error_of_a_border_has_a_row(module: ModuleType) -> None:
    classes = {value for _, value in inspect.getmembers(module, inspect.isclass)}
    errors = {value for value in classes if issubclass(value, Exception)}

    assert errors - OUTCOMES.keys() == set()


def test_every_label_is_of_one_error() -> None:
    labels = [outcome.label for outcome in OUTCOMES.values()]

    assert sorted(labels) == sorted(set(labels))


def test_an_error_without_a_row_gets_the_row_of_its_base() -> None:
    class ChannelGoneError(UndeliverableError):
        pass

    assert outcome_of(ChannelGoneError()).label == "undeliverable"
    assert outcome_of(ZeroDivisionError()).label == "bug"


@pytest.mark.parametrize(
    "error",
    [
        DrawingFailedError("It broke: twice."),
        InvalidRequestError("The prompt is empty: say what to draw."),
        UndeliverableError("channel gone"),
        CrashedError("The bot died 2 times."),
        KeyError("a bug"),
    ],
)
def test_an_error_is_explained_after_a_restart_as_before(error: Exception) -> None:
    again = revived(outcome_of(error).label, reason_of(error))

    assert outcome_of(again) == outcome_of(error)
    assert explain(again, NOON) == explain(error, NOON)


def test_every_error_that_ends_a_job_can_come_back() -> None:
    for kind, outcome in OUTCOMES.items():
        if outcome.quota is Quota.GIVEN_BACK:
            assert type(revived(outcome.label, "Kind: text")) is kind


def test_what_an_older_version_noted_comes_back_as_a_plain_error() -> None:
    assert type(revived("", "nobody waits for it")) is Exception
    assert type(revived("over_quota", "OverQuotaError: no")) is Exception
