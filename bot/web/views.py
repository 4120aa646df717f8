"""What the page is told about a job: plain JSON objects, made by pure functions.

Every view has ``job_id``, ``prompt``, ``picture_count`` and ``state``, which is one of
queued (with ``pictures_ahead`` and ``eta_s``, the seconds until the pictures come, or null
while that is not known), drawing (``percent``, ``eta_s``), postponed (``sentence``), done
(``seed``, ``model``, ``grid``, ``pictures`` best first, ``timings``) and failed (``sentence``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sentences import POSTPONED
from engine.api import Queued

if TYPE_CHECKING:
    from bot.jobs import Job, JobId, Json
    from engine.api import Drawing, Drawn, Picture

    View = dict[str, Json]


def accepted(job: Job) -> View:
    """Describe a job that nobody has looked at yet."""
    return _view(job, "queued", pictures_ahead=0, eta_s=None)


def in_progress(job: Job, event: Queued | Drawing) -> View:
    """Describe a job that waits or is being drawn."""
    if isinstance(event, Queued):
        return _view(job, "queued", pictures_ahead=event.pictures_ahead, eta_s=_eta_s(event))
    return _view(job, "drawing", percent=round(100 * event.fraction), eta_s=_eta_s(event))


def _eta_s(event: Queued | Drawing) -> float | None:
    return None if event.eta_s is None else round(event.eta_s, 1)


def postponed(job: Job) -> View:
    """Describe a job that stands still until the next start."""
    return _view(job, "postponed", sentence=POSTPONED)


def done(job: Job, drawn: Drawn) -> View:
    """Describe a job whose pictures are there, best first."""
    return _view(
        job,
        "done",
        seed=drawn.seed,
        model=drawn.model,
        grid=f"/pictures/{job.id}/{GRID_NAME}",
        pictures=[_picture(job.id, rank, p) for rank, p in enumerate(drawn.pictures, start=1)],
        timings={
            "waited_s": round(drawn.timings.waited_s, 3),
            "decoded_s": round(drawn.timings.decoded_s, 3),
            "rendered_s": round(drawn.timings.rendered_s, 3),
        },
    )


def failed(job: Job, sentence: str) -> View:
    """Describe a job that will have no pictures."""
    return _view(job, "failed", sentence=sentence)


def is_final(view: View) -> bool:
    """Whether nothing more will be told about the job."""
    return view["state"] in {"done", "failed"}


GRID_NAME = "grid.png"


def picture_name(rank: int) -> str:
    """Name the file of the picture at ``rank``, counted from 1."""
    return f"{rank:02}.png"


def _view(job: Job, state: str, **more: Json) -> View:
    request = job.submission.request
    return {
        "job_id": job.id,
        "prompt": request.prompt,
        "picture_count": request.picture_count,
        "state": state,
        **more,
    }


def _picture(job_id: JobId, rank: int, picture: Picture) -> Json:
    url = f"/pictures/{job_id}/{picture_name(rank)}"
    return {"url": url, "rank": rank, "score": round(picture.score, 3), "index": picture.index}
