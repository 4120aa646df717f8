"""What an answer of X means: a status and some words become one of the four errors.

Which end of a call means what::

    data.id in a 2xx answer                       done
    status 4xx, from tweepy or from aiohttp       not done
    no connection                                 not done
    anything else                                 not known

Of a 403 only the words tell which kind it is. "Duplicate content" is a strong hint that an
earlier attempt is out, so it counts as not known: the own posts are looked at.

Source: X API docs "Response codes and errors"; the texts as reported by users.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bot.x.api import (
    CredentialsError,
    DeclinedError,
    DeclineReason,
    PausedError,
    UnknownOutcomeError,
    XApiError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORT_PAUSE = timedelta(seconds=30)
LONG_PAUSE = timedelta(minutes=15)
LOCKED_PAUSE = timedelta(hours=1)
UNTOLD_PAUSE = timedelta(seconds=60)
LEAST_PAUSE = timedelta(seconds=5)

# Each kind in the words of today's API and of the older one, whose numbers stand beside it.
_DUPLICATE = ("duplicate content", "status is a duplicate")  # 187
_ACCOUNT_LIMIT = ("daily limit", "over daily status update limit", "over the limit")  # 185
_ACCOUNT_BROKEN = (
    "suspended",  # 63, 64
    "temporarily locked",  # 326
    "cannot perform write actions",  # 261
    "oauth1 app permissions",
    "automated",
)
_NOT_PERMITTED = ("not permitted to perform this action",)
_DECLINES = (
    ("not been mentioned", DeclineReason.NOT_SUMMONED),
    ("only reply to or quote posts where you are mentioned", DeclineReason.NOT_SUMMONED),
    ("deleted or not visible", DeclineReason.GONE),  # 385
    ("no status found", DeclineReason.GONE),  # 144
    ("restricted who can reply", DeclineReason.RESTRICTED),  # 433
    ("blocked", DeclineReason.BLOCKED),  # 136
    ("not authorized to see this status", DeclineReason.BLOCKED),  # 179, a protected author
    ("newer version", DeclineReason.EDITED),
    *((words, DeclineReason.NOT_PERMITTED) for words in _NOT_PERMITTED),
)
_BAD_REQUEST = 400
_NOT_FOUND = 404
_SERVER_ERROR = 500

# The pause after a 429 ends when each exhausted window has reopened. The main window is
# told on every answer; the 24-hour windows only on some plans.
_RESET_HEADERS = (
    ("x-rate-limit-reset", None),
    ("x-user-limit-24hour-reset", "x-user-limit-24hour-remaining"),
    ("x-app-limit-24hour-reset", "x-app-limit-24hour-remaining"),
)


def refusal(
    status: int, why: str, headers: Mapping[str, str], *, creates: bool, now: datetime
) -> XApiError:
    """Say what an answer with a status other than 2xx means.

    Args:
        status: The HTTP status.
        why: X's own words.
        headers: Of the answer; they tell when a rate limit is over.
        creates: The call would have posted something.
        now: The present.
    """
    if not _BAD_REQUEST <= status < _SERVER_ERROR:
        return doubt(f"status {status}", creates=creates, now=now)
    match status:
        case 401:
            return CredentialsError(why, retry_at=now + LONG_PAUSE, is_growing=True)
        case 402:
            return PausedError(
                "no credit is left", retry_at=now + LONG_PAUSE, is_for_all=True, is_growing=True
            )
        case 403:
            return _forbidden(why, now)
        case 429:
            return PausedError("rate limit", retry_at=_reset_at(headers, now))
        case _:
            reason = DeclineReason.GONE if status == _NOT_FOUND else DeclineReason.OTHER
            return DeclinedError(f"status {status}: {why}", reason=reason)


def doubt(why: str, *, creates: bool, now: datetime) -> XApiError:
    """Say what the lack of a clear answer means."""
    return UnknownOutcomeError(why) if creates else PausedError(why, retry_at=now + SHORT_PAUSE)


def _forbidden(why: str, now: datetime) -> XApiError:
    folded = why.casefold()
    if _holds(folded, _DUPLICATE):
        return UnknownOutcomeError(why)
    if _holds(folded, _ACCOUNT_LIMIT):
        return PausedError(why, retry_at=now + LONG_PAUSE, is_growing=True)
    if _holds(folded, _ACCOUNT_BROKEN):
        return CredentialsError(why, retry_at=now + LOCKED_PAUSE)
    reasons = (reason for needle, reason in _DECLINES if needle in folded)
    return DeclinedError(why, reason=next(reasons, DeclineReason.OTHER))


def _reset_at(headers: Mapping[str, str], now: datetime) -> datetime:
    """Say when a rate limit is over, never sooner than a few seconds from ``now``."""
    resets = [
        datetime.fromtimestamp(int(headers[reset]), UTC)
        for reset, remaining in _RESET_HEADERS
        if headers.get(reset, "").isdigit() and (remaining is None or headers.get(remaining) == "0")
    ]
    return max([*resets, now + LEAST_PAUSE]) if resets else now + UNTOLD_PAUSE


def _holds(text: str, needles: tuple[str, ...]) -> bool:
    return any(needle in text for needle in needles)
