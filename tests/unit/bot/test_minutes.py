from __future__ import annotations

import json
import math
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.jobs import JobState, Platform
from bot.minutes import KEPT_COUNT, Minutes, read_minutes, total
from bot.observer import Showing
from bot.store.overview import Load
from bot.vitals import Vitals
from engine.api import DrawRequest, EngineStats
from tests.support.clock import NOON, Clock
from tests.support.factories import a_job
from tests.support.scripted_engine import drawn

if TYPE_CHECKING:
    from pathlib import Path

PICTURES = drawn(DrawRequest(prompt="a", picture_count=2, seed=7))


def deliver(minutes: Minutes, *durations_s: float) -> None:
    for duration_s in durations_s:
        minutes.delivered(a_job(), PICTURES, picture_count=2, duration_s=duration_s)


@given(st.lists(st.floats(0.01, 100_000.0), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_is_right_to_five_percent(durations_s: list[float], share: float) -> None:
    minutes = Minutes(Clock())
    deliver(minutes, *durations_s)

    found = total(minutes.last(1)).percentile_s(share)

    true = sorted(durations_s)[math.ceil(share * len(durations_s)) - 1]
    assert found == pytest.approx(true, rel=0.05)


def test_without_requests_there_is_no_percentile() -> None:
    assert Minutes(Clock()).last(1)[0].percentile_s(0.5) is None


def test_each_minute_counts_for_itself_and_empty_ones_are_there_too() -> None:
    clock = Clock()
    minutes = Minutes(clock)
    minutes.accepted(a_job())
    clock.advance(timedelta(minutes=2))
    minutes.accepted(a_job())
    minutes.refused(Platform.X, "over_quota")

    last = minutes.last(4)

    assert [minute.accepted_count for minute in last] == [0, 1, 0, 1]
    assert last[3].refused == {"over_quota": 1}
    assert last[3].number == int(clock().timestamp()) // 60


def test_spans_add_minutes_up_and_keep_the_most_that_waited() -> None:
    clock = Clock(NOON.replace(minute=13))
    minutes = Minutes(clock)
    for waiting_count in (5, 30, 2):
        deliver(minutes, 1.0)
        minutes.failed(a_job(), "bug")
        minutes.cancelled(a_job())
        minutes.look(vitals(waiting_count))
        clock.advance(timedelta(minutes=1))

    (span,) = minutes.last(1, in_each=15)

    assert (span.delivered_count, span.picture_count, span.cancelled_count) == (3, 6, 3)
    assert span.failed == {"bug": 3}
    assert (span.waiting_count, span.busy_slot_count, span.restart_count) == (30, 4, 1)


def vitals(waiting_count: int) -> Vitals:
    load = Load(
        platform=Platform.X,
        state=JobState.ACCEPTED,
        job_count=1,
        picture_count=waiting_count,
        oldest_at=NOON,
    )
    return Vitals(at=NOON, loads=(load,), engine=EngineStats(busy_slot_count=4, restart_count=1))


def moderate(minutes: Minutes) -> None:
    minutes.judged(Platform.X, level="strict", verdict="refuse", code="gore")
    minutes.judged(Platform.X, level="strict", verdict="allow", code="")
    minutes.looked_at(a_job(), {Showing.SHOWN: 8, Showing.WITHHELD: 1})
    minutes.struck(Platform.X, code="hate", is_blocked=True)
    minutes.struck(Platform.X, code="hate", is_blocked=False)
    minutes.reported(Platform.DISCORD)


def test_what_moderation_decides_is_added_up(tmp_path: Path) -> None:
    clock = Clock(NOON.replace(minute=13))
    minutes = Minutes(clock)
    moderate(minutes)
    clock.advance(timedelta(minutes=1))
    moderate(minutes)
    minutes.save(tmp_path / "minutes.json")

    (span,) = Minutes(clock, read_minutes(tmp_path / "minutes.json")).last(1, in_each=15)

    assert span.judged == {"strict/refuse/gore": 2, "strict/allow/": 2}
    assert span.looked_at == {"discord/shown": 16, "discord/withheld": 2}
    assert (span.strike_count, span.strike_block_count, span.report_count) == (4, 2, 2)


def test_what_a_version_wrote_that_counted_less_is_read_all_the_same(tmp_path: Path) -> None:
    clock = Clock()
    minutes = Minutes(clock)
    deliver(minutes, 0.2)
    minutes.save(path := tmp_path / "minutes.json")
    (kept,) = json.loads(path.read_text())
    for name in ("judged", "looked_at", "strike_count", "strike_block_count", "report_count"):
        del kept[name]
    path.write_text(json.dumps([kept]))

    assert Minutes(clock, read_minutes(path)).last(60) == minutes.last(60)


def test_what_could_not_be_read_leaves_the_minute_as_it_was() -> None:
    minutes = Minutes(Clock())
    minutes.look(vitals(5))
    minutes.look(Vitals(at=NOON))

    assert minutes.last(1)[0].waiting_count == 5


def test_more_than_a_day_is_forgotten() -> None:
    clock = Clock()
    minutes = Minutes(clock)
    for _ in range(KEPT_COUNT + 5):
        minutes.accepted(a_job())
        clock.advance(timedelta(minutes=1))

    assert repr(minutes) == f"<Minutes {KEPT_COUNT} kept>"


def test_a_clock_that_is_set_back_loses_nothing() -> None:
    clock = Clock()
    minutes = Minutes(clock)
    minutes.accepted(a_job())
    clock.advance(timedelta(minutes=-10))
    minutes.accepted(a_job())

    clock.advance(timedelta(minutes=10))
    assert minutes.last(1)[0].accepted_count == 2


def test_what_was_saved_is_read_back_whole(tmp_path: Path) -> None:
    clock = Clock()
    minutes = Minutes(clock)
    deliver(minutes, 0.2, 3.0)
    minutes.refused(Platform.X, "blocked")
    minutes.look(vitals(9))
    minutes.save(tmp_path / "minutes.json")

    again = Minutes(clock, read_minutes(tmp_path / "minutes.json"))

    assert again.last(60) == minutes.last(60)
    assert [path.name for path in tmp_path.iterdir()] == ["minutes.json"]


@pytest.mark.parametrize("content", ["", "[", "[1]", '{"a": 1}', '[{"number": "x"}]', '["a"]'])
def test_a_file_that_makes_no_sense_is_no_history(
    content: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "minutes.json"
    path.write_text(content)

    assert read_minutes(path) == []
    told = " ".join(caplog.messages)
    assert told.startswith("history of the admin page not read error=")


def test_without_a_file_there_is_no_history(tmp_path: Path) -> None:
    assert read_minutes(tmp_path / "minutes.json") == []
