from __future__ import annotations

from typing import TYPE_CHECKING

from bot.jobs import JobId
from bot.web.board import Board

if TYPE_CHECKING:
    from bot.web.views import View

JOB = JobId("a")


def view(state: str, percent: int = 0) -> View:
    return {"state": state, "percent": percent}


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
    assert vars(board) == {"_latest": {}, "_watches": {}, "_is_closed": False}


async def test_closing_sends_watchers_home_and_those_who_come_later() -> None:
    board = Board()

    with board.watching(JOB) as early:
        board.close()
        board.post(JOB, view("drawing"))
        with board.watching(JOB) as late:
            assert await early.next() is None
            assert await late.next() is None
