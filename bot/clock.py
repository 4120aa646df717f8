"""The present, passed in wherever it is needed so that tests can move it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock of the running process: aware, UTC."""
    return datetime.now(UTC)
