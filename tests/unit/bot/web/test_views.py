from __future__ import annotations

import pytest

from bot.jobs import Job, JobId, JobState
from bot.web import views
from engine.api import Drawing, Queued
from tests.support.clock import NOON
from tests.support.factories import submission


@pytest.fixture
def job() -> Job:
    return Job(
        id=JobId("j1"),
        submission=submission(prompt="a cat", picture_count=3),
        state=JobState.DRAWING,
        attempt_count=0,
        accepted_at=NOON,
    )


def test_a_job_that_waits_says_where_and_how_long(job: Job) -> None:
    assert views.in_progress(job, Queued(pictures_ahead=4, eta_s=12.345)) == {
        "job_id": "j1",
        "prompt": "a cat",
        "picture_count": 3,
        "state": "queued",
        "pictures_ahead": 4,
        "eta_s": 12.3,
    }


def test_a_job_that_is_drawn_says_how_far_and_how_long(job: Job) -> None:
    view = views.in_progress(job, Drawing(fraction=0.25, eta_s=3.0))

    assert (view["state"], view["percent"], view["eta_s"]) == ("drawing", 25, 3.0)


def test_a_time_that_is_not_known_is_null(job: Job) -> None:
    events = [Queued(pictures_ahead=0), Drawing(fraction=0.0)]

    times = [views.in_progress(job, event)["eta_s"] for event in events]

    assert [*times, views.accepted(job)["eta_s"]] == [None, None, None]
