"""What happened in each minute of the last day: the charts of the admin page.

A ring in memory, written to a small file now and then, so that a restart leaves a gap and
not a blank. Prometheus keeps more for longer; this is for those who have none.

Times are kept as counts in steps of a tenth: step ``k`` holds what took between 1.1**k and
1.1**(k+1) seconds. So minutes can be added up, and a percentile of any span is exact to
five percent however many requests there were.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from bot.clock import Clock
    from bot.jobs import Job, Platform
    from bot.observer import Showing
    from bot.vitals import Vitals
    from engine.api import Drawn

KEPT_COUNT: Final = 24 * 60
MINUTE_S: Final = 60
_STEP: Final = 1.1
_SHORTEST_S: Final = 0.001

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Minute:
    """What happened in a minute, or in several that were added up.

    Attributes:
        number: Minutes from 1970 (UTC) to its beginning.
        refused: Requests by the label of the error.
        failed: The same.
        judged: Prompts by level, verdict and code of the rule: ``"strict/refuse/nudity"``.
        looked_at: Pictures by platform and what became of them: ``"discord/withheld"``.
        duration_steps: Delivered requests by what they took; see the module.
        waiting_count: Pictures to come at its last look.
        busy_slot_count: Slots in use at its last look.
        restart_count: Restarts of the engine since the bot began, at its last look.
    """

    number: int
    accepted_count: int = 0
    delivered_count: int = 0
    picture_count: int = 0
    cancelled_count: int = 0
    refused: Counter[str] = field(default_factory=Counter[str])
    failed: Counter[str] = field(default_factory=Counter[str])
    judged: Counter[str] = field(default_factory=Counter[str])
    looked_at: Counter[str] = field(default_factory=Counter[str])
    strike_count: int = 0
    strike_block_count: int = 0
    report_count: int = 0
    duration_steps: Counter[int] = field(default_factory=Counter[int])
    waiting_count: int = 0
    busy_slot_count: int = 0
    restart_count: int = 0

    def percentile_s(self, share: float) -> float | None:
        """Seconds within which that share of the requests was delivered; ``None`` without any."""
        rank = math.ceil(share * self.duration_steps.total())
        for step in sorted(self.duration_steps):
            rank -= self.duration_steps[step]
            if rank <= 0:
                return _STEP ** (step + 0.5)
        return None


class Minutes:
    """The minutes of the last day. An ``Observer`` of the service."""

    def __init__(self, clock: Clock, kept: Iterable[Minute] = ()) -> None:
        self._clock = clock
        self._ring: deque[Minute] = deque(kept, maxlen=KEPT_COUNT)

    def __repr__(self) -> str:
        return f"<Minutes {len(self._ring)} kept>"

    def look(self, vitals: Vitals) -> None:
        """Note how things are in the present minute."""
        minute = self._now()
        if vitals.loads is not None:
            minute.waiting_count = sum(load.picture_count for load in vitals.loads)
        if vitals.engine is not None:
            minute.busy_slot_count = vitals.engine.busy_slot_count
            minute.restart_count = vitals.engine.restart_count

    def last(self, count: int, *, in_each: int = 1) -> list[Minute]:
        """The last ``count`` spans of ``in_each`` minutes, oldest first, the present one last.

        Spans in which nothing was noted are there too, and empty.
        """
        end = _number(self._clock()) + 1
        begin = end - count * in_each
        spans = [Minute(number=begin + index * in_each) for index in range(count)]
        for minute in self._ring:
            if begin <= minute.number < end:
                _add(spans[(minute.number - begin) // in_each], minute)
        return spans

    def accepted(self, job: Job) -> None:
        """See ``Observer``."""
        del job
        self._now().accepted_count += 1

    def refused(self, platform: Platform, label: str) -> None:
        """See ``Observer``."""
        del platform
        self._now().refused[label] += 1

    def delivered(self, job: Job, drawn: Drawn, *, picture_count: int, duration_s: float) -> None:
        """See ``Observer``."""
        del job, drawn
        minute = self._now()
        minute.delivered_count += 1
        minute.picture_count += picture_count
        minute.duration_steps[_step(duration_s)] += 1

    def failed(self, job: Job, label: str) -> None:
        """See ``Observer``."""
        del job
        self._now().failed[label] += 1

    def cancelled(self, job: Job) -> None:
        """See ``Observer``."""
        del job
        self._now().cancelled_count += 1

    def judged(self, platform: Platform, *, level: str, verdict: str, code: str) -> None:
        """See ``Observer``."""
        del platform
        self._now().judged[f"{level}/{verdict}/{code}"] += 1

    def struck(self, platform: Platform, *, code: str, is_blocked: bool) -> None:
        """See ``Observer``."""
        del platform, code
        self._now().strike_count += 1
        self._now().strike_block_count += is_blocked

    def looked_at(self, job: Job, showings: Mapping[Showing, int]) -> None:
        """See ``Observer``."""
        platform = job.submission.person.platform
        for showing, count in showings.items():
            self._now().looked_at[f"{platform}/{showing}"] += count

    def reported(self, platform: Platform) -> None:
        """See ``Observer``."""
        del platform
        self._now().report_count += 1

    def save(self, path: Path) -> None:
        """Write all of them to a file, whole or not at all.

        Raises:
            OSError: It cannot be written.
        """
        whole = path.with_suffix(".tmp")
        whole.write_text(json.dumps([_to_json(minute) for minute in self._ring]), "utf-8")
        os.replace(whole, path)  # noqa: PTH105 # the atomic one, by its own name

    def _now(self) -> Minute:
        number = _number(self._clock())
        if not self._ring or self._ring[-1].number < number:
            self._ring.append(Minute(number=number))
        return self._ring[-1]  # a clock that was set back goes on in the newest minute


def total(minutes: Sequence[Minute]) -> Minute:
    """All of them added up."""
    whole = Minute(number=minutes[0].number)
    for minute in minutes:
        _add(whole, minute)
    return whole


def read_minutes(path: Path) -> list[Minute]:
    """What ``Minutes.save`` wrote; nothing if it cannot be read: it is only for charts."""
    try:
        kept = cast("list[dict[str, Any]]", json.loads(path.read_text("utf-8")))
        return [_of_json(minute) for minute in kept][-KEPT_COUNT:]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        _log.warning("history of the admin page not read error=%s", type(error).__name__)
        return []


def _add(whole: Minute, minute: Minute) -> None:
    for name in _SUMMED:
        setattr(whole, name, getattr(whole, name) + getattr(minute, name))
    for name in _HIGHEST:
        setattr(whole, name, max(getattr(whole, name), getattr(minute, name)))


def _step(duration_s: float) -> int:
    return math.floor(math.log(max(duration_s, _SHORTEST_S), _STEP))


def _number(moment: datetime) -> int:
    return int(moment.timestamp()) // MINUTE_S


_HIGHEST: Final = ("waiting_count", "busy_slot_count", "restart_count")
_EVENTS: Final = (
    *("accepted_count", "delivered_count", "picture_count", "cancelled_count"),
    *("strike_count", "strike_block_count", "report_count"),
)
_BY_LABEL: Final = ("refused", "failed", "judged", "looked_at")
_SUMMED: Final = (*_EVENTS, *_BY_LABEL, "duration_steps")


def _to_json(minute: Minute) -> dict[str, Any]:
    plain = {name: getattr(minute, name) for name in ("number", *_EVENTS, *_HIGHEST, *_BY_LABEL)}
    steps = {str(step): count for step, count in minute.duration_steps.items()}
    return {**plain, "duration_steps": steps}


def _of_json(kept: dict[str, Any]) -> Minute:
    """The minute of a file, which may be of a version that counted less."""
    steps = cast("dict[str, int]", kept["duration_steps"])
    counts: dict[str, Any] = {name: int(kept.get(name, 0)) for name in (*_EVENTS, *_HIGHEST)}
    by_label: dict[str, Any] = {name: Counter(kept.get(name, {})) for name in _BY_LABEL}
    return Minute(
        number=int(kept["number"]),
        duration_steps=Counter({int(step): count for step, count in steps.items()}),
        **counts,
        **by_label,
    )
