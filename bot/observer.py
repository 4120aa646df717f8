"""Who hears what becomes of requests, to count it: metrics, and the history of the admin page.

The service calls it on the event loop, so it must return at once and never raise.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from engine.api import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bot.jobs import Job, Platform
    from engine.api import Drawn


class Showing(StrEnum):
    """What became of a picture that was looked at."""

    SHOWN = "shown"
    SPOILER = "spoiler"
    """It comes behind a click."""
    WITHHELD = "withheld"


def showings_of(job: Job, drawn: Drawn) -> Counter[Showing]:
    """Count the pictures of a job by what became of them; soft words cover all of them."""
    is_soft = job.submission.is_soft
    counts = Counter(
        Showing.SPOILER if is_soft or picture.verdict is not Verdict.SAFE else Showing.SHOWN
        for picture in drawn.pictures
    )
    return counts + Counter({Showing.WITHHELD: drawn.withheld_count})


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

    def judged(self, platform: Platform, *, level: str, verdict: str, code: str) -> None:
        """Its words were read at a level; ``code`` is the rule, empty where all is well."""
        ...

    def struck(self, platform: Platform, *, code: str, is_blocked: bool) -> None:
        """Its person got a strike for its words, and perhaps a block thereby."""
        ...

    def looked_at(self, job: Job, showings: Mapping[Showing, int]) -> None:
        """Its pictures were looked at; so many became what."""
        ...

    def reported(self, platform: Platform) -> None:
        """Somebody on that platform finds fault with its pictures."""
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

    def judged(self, platform: Platform, *, level: str, verdict: str, code: str) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.judged(platform, level=level, verdict=verdict, code=code)

    def struck(self, platform: Platform, *, code: str, is_blocked: bool) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.struck(platform, code=code, is_blocked=is_blocked)

    def looked_at(self, job: Job, showings: Mapping[Showing, int]) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.looked_at(job, showings)

    def reported(self, platform: Platform) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.reported(platform)
