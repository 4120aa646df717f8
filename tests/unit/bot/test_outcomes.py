from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

import bot.jobs
import bot.store
import engine.api
from bot.jobs import UndeliverableError
from bot.outcomes import OUTCOMES, outcome_of

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
