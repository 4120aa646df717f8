from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.scheduler import LineFullError, RequestId, Scheduler, Seat

A, B, C = RequestId(1), RequestId(2), RequestId(3)


def scheduler(slot_count: int = 2, chunk_count: int = 2, max_waiting: int = 100) -> Scheduler:
    return Scheduler(slot_count=slot_count, chunk_count=chunk_count, max_waiting=max_waiting)


def places(seats: list[Seat]) -> list[tuple[RequestId, int]]:
    return [(seat.request_id, seat.index) for seat in seats]


def draw_all(line: Scheduler) -> list[tuple[RequestId, int]]:
    finished: list[Seat] = []
    while not line.is_idle:
        line.admit()
        finished += line.finish()
        line.check_integrity()
    return places(finished)


def test_pictures_are_drawn_in_the_order_of_their_requests() -> None:
    line = scheduler()
    line.add(A, 3)
    line.add(B, 2)

    assert draw_all(line) == [(A, 0), (A, 1), (A, 2), (B, 0), (B, 1)]


def test_a_slot_is_filled_again_as_soon_as_it_is_free() -> None:
    line = scheduler()
    line.add(A, 1)
    line.admit()
    line.finish()
    line.add(B, 2)

    assert places(line.admit()) == [(B, 0)]
    assert places(line.finish()) == [(A, 0)]
    assert line.admit() == [Seat(slot=0, request_id=B, index=1)]


def test_a_request_that_does_not_fit_leaves_the_line_unchanged() -> None:
    line = scheduler(slot_count=1, max_waiting=3)
    line.add(A, 3)

    with pytest.raises(LineFullError):
        line.add(B, 2)

    assert repr(line) == "<Scheduler 0/1 slots held, 3 pictures waiting>"
    line.check_integrity()


def test_a_request_that_finds_nobody_waiting_is_always_taken() -> None:
    line = scheduler(slot_count=1, max_waiting=2)
    line.add(A, 1)
    line.admit()

    line.add(B, 16)

    assert repr(line) == "<Scheduler 1/1 slots held, 16 pictures waiting>"


def test_a_request_accepted_before_is_taken_into_a_full_line() -> None:
    line = scheduler(slot_count=1, max_waiting=2)
    line.add(A, 3)

    line.add(B, 2, was_accepted_before=True)

    assert repr(line) == "<Scheduler 0/1 slots held, 5 pictures waiting>"


@settings(deadline=None)
@given(
    slot_count=st.integers(1, 4),
    chunk_count=st.integers(1, 5),
    first=st.integers(1, 16),
    second=st.integers(1, 16),
    steps=st.integers(0, 10),
)
def test_a_refused_request_fits_after_the_chunks_it_was_told_and_not_before(
    slot_count: int, chunk_count: int, first: int, second: int, steps: int
) -> None:
    line = scheduler(slot_count, chunk_count, max_waiting=4)
    line.add(A, first)
    for _ in range(steps):
        line.admit()
        line.finish()
    line.admit()
    try:
        line.add(B, second)
    except LineFullError as error:
        for _ in range(error.chunks_until_room):
            with pytest.raises(LineFullError):
                line.add(B, second)
            line.finish()
            line.admit()
        line.add(B, second)


def test_pictures_ahead_counts_those_in_the_slots_and_those_before_it_in_the_line() -> None:
    line = scheduler(slot_count=2)
    line.add(A, 3)
    line.add(B, 2)
    line.add(C, 1)
    line.admit()

    assert line.pictures_ahead() == {B: 3, C: 5}


def test_nothing_is_ahead_of_a_request_with_a_free_slot() -> None:
    line = scheduler(slot_count=2)
    line.add(A, 1)
    line.add(B, 1)
    line.add(C, 1)

    assert line.pictures_ahead() == {A: 0, B: 0, C: 2}


def test_the_fraction_counts_the_chunks_of_all_pictures() -> None:
    line = scheduler(slot_count=2, chunk_count=2)
    line.add(A, 3)
    fractions: list[float] = []

    for _ in range(3):
        line.admit()
        fractions.append(line.fraction(A))
        line.finish()

    assert fractions == [0.0, 2 / 6, 4 / 6]


def test_a_cancelled_request_leaves_the_line_and_its_slots() -> None:
    line = scheduler(slot_count=2)
    line.add(A, 3)
    line.add(B, 1)
    line.admit()

    line.cancel(A)

    line.check_integrity()
    assert repr(line) == "<Scheduler 0/2 slots held, 1 pictures waiting>"
    assert draw_all(line) == [(B, 0)]


def test_cancelling_an_unknown_request_changes_nothing() -> None:
    line = scheduler()
    line.add(A, 1)

    line.cancel(B)

    assert draw_all(line) == [(A, 0)]


def test_a_scheduler_that_lost_count_says_so() -> None:
    line = scheduler()
    line.add(A, 1)
    line.admit()
    vars(line)["_free"].append(0)

    with pytest.raises(RuntimeError, match=r"<Scheduler 1/2 slots held, .* has lost count"):
        line.check_integrity()


class SchedulerMachine(RuleBasedStateMachine):
    """Whatever happens, every picture that is not cancelled is drawn once, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.line = scheduler(slot_count=3, chunk_count=2, max_waiting=8)
        self.names = 0
        self.expected: list[tuple[RequestId, int]] = []
        self.admitted: list[tuple[RequestId, int]] = []
        self.finished: list[tuple[RequestId, int]] = []

    @rule(count=st.integers(1, 5), accepted=st.booleans())
    def add(self, count: int, *, accepted: bool) -> None:
        self.names += 1
        name = RequestId(self.names)
        try:
            self.line.add(name, count, was_accepted_before=accepted)
        except LineFullError:
            assert not accepted
        else:
            self.expected += [(name, index) for index in range(count)]

    @rule()
    def admit(self) -> None:
        self.admitted += places(self.line.admit())

    @rule()
    def finish(self) -> None:
        self.finished += places(self.line.finish())

    @precondition(lambda self: self.expected)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name, _ = data.draw(st.sampled_from(self.expected))
        self.line.cancel(name)
        for places_ in (self.expected, self.admitted, self.finished):
            places_[:] = [place for place in places_ if place[0] != name]

    @invariant()
    def holds_together(self) -> None:
        self.line.check_integrity()
        assert self.admitted == self.expected[: len(self.admitted)]
        assert self.finished == self.admitted[: len(self.finished)]

    def teardown(self) -> None:
        while not self.line.is_idle:
            self.admit()
            self.finish()
        assert self.finished == self.expected


TestScheduler = SchedulerMachine.TestCase
TestScheduler.settings = settings(deadline=None, max_examples=50)
