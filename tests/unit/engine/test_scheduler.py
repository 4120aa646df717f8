from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.api import Priority
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


def ahead(line: Scheduler) -> dict[RequestId, int | None]:
    return {forecast.request_id: forecast.pictures_ahead for forecast in line.waiting()}


def test_pictures_ahead_counts_those_in_the_slots_and_those_before_it_in_the_line() -> None:
    line = scheduler(slot_count=2)
    line.add(A, 3)
    line.add(B, 2)
    line.add(C, 1)
    line.admit()

    assert ahead(line) == {B: 3, C: 5}


def test_nothing_is_ahead_of_a_request_with_a_free_slot() -> None:
    line = scheduler(slot_count=2)
    line.add(A, 1)
    line.add(B, 1)
    line.add(C, 1)

    assert ahead(line) == {A: 0, B: 0, C: 2}


def test_the_lowest_free_slot_is_filled_first() -> None:
    line = scheduler(slot_count=4, chunk_count=4)
    for name in (A, B, C):
        line.add(name, 1)
    line.admit()
    line.cancel(C)
    line.cancel(A)

    line.add(A, 2)

    assert [seat.slot for seat in line.admit()] == [0, 2]
    assert line.span == 3


def test_the_pictures_of_a_request_stay_together_whoever_comes() -> None:
    line = scheduler(slot_count=1)
    line.add(A, 2, requester="ada", priority=Priority.LOW)
    line.admit()
    line.add(B, 1, requester="bob", priority=Priority.HIGH)

    assert draw_all(line) == [(A, 0), (A, 1), (B, 0)]


def test_a_higher_class_comes_first() -> None:
    line = scheduler(slot_count=1)
    line.add(A, 1, priority=Priority.LOW)
    line.add(B, 1, priority=Priority.NORMAL)
    line.add(C, 1, priority=Priority.HIGH)

    assert draw_all(line) == [(C, 0), (B, 0), (A, 0)]


def test_someone_with_forty_requests_does_not_delay_someone_with_one() -> None:
    line = scheduler(slot_count=3, max_waiting=1_000)
    for name in range(10, 50):
        line.add(RequestId(name), 9, requester="ada")
    line.admit()

    line.add(A, 1, requester="bob")

    (place,) = [f for f in line.waiting() if f.request_id == A]
    assert place.pictures_ahead == 9
    assert draw_all(line)[9] == (A, 0)


def test_a_cancelled_request_tells_the_slots_it_held() -> None:
    line = scheduler(slot_count=3)
    line.add(A, 1)
    line.add(B, 4)
    line.admit()

    assert (line.cancel(B), line.cancel(B), line.cancel(C)) == ([1, 2], [], [])


@settings(deadline=None, max_examples=200)
@given(data=st.data(), slot_count=st.integers(1, 5), chunk_count=st.integers(1, 5))
def test_a_forecast_comes_true_if_nobody_comes_or_leaves(
    data: st.DataObject, slot_count: int, chunk_count: int
) -> None:
    line = scheduler(slot_count, chunk_count, max_waiting=1_000)
    for name in range(data.draw(st.integers(1, 12))):
        line.add(
            RequestId(name),
            data.draw(st.integers(1, 9)),
            requester=data.draw(st.sampled_from("abc")),
            priority=data.draw(st.sampled_from(Priority)),
        )
        for _ in range(data.draw(st.integers(0, 2))):
            line.admit()
            line.finish()
    line.admit()
    forecasts = {f.request_id: f for f in [*line.begun(), *line.waiting()]}

    done_after = dict[RequestId, int]()
    begun = list[RequestId]()
    chunks = 0
    while not line.is_idle:
        begun += [seat.request_id for seat in line.admit() if seat.index == 0]
        chunks += 1
        names = {seat.request_id for seat in line.finish()}
        still_there = {f.request_id for f in [*line.begun(), *line.waiting()]}
        done_after |= dict.fromkeys(names - still_there, chunks)

    assert {name: f.chunks_left for name, f in forecasts.items()} == done_after
    assert [name for name, f in forecasts.items() if f.pictures_ahead is not None] == begun


def test_a_hundred_thousand_waiting_pictures_do_not_make_a_chunk_slow() -> None:
    line = scheduler(slot_count=16, chunk_count=16, max_waiting=1_000_000)
    for name in range(25_000):
        line.add(RequestId(name), 4, requester=f"person {name % 5_000}")
    begun_at_s = time.process_time()

    for chunk in range(1_000):
        line.admit()
        line.finish()
        line.cancel(RequestId(20_000 + chunk))
        line.add(RequestId(30_000 + chunk), 4, requester=f"person {chunk}")
        list(itertools.islice(line.waiting(), 100))

    # 0.3 s of computing on a quiet core; anything that walks the line takes minutes.
    assert time.process_time() - begun_at_s < 10


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
    """Whatever happens, every picture that is not cancelled is drawn once, in a fair order."""

    def __init__(self) -> None:
        super().__init__()
        self.line = scheduler(slot_count=3, chunk_count=2, max_waiting=8)
        self.names = 0
        self.who: dict[RequestId, tuple[Priority, str]] = {}
        self.expected: list[tuple[RequestId, int]] = []
        self.admitted: list[tuple[RequestId, int]] = []
        self.finished: list[tuple[RequestId, int]] = []

    @rule(
        count=st.integers(1, 5),
        accepted=st.booleans(),
        requester=st.sampled_from(["ada", "bob", "eve"]),
        priority=st.sampled_from(Priority),
    )
    def add(self, count: int, requester: str, priority: Priority, *, accepted: bool) -> None:
        self.names += 1
        name = RequestId(self.names)
        self.who[name] = priority, requester
        try:
            self.line.add(
                name,
                count,
                requester=requester,
                priority=priority,
                was_accepted_before=accepted,
            )
        except LineFullError:
            assert not accepted
        else:
            self.expected += [(name, index) for index in range(count)]

    @rule()
    def admit(self) -> None:
        for name, index in places(self.line.admit()):
            waiting = [other for other, place in self.expected if place == 0 and self.waits(other)]
            priority, requester = self.who[name]
            assert index > 0 or priority == min(self.who[other][0] for other in waiting)
            same = [other for other in waiting if self.who[other] == (priority, requester)]
            assert index > 0 or name == min(same), "a requester's own are in order"
            assert index == 0 or self.admitted[-1] == (name, index - 1), "they stay together"
            self.admitted.append((name, index))

    def waits(self, name: RequestId) -> bool:
        return (name, 0) not in self.admitted

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
        assert self.finished == self.admitted[: len(self.finished)]

    def teardown(self) -> None:
        while not self.line.is_idle:
            self.admit()
            self.finish()
        assert sorted(self.finished) == sorted(self.expected)
        self.line.check_integrity()


TestScheduler = SchedulerMachine.TestCase
TestScheduler.settings = settings(deadline=None, max_examples=50)
