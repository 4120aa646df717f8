"""What the page is told about a job: plain JSON objects, made by pure functions.

Every view has ``job_id``, ``prompt``, ``picture_count``, ``seed``, ``options``, ``accepted_at``,
``origin`` (the job it is a variation or redrawing of, or null) and ``state``, which is one of
queued (with ``pictures_ahead`` and ``eta_s``, the seconds until the pictures come, or null
while that is not known), drawing (``percent``, ``eta_s``, and ``preview`` once there is one),
postponed (``sentence``), done (``model``, ``grid``, ``pictures`` best first, ``timings``; a
picture that ``is_covered`` may not be for everybody, and ``withheld_count`` are for nobody),
failed (``sentence``) and cancelled (``sentence``). Of a job whose files are gone, ``model`` and
``timings`` are null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from bot.jobs import JobState
from bot.sentences import POSTPONED, WEB_CANCELLED, WEB_LONG_FAILED
from engine.api import Queued, Verdict
from engine.pictures import GUTTER_PX, grid_shape

if TYPE_CHECKING:
    from bot.jobs import Job, JobId, Json
    from bot.store.history import KeptPicture, Past
    from engine.api import Drawing, Drawn, Picture

    View = dict[str, Json]

GRID_NAME: Final = "grid.png"


def accepted(job: Job) -> View:
    """Describe a job that nobody has looked at yet."""
    return _view(job, "queued", pictures_ahead=0, eta_s=None)


def in_progress(job: Job, event: Queued | Drawing) -> View:
    """Describe a job that waits or is being drawn."""
    if isinstance(event, Queued):
        return _view(job, "queued", pictures_ahead=event.pictures_ahead, eta_s=_eta_s(event))
    return _view(job, "drawing", percent=round(100 * event.fraction), eta_s=_eta_s(event))


def with_preview(view: View, number: int) -> View:
    """Add where the newest preview is, and how its grid is laid out.

    Args:
        view: Of a job that is being drawn.
        number: Of the preview, so that each has an address of its own.
    """
    rows, columns = grid_shape(int(str(view["picture_count"])))
    preview: View = {
        "url": f"/api/jobs/{view['job_id']}/preview?n={number}",
        "rows": rows,
        "columns": columns,
        "gutter_px": GUTTER_PX,
    }
    return {**view, "preview": preview}


def postponed(job: Job) -> View:
    """Describe a job that stands still until the next start."""
    return _view(job, "postponed", sentence=POSTPONED)


def done(job: Job, drawn: Drawn) -> View:
    """Describe a job whose pictures are there, best first."""
    pictures = [_picture(job, rank, picture) for rank, picture in enumerate(drawn.pictures, 1)]
    return _view(
        job,
        "done",
        seed=drawn.seed,
        model=drawn.model,
        grid=_grid_url(job.id),
        pictures=pictures,
        withheld_count=drawn.withheld_count,
        timings={
            "waited_s": round(drawn.timings.waited_s, 3),
            "decoded_s": round(drawn.timings.decoded_s, 3),
            "rendered_s": round(drawn.timings.rendered_s, 3),
        },
    )


def failed(job: Job, sentence: str) -> View:
    """Describe a job that will have no pictures."""
    return _view(job, "failed", sentence=sentence)


def cancelled(job: Job) -> View:
    """Describe a job that its person or an admin gave up."""
    return _view(job, "cancelled", sentence=WEB_CANCELLED)


def past(of: Past) -> View:
    """Describe a job of which only the store knows (any more)."""
    job = of.job
    match job.state:
        case JobState.ACCEPTED | JobState.DRAWING | JobState.DELIVERING:
            return accepted(job)
        case JobState.DELIVERED:
            return _view(
                job,
                "done",
                model=None,
                grid=_grid_url(job.id),
                pictures=[_picture(job, picture.rank, picture) for picture in of.pictures],
                withheld_count=job.submission.request.picture_count - len(of.pictures),
                timings=None,
            )
        case JobState.APOLOGISING | JobState.FAILED:
            return failed(job, WEB_LONG_FAILED)
        case JobState.CANCELLED:
            return cancelled(job)
        case _:
            assert_never(job.state)


def is_final(view: View) -> bool:
    """Whether nothing more will be told about the job."""
    return view["state"] in {"done", "failed", "cancelled"}


def picture_name(rank: int) -> str:
    """Name the file of the picture at ``rank``, counted from 1."""
    return f"{rank:02}.png"


def _view(job: Job, state: str, **more: Json) -> View:
    request = job.submission.request
    options = request.options
    return {
        "job_id": job.id,
        "prompt": request.prompt,
        "picture_count": request.picture_count,
        "seed": request.seed,
        "options": {
            "temperature": options.temperature,
            "top_k": options.top_k,
            "top_p": options.top_p,
            "condition_scale": options.condition_scale,
        },
        "accepted_at": job.accepted_at.isoformat(),
        "origin": job.submission.origin,
        "state": state,
        **more,
    }


def _eta_s(event: Queued | Drawing) -> float | None:
    return None if event.eta_s is None else round(event.eta_s, 1)


def _grid_url(job_id: JobId) -> str:
    return f"/pictures/{job_id}/{GRID_NAME}"


def _picture(job: Job, rank: int, picture: Picture | KeptPicture) -> Json:
    """Describe a picture; those that may not be for everybody are covered at first."""
    return {
        "url": f"/pictures/{job.id}/{picture_name(rank)}",
        "rank": rank,
        "score": round(picture.score, 3),
        "index": picture.index,
        "is_covered": job.submission.is_soft or picture.verdict is not Verdict.SAFE,
    }
