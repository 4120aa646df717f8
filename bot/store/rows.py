"""A job as a row of its table, and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bot.jobs import Job, JobId, JobState, Person, Platform, Submission
from bot.store.quotas import day_of
from engine.api import DrawRequest, SamplingOptions

if TYPE_CHECKING:
    from sqlalchemy import Row


def values_of(job: Job) -> dict[str, Any]:
    """The columns of a new job."""
    submission, request = job.submission, job.submission.request
    return {
        "id": job.id,
        "platform": submission.person.platform,
        "event_id": submission.event_id,
        "person_id": submission.person.id,
        "prompt": request.prompt,
        "picture_count": request.picture_count,
        "seed": request.seed,
        "options": asdict(request.options),
        "keep": list(request.keep),
        "preview": request.preview,
        "address": dict(submission.address),
        "state": job.state,
        "attempt_count": job.attempt_count,
        "quota_day": day_of(job.accepted_at),
        "accepted_at": job.accepted_at,
    }


def job_of(row: Row[Any]) -> Job:
    """The job that a row of ``jobs`` holds."""
    return Job(
        id=JobId(row.id),
        submission=Submission(
            person=Person(platform=Platform(row.platform), id=row.person_id),
            event_id=row.event_id,
            request=DrawRequest(
                prompt=row.prompt,
                picture_count=row.picture_count,
                seed=row.seed,
                options=SamplingOptions(**row.options),
                keep=tuple(row.keep),
                preview=row.preview,
            ),
            address=row.address,
        ),
        state=JobState(row.state),
        attempt_count=row.attempt_count,
        accepted_at=row.accepted_at,
    )
