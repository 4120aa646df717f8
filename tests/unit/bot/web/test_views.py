from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from bot.jobs import Job, JobId, JobState
from bot.store.history import KeptPicture, Past
from bot.web import views
from engine.api import Drawing, Queued, Verdict
from tests.support.clock import NOON
from tests.support.factories import submission
from tests.support.scripted_engine import drawn as scripted

OPEN = {"is_covered": False}


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
        "seed": 7,
        "options": {
            "temperature": None,
            "top_k": None,
            "top_p": None,
            "condition_scale": None,
        },
        "accepted_at": "2026-06-09T12:00:00+00:00",
        "origin": None,
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


def test_of_a_job_whose_files_are_gone_the_store_knows_the_pictures(job: Job) -> None:
    delivered = replace(job, state=JobState.DELIVERED)
    kept = (KeptPicture(rank=1, index=2, score=17.25), KeptPicture(rank=2, index=0, score=3.0))

    view = views.past(Past(job=delivered, finished_at=NOON, pictures=kept))

    assert (view["state"], view["seed"], view["model"], view["timings"]) == ("done", 7, None, None)
    assert view["grid"] == "/pictures/j1/grid.png"
    assert view["pictures"] == [
        {"url": "/pictures/j1/01.png", "rank": 1, "score": 17.25, "index": 2, **OPEN},
        {"url": "/pictures/j1/02.png", "rank": 2, "score": 3.0, "index": 0, **OPEN},
    ]


def test_borderline_pictures_are_covered_and_withheld_ones_counted(job: Job) -> None:
    safe, borderline, *_ = scripted(job.submission.request).pictures
    borderline = replace(borderline, verdict=Verdict.BORDERLINE)
    drawn = replace(scripted(job.submission.request), pictures=(safe, borderline), withheld_count=1)
    kept = tuple(
        KeptPicture(rank=rank, index=p.index, score=p.score, verdict=p.verdict)
        for rank, p in enumerate(drawn.pictures, start=1)
    )
    delivered = replace(job, state=JobState.DELIVERED)

    new = views.done(job, drawn)
    old = views.past(Past(job=delivered, finished_at=NOON, pictures=kept))

    assert new["pictures"] == old["pictures"]
    assert new["withheld_count"] == old["withheld_count"] == 1
    pictures = cast("list[dict[str, object]]", new["pictures"])
    assert [picture["is_covered"] for picture in pictures] == [False, True]


@pytest.mark.parametrize(
    ("state", "shown", "sentence"),
    [
        (JobState.ACCEPTED, "queued", None),
        (JobState.DRAWING, "queued", None),
        (JobState.DELIVERING, "queued", None),
        (
            JobState.APOLOGISING,
            "failed",
            "This one could not be drawn. Nothing was taken from your allowance.",
        ),
        (
            JobState.FAILED,
            "failed",
            "This one could not be drawn. Nothing was taken from your allowance.",
        ),
        (
            JobState.CANCELLED,
            "cancelled",
            "This one was given up before it was drawn. Nothing was taken from your allowance.",
        ),
    ],
)
def test_what_became_of_other_jobs_of_the_past(
    job: Job, state: JobState, shown: str, sentence: str | None
) -> None:
    view = views.past(Past(job=replace(job, state=state), finished_at=None, pictures=()))

    assert (view["state"], view.get("sentence")) == (shown, sentence)
