"""What follows from each error, in one table: retry, quota, log level, metric label.

What the person sees is the other half and stands in ``bot.sentences``. A test fails if an
error of ``engine.api``, ``bot.jobs`` or ``bot.store`` has no row in both.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bot.jobs import (
    BlockedError,
    ClosingError,
    CrashedError,
    DeliveryError,
    DuplicateEventError,
    InvalidRuleError,
    ModeratedError,
    NotCancellableError,
    OverBurstError,
    OverQuotaError,
    PausedError,
    PlaceRefusedError,
    RefusedError,
    TooManyJobsError,
    UnavailableError,
    UndeliverableError,
    UnknownPictureError,
)
from bot.store import IllegalMoveError, StoreError
from engine.api import (
    CheckpointError,
    DrawingFailedError,
    EngineBusyError,
    EngineClosedError,
    EngineError,
    InvalidRequestError,
    PicturesWithheldError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class Quota(StrEnum):
    """What happens to the pictures that the request would cost."""

    NOT_TAKEN = "not taken"
    """Refused before anything was accepted."""
    KEPT = "kept"
    """The job stays unfinished, and the person is told so: it goes on at the next start."""
    GIVEN_BACK = "given back"
    """The job has failed and the person is told so."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from an error.

    Attributes:
        quota: What happens to the pictures once nothing is retried any more.
        is_retried: Whether the same delivery is tried again first.
        log_level: Of the line that tells of it.
        label: Its name in metrics and logs.
    """

    label: str
    quota: Quota
    log_level: int
    is_retried: bool = False


OUTCOMES: Final[Mapping[type, Outcome]] = {
    RefusedError: Outcome("refused", Quota.NOT_TAKEN, logging.INFO),
    OverQuotaError: Outcome("over_quota", Quota.NOT_TAKEN, logging.INFO),
    OverBurstError: Outcome("over_burst", Quota.NOT_TAKEN, logging.INFO),
    TooManyJobsError: Outcome("too_many_jobs", Quota.NOT_TAKEN, logging.INFO),
    DuplicateEventError: Outcome("duplicate", Quota.NOT_TAKEN, logging.INFO),
    BlockedError: Outcome("blocked", Quota.NOT_TAKEN, logging.INFO),
    PausedError: Outcome("paused", Quota.NOT_TAKEN, logging.INFO),
    PlaceRefusedError: Outcome("place_refused", Quota.NOT_TAKEN, logging.INFO),
    ModeratedError: Outcome("moderated", Quota.NOT_TAKEN, logging.INFO),
    UnknownPictureError: Outcome("unknown_picture", Quota.NOT_TAKEN, logging.INFO),
    InvalidRuleError: Outcome("invalid_rule", Quota.NOT_TAKEN, logging.INFO),
    UnavailableError: Outcome("unavailable", Quota.NOT_TAKEN, logging.ERROR),
    ClosingError: Outcome("closing", Quota.NOT_TAKEN, logging.INFO),
    NotCancellableError: Outcome("not_cancellable", Quota.NOT_TAKEN, logging.INFO),
    CrashedError: Outcome("crashed", Quota.GIVEN_BACK, logging.ERROR),
    EngineError: Outcome("engine", Quota.GIVEN_BACK, logging.ERROR),
    InvalidRequestError: Outcome("invalid_request", Quota.GIVEN_BACK, logging.INFO),
    CheckpointError: Outcome("checkpoint", Quota.GIVEN_BACK, logging.ERROR),
    EngineBusyError: Outcome("engine_busy", Quota.GIVEN_BACK, logging.WARNING),
    # The engine is closed by nobody but us, on the way out: the next start draws the job.
    EngineClosedError: Outcome("engine_closed", Quota.KEPT, logging.INFO),
    DrawingFailedError: Outcome("drawing_failed", Quota.GIVEN_BACK, logging.ERROR),
    PicturesWithheldError: Outcome("withheld", Quota.GIVEN_BACK, logging.WARNING),
    DeliveryError: Outcome("delivery", Quota.GIVEN_BACK, logging.WARNING, is_retried=True),
    UndeliverableError: Outcome("undeliverable", Quota.GIVEN_BACK, logging.WARNING),
    # What the store could not note is not known to it: it decides at the next start.
    StoreError: Outcome("store", Quota.KEPT, logging.ERROR),
    IllegalMoveError: Outcome("illegal_move", Quota.KEPT, logging.ERROR),
    Exception: Outcome("bug", Quota.GIVEN_BACK, logging.ERROR),
}


def outcome_of(error: Exception) -> Outcome:
    """The row of the error, or of its nearest base class."""
    return next(OUTCOMES[kind] for kind in type(error).__mro__ if kind in OUTCOMES)


# A busy engine named a moment that is past when the apology is made after a restart.
_BUSY_AGAIN_S: Final = 60.0


def revived(label: str, reason: str) -> Exception:
    """The error that ended a job, from what the store kept of it: its label and reason.

    Only errors that give the quota back end a job; others, and labels of older versions,
    come back as plain exceptions.
    """
    given_back = (
        kind
        for kind, outcome in OUTCOMES.items()
        if outcome.label == label and outcome.quota is Quota.GIVEN_BACK
    )
    kind = next(given_back, Exception)
    if kind is EngineBusyError:
        return EngineBusyError(_BUSY_AGAIN_S)
    error: Exception = kind(reason.partition(": ")[2])
    return error


def reason_of(error: Exception) -> str:
    """What the store keeps of an error, beside its label."""
    return f"{type(error).__name__}: {error}"
