"""Who hears what becomes of requests, to count it: metrics, and the history of the admin page.

The service calls it on the event loop, so it must return at once and never raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.jobs import Job, Platform
    from engine.api import Drawn


class Observer(Protocol):
    """Hears of each request once at each of its turns. Labels are those of ``bot.outcomes``."""

    def accepted(self, job: Job) -> None:
        """It was stored; its pictures are to come."""
        ...

    def refused(self, platform: Platform, label: str) -> None:
        """It was not accepted."""
        ...

    def delivered(self, job: Job, drawn: Drawn, *, picture_count: int, duration_s: float) -> None:
        """Its pictures have arrived, so many of them, so long after it was accepted."""
        ...

    def failed(self, job: Job, label: str) -> None:
        """An error ended it, or left it to the next start."""
        ...

    def cancelled(self, job: Job) -> None:
        """It was given up while it waited or was drawn."""
        ...


class Observers:
    """Several observers as one; with none of them, nobody hears anything."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = tuple(observers)

    def __repr__(self) -> str:
        return f"<Observers {len(self._observers)}>"

    def accepted(self, job: Job) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.accepted(job)

    def refused(self, platform: Platform, label: str) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.refused(platform, label)

    def delivered(self, job: Job, drawn: Drawn, *, picture_count: int, duration_s: float) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.delivered(job, drawn, picture_count=picture_count, duration_s=duration_s)

    def failed(self, job: Job, label: str) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.failed(job, label)

    def cancelled(self, job: Job) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.cancelled(job)
