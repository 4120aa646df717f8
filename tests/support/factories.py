"""Plain data for tests: say what matters, the rest is filled in."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from bot.jobs import Job, JobId, JobState, Person, Platform, Submission
from engine.api import DrawRequest, SamplingOptions
from tests.support.clock import NOON

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bot.jobs import Json

_event_numbers = count(1)


def person(name: str = "ada", platform: Platform = Platform.DISCORD) -> Person:
    return Person(platform=platform, id=name)


def submission(
    *,
    by: Person | None = None,
    event_id: str | None = None,
    prompt: str = "an avocado armchair",
    picture_count: int = 3,
    seed: int | None = 7,
    options: SamplingOptions | None = None,
    address: Mapping[str, Json] | None = None,
    keep: tuple[int, ...] = (),
    preview: bool = False,
    community: str | None = None,
    tiers: frozenset[str] = frozenset(),
    channel: str | None = None,
    origin: JobId | None = None,
    is_soft: bool = False,
    strict: bool = False,
) -> Submission:
    """A submission of an event of its own, unless ``event_id`` says which."""
    return Submission(
        person=by or person(),
        event_id=event_id or f"event-{next(_event_numbers)}",
        request=DrawRequest(
            prompt=prompt,
            picture_count=picture_count,
            seed=seed,
            options=options or SamplingOptions(),
            keep=keep,
            preview=preview,
            strict=strict,
        ),
        address=address or {},
        community=community,
        tiers=tiers,
        channel=channel,
        origin=origin,
        is_soft=is_soft,
    )


def database_url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'imagine.db'}"


def a_job(of: Submission | None = None, *, id_: str = "6797e0ba7320d3f59207") -> Job:
    """A job that was accepted at noon."""
    return Job(
        id=JobId(id_),
        submission=of or submission(),
        state=JobState.ACCEPTED,
        attempt_count=0,
        accepted_at=NOON,
    )
