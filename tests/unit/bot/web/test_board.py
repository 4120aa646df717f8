from __future__ import annotations

from typing import TYPE_CHECKING

from bot.jobs import JobId
from bot.web.board import Board

if TYPE_CHECKING:
    from bot.web.views import View

JOB = JobId("a")


def view(state: str, percent: int = 0) -> View:
    return {"job_id": JOB, "picture_count": 5, "state": state, "percent": percent}


async def test_a_slow_watcher_misses_steps_but_never_the_last() -> None:
    board = Board()

    with board.watching(JOB) as watch:
        for percent in (10, 20, 30):
            board.post(JOB, view("drawing", percent))
        board.post(JOB, view("done"))

        assert await watch.next() == view("done")


async def test_everybody_who_watches_a_job_is_told_and_nobody_else() -> None:
    board = Board()

    with (
        board.watching(JOB) as one,
        board.watching(JOB) as two,
        board.watching(JobId("b")) as other,
    ):
        board.post(JOB, view("queued"))
        board.post(JobId("b"), view("drawing"))

        assert await one.next() == await two.next() == view("queued")
        assert await other.next() == view("drawing")


async def test_a_finished_job_is_forgotten() -> None:
    board = Board()
    board.post(JOB, view("drawing"))

    board.post(JOB, view("failed"))

    assert board.latest(JOB) is None
    assert repr(board) == "<Board 0 jobs under way, 0 watched, 0 previews>"


async def test_progress_that_comes_after_the_end_is_not_told() -> None:
    board = Board()
    board.post(JOB, view("cancelled"))

    with board.watching(JOB) as watch:
        board.post(JOB, view("drawing"))
        assert board.latest(JOB) is None
        board.post(JOB, view("failed"))

        assert await watch.next() == view("failed")


async def test_the_newest_preview_is_kept_until_the_end() -> None:
    board = Board()
    board.post(JOB, view("drawing", 10))

    board.post_preview(JOB, b"first")
    board.post_preview(JOB, b"second")
    board.post(JOB, view("drawing", 60))

    assert board.preview(JOB) == b"second"
    assert board.latest(JOB) == {
        **view("drawing", 60),
        "preview": {
            "url": "/api/jobs/a/preview?n=2",
            "rows": 2,
            "columns": 3,
            "gutter_px": 8,
        },
    }
    board.post(JOB, view("done"))
    assert board.preview(JOB) is None


async def test_a_preview_of_a_job_that_nobody_told_of_is_dropped() -> None:
    board = Board()

    board.post_preview(JOB, b"webp")

    assert board.preview(JOB) is None
    assert board.latest(JOB) is None


async def test_closing_sends_watchers_home_and_those_who_come_later() -> None:
    board = Board()

    with board.watching(JOB) as early:
        board.close()
        board.post(JOB, view("drawing"))
        with board.watching(JOB) as late:
            assert await early.next() is None
            assert await late.next() is None
