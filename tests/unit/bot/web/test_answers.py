from __future__ import annotations

import inspect

import pytest

from bot import jobs
from bot.jobs import ModeratedError, OverBurstError, OverQuotaError, RefusedError
from bot.web.answers import status_of
from engine import api
from engine.api import EngineBusyError, InvalidRequestError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OverQuotaError(allowance_count=1, left_count=0, reopens_at=None), 429),
        (OverBurstError(allowance_count=1, left_count=0, reopens_at=None), 429),
        (ModeratedError("gore"), 422),
        (InvalidRequestError("no"), 400),
        (EngineBusyError(3.0), 503),
        (RuntimeError("no"), 500),
    ],
)
def test_the_status_says_what_kind_of_error_it_is(error: Exception, status: int) -> None:
    assert status_of(error) == status


def test_no_refusal_and_no_error_of_the_engine_is_told_as_a_mistake_of_ours() -> None:
    families = (RefusedError, api.EngineError)
    kinds = [
        kind
        for module in (jobs, api)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, families)
    ]

    told = {kind: status_of(kind.__new__(kind)) for kind in kinds}

    assert 500 not in told.values(), told
