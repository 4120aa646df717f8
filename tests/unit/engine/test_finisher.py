from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

import pytest

from engine.api import InvalidRequestError
from engine.finisher import Finisher, in_a_thread
from engine.line import RequestId
from engine.messages import Done, Failed, FromEngine, Wrong
from engine.pace import Backlog

if TYPE_CHECKING:
    from collections.abc import Callable

A, B = RequestId(1), RequestId(2)


class Desk:
    """A finisher whose thread works when the test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.sent: list[FromEngine] = []
        self.wakes = 0
        self.work: deque[Callable[[], None]] = deque()
        self.finisher = Finisher(
            self.sent.append,
            submit=self.work.append,
            wake=self.wake,
            max_pictures=4,
            clock=lambda: self.now_s,
        )

    def wake(self) -> None:
        self.wakes += 1

    def add(self, request_id: RequestId, picture_count: int = 1) -> None:
        self.finisher.add(
            request_id, picture_count, lambda: Done(request_id=request_id, answer=b"")
        )

    def do_one(self) -> None:
        self.work.popleft()()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def done(request_id: RequestId) -> Done:
    return Done(request_id=request_id, answer=b"")


def test_work_is_done_in_order_and_each_wakes_the_loop(desk: Desk) -> None:
    desk.add(A)
    desk.add(B)

    desk.do_one()
    assert (desk.sent, desk.wakes) == ([done(A)], 1)
    desk.do_one()

    assert (desk.sent, desk.wakes) == ([done(A), done(B)], 2)
    assert repr(desk.finisher) == "<Finisher 0 pictures, 0 pieces of work>"


def test_there_is_no_room_while_too_many_pictures_wait(desk: Desk) -> None:
    desk.add(A, picture_count=3)
    assert desk.finisher.has_room
    desk.add(B, picture_count=1)
    assert not desk.finisher.has_room

    desk.do_one()

    assert desk.finisher.has_room


def test_what_is_given_up_is_neither_done_nor_sent(desk: Desk) -> None:
    desk.finisher.add(A, 3, lambda: pytest.fail("it was given up"))
    desk.add(B)

    desk.finisher.cancel(A)
    desk.do_one()
    desk.do_one()

    assert desk.sent == [done(B)]
    assert desk.finisher.is_idle


def test_what_is_given_up_while_it_is_done_is_not_sent(desk: Desk) -> None:
    def work() -> Done:
        desk.finisher.cancel(A)
        return done(A)

    desk.finisher.add(A, 1, work)
    desk.do_one()

    assert desk.sent == []


def test_work_that_breaks_fails_alone(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    def breaks() -> Done:
        raise ZeroDivisionError

    def refuses() -> Done:
        raise InvalidRequestError("No picture.")

    desk.finisher.add(A, 1, breaks)
    desk.finisher.add(B, 1, refuses)
    desk.do_one()
    desk.do_one()

    assert desk.sent == [Failed(request_id=A), Wrong(request_id=B, sentence="No picture.")]
    assert [record.getMessage() for record in caplog.records] == ["request failed request_id=1"]


def test_a_courtesy_is_done_only_if_nothing_else_is(desk: Desk) -> None:
    assert desk.finisher.try_aside(A, lambda: done(A))
    assert not desk.finisher.try_aside(B, lambda: done(B))

    desk.do_one()

    assert desk.sent == [done(A)]
    assert desk.finisher.is_idle


def test_a_courtesy_that_breaks_is_only_logged(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks() -> Done:
        raise ZeroDivisionError

    desk.finisher.try_aside(A, breaks)
    desk.do_one()

    assert desk.sent == []
    assert [record.getMessage() for record in caplog.records] == ["preview failed request_id=1"]


def test_the_backlog_says_what_waits_and_what_was_begun_when(desk: Desk) -> None:
    seen: list[Backlog] = []

    def work() -> Done:
        desk.now_s += 2
        seen.append(desk.finisher.backlog)
        return done(A)

    desk.finisher.add(A, 3, work)
    desk.add(B, 2)
    before = desk.finisher.backlog
    desk.do_one()

    assert before == Backlog(waiting_count=5)
    assert seen == [Backlog(waiting_count=2, begun_count=3, begun_for_s=2.0)]
    assert desk.finisher.backlog == Backlog(waiting_count=2)


def test_in_earnest_it_is_one_thread_of_its_own() -> None:
    submit, threads = in_a_thread(), list[threading.Thread]()
    over = threading.Event()

    for _ in range(5):
        submit(lambda: threads.append(threading.current_thread()))
    submit(over.set)

    assert over.wait(10)
    assert len(threads) == 5
    assert set(threads) == {threads[0]} != {threading.current_thread()}
