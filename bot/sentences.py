"""Every sentence that a person can see, in one place.

Each adapter's own sentences stand in a section of their own at the end of the file; what
they share is at the top. No logic beyond choosing and filling in words.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from bot.jobs import (
    ClosingError,
    DeliveryError,
    DuplicateEventError,
    OverQuotaError,
    RefusedError,
    UndeliverableError,
)
from engine.api import (
    CheckpointError,
    DrawingFailedError,
    EngineBusyError,
    EngineClosedError,
    EngineError,
    InvalidRequestError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    When = Callable[[datetime], str]
    Explanation = str | Callable[[Exception, datetime, When], str]

# ---------------------------------------------------------------- refusals and failures


def explain(error: Exception, now: datetime, *, when: When | None = None) -> str:
    """Say in a sentence or two what went wrong and what to do about it.

    Args:
        error: What ``submit``, the engine or a delivery raised. An error without a row in
            ``EXPLANATIONS`` gets the row of its nearest base class.
        now: The present, aware.
        when: Renders a later moment the way the platform does; by default
            "at 00:00 UTC, in 3 h 12 min".
    """
    row = next(EXPLANATIONS[kind] for kind in type(error).__mro__ if kind in EXPLANATIONS)
    if isinstance(row, str):
        return row
    return row(error, now, when or (lambda moment: in_words(moment, now)))


def in_words(moment: datetime, now: datetime) -> str:
    """Render a coming moment: "at 00:00 UTC, in 3 h 12 min". Minutes are rounded up."""
    minutes = max(1, -((now - moment) // timedelta(minutes=1)))
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] if hours else []
    parts += [f"{minutes} min"] if minutes or not hours else []
    return f"at {moment:%H:%M} UTC, in {' '.join(parts)}"


def pictures(count: int) -> str:
    """Count pictures: "1 picture", "9 pictures"."""
    return f"{count:,} picture" if count == 1 else f"{count:,} pictures"


def _over_quota(error: Exception, _now: datetime, when: When) -> str:
    refusal = cast("OverQuotaError", error)
    reopens = when(refusal.reopens_at)
    if refusal.left_count == 0:
        allowance = pictures(refusal.allowance_count)
        return f"Today's allowance of {allowance} is used up. It reopens {reopens}."
    left = pictures(refusal.left_count)
    return (
        f"You have {left} left today, out of {refusal.allowance_count:,}. Ask for at most "
        f"{refusal.left_count:,}, or come back when your allowance reopens {reopens}."
    )


def _engine_busy(error: Exception, now: datetime, when: When) -> str:
    again = now + timedelta(seconds=cast("EngineBusyError", error).retry_after_s)
    return (
        "Too many pictures are waiting to be drawn just now. "
        f"Try again {when(again)}. {NOTHING_TAKEN}"
    )


def _in_its_own_words(error: Exception, _now: datetime, _when: When) -> str:
    return str(error)


NOTHING_TAKEN: Final = "Nothing was taken from your allowance."

# One row per error class; a test fails if an error of engine.api or bot.jobs has none.
EXPLANATIONS: Final[Mapping[type, Explanation]] = {
    RefusedError: f"This request cannot be accepted. {NOTHING_TAKEN}",
    OverQuotaError: _over_quota,
    DuplicateEventError: "This request was accepted before; it is answered only once.",
    ClosingError: "The bot is restarting and takes no requests just now. Try again in a minute.",
    EngineError: f"The pictures could not be drawn. Please try again. {NOTHING_TAKEN}",
    InvalidRequestError: _in_its_own_words,
    CheckpointError: (
        "The bot cannot draw at the moment because its model is not usable. "
        f"Its admin finds the reason in the log. {NOTHING_TAKEN}"
    ),
    EngineBusyError: _engine_busy,
    EngineClosedError: (
        "The bot was stopped before the pictures were done. It carries on when it is back."
    ),
    DrawingFailedError: f"The pictures could not be drawn. Please try again. {NOTHING_TAKEN}",
    DeliveryError: (
        "The pictures were drawn but could not be sent here. "
        f"Please try again later. {NOTHING_TAKEN}"
    ),
    UndeliverableError: (
        "The pictures were drawn but may not or can no longer be sent here. "
        f"Ask again where the bot is allowed to post pictures. {NOTHING_TAKEN}"
    ),
    Exception: (
        "Something went wrong on the bot's side. Please try again later; "
        "its admin finds the reason in the log."
    ),
}

# -------------------------------------------------------------------------- the Discord bot

# ------------------------------------------------------------------------------- the X bot

# ------------------------------------------------------------------------ the local web page

# ----------------------------------------------------------------------------- the terminal
