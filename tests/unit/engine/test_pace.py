from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.pace import Pace, Rate


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


def eta_s(pace: Pace, *, chunks: int = 10, before: int = 0, count: int = 2) -> float | None:
    return pace.eta_s(chunks_left=chunks, span=4, pictures_before=before, picture_count=count)


def test_before_anything_was_seen_nothing_is_said(pace: Pace) -> None:
    assert eta_s(pace) is None
    assert pace.chunk_s(4) is None


def test_the_chunks_left_and_the_rendering_add_up(pace: Pace) -> None:
    pace.note_chunk(4, 0.5)
    pace.note_pictures(4, 2.0)

    assert eta_s(pace, chunks=10, count=2) == 6.0


def test_what_is_rendered_before_may_take_longer_than_the_chunks(pace: Pace) -> None:
    pace.note_chunk(4, 0.5)
    pace.note_pictures(4, 8.0)

    assert eta_s(pace, chunks=10, before=9, count=2) == 22.0


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
