from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.pace import Backlog, Outlook, Pace, Rate


class Now:
    s = 0.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def pace(now: Now) -> Pace:
    return Pace(now)


def outlook(pace: Pace, **backlog: Any) -> Outlook:
    outlook = pace.outlook(span=4, backlog=Backlog(**backlog))
    assert outlook is not None
    return outlook


def test_before_anything_was_seen_nothing_is_said(pace: Pace) -> None:
    assert pace.outlook(span=4, backlog=Backlog()) is None
    assert pace.chunk_s(4) is None


def test_the_chunks_left_and_the_rendering_add_up(pace: Pace) -> None:
    pace.note_chunk(4, 0.5)
    pace.note_pictures(4, 2.0)

    assert outlook(pace).done_after_s(chunks_left=10, picture_count=2) == 6.0


def test_a_request_is_rendered_after_those_drawn_before_it(pace: Pace) -> None:
    pace.note_chunk(4, 1.0)
    pace.note_pictures(1, 2.0)
    ahead = outlook(pace)

    assert ahead.done_after_s(chunks_left=4, picture_count=3) == 10.0
    assert ahead.done_after_s(chunks_left=5, picture_count=1) == 12.0
    assert ahead.done_after_s(chunks_left=20, picture_count=1) == 22.0


def test_what_waits_to_be_rendered_comes_first(pace: Pace) -> None:
    pace.note_chunk(4, 1.0)
    pace.note_pictures(1, 2.0)

    ahead = outlook(pace, waiting_count=3, begun_count=2, begun_for_s=1.5)
    late = outlook(pace, waiting_count=3, begun_count=2, begun_for_s=99.0)

    assert ahead.done_after_s(chunks_left=1, picture_count=1) == 6 + 2.5 + 2
    assert late.done_after_s(chunks_left=1, picture_count=1) == 6 + 2


def test_pictures_that_are_passed_over_take_their_time(pace: Pace) -> None:
    pace.note_chunk(4, 1.0)
    pace.note_pictures(1, 2.0)
    ahead = outlook(pace)
    ahead.pass_over(5)

    assert ahead.done_after_s(chunks_left=1, picture_count=1) == 12.0


def test_a_span_never_seen_lies_between_its_neighbours(pace: Pace) -> None:
    pace.note_chunk(2, 0.1)
    pace.note_chunk(4, 0.5)

    assert [pace.chunk_s(span) for span in (1, 2, 3, 4, 9)] == pytest.approx(
        [0.1, 0.1, 0.3, 0.5, 0.5]
    )


@given(old=st.floats(0.01, 10), new=st.floats(0.01, 10))
def test_a_new_speed_is_learned_within_a_few_pictures(old: float, new: float) -> None:
    pace = Pace(lambda: 0.0)
    for took_s in [old] * 100 + [new] * 48:
        pace.note_chunk(4, took_s)

    assert pace.chunk_s(4) == pytest.approx(new, abs=0.02 * abs(old - new))


def test_a_rate_counts_the_last_minute(now: Now) -> None:
    rate = Rate(now)
    for _ in range(120):
        now.s += 1
        rate.note(3)

    assert rate.per_s() == pytest.approx(3, rel=0.02)
    now.s += 30
    assert rate.per_s() == pytest.approx(1.5, rel=0.05)
    now.s += 31
    assert rate.per_s() == 0


def test_a_rate_begins_with_the_engine(now: Now) -> None:
    rate = Rate(now)
    assert rate.per_s() == 0
    now.s += 2
    rate.note(8)

    assert rate.per_s() == 4
