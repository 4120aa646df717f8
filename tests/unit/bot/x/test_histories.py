"""The invariants of the X adapter, in thousands of random histories.

I1 every mention up to the cursor is stored · I2 X holds at most one reply to a mention ·
I3 every mention ends in a final state · I4 nobody is answered after "stop" · I5 a day costs
no more than its limit · I6 no call before a rate limit is over · I7 no answer to oneself, to
implicit mentions or retweets · I8 no reply repeats a word of the person, a link or a name ·
I9 a restart on a finished database does nothing. And nobody's mention is lost.

The suite runs the same ones every time; ``HISTORIES=20000`` (``make soak``) runs others, and more.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.inline_database import InlineDatabase
from tests.support.x_histories import (
    COMMITTED,
    HARMLESS,
    LATE,
    LOST,
    REFUSED,
    BadCall,
    Event,
    Plan,
    Tally,
    live_through,
)
from tests.support.x_world import (
    CREATE,
    DELETE,
    ME,
    MENTIONS,
    METADATA,
    OWN_POSTS,
    SEARCH,
    UPLOAD,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HISTORIES = int(os.environ.get("HISTORIES", "1200"))
IS_SOAK = "HISTORIES" in os.environ
LAST_S = 400

events = st.builds(
    Event,
    st.integers(5, LAST_S),
    st.sampled_from(
        [
            *["mention"] * 7, "burst", "edit", "vanish", "stop", "start", "help", "delete",
            "implicit", "tag", "retweet", "show", "quote", "block", "restrict", "protect",
            "suspend",
        ]
    ),
    st.integers(0, 5),
)  # fmt: skip

# Most things go wrong from the beginning on: what goes wrong after all is done matters to nobody.
moments = st.sampled_from([0, 0, 0, 30, 100, 250])
bad_posts = st.builds(
    BadCall, moments, st.just(CREATE), st.sampled_from([*COMMITTED, *LATE, *LOST, *REFUSED])
)
doubtful_posts = st.builds(BadCall, moments, st.just(CREATE), st.sampled_from([*COMMITTED, *LATE]))
bad_others = st.builds(
    BadCall,
    moments,
    st.sampled_from([MENTIONS, OWN_POSTS, UPLOAD, METADATA, SEARCH, DELETE]),
    st.sampled_from(HARMLESS),
)
# A 401 at the start ends the process with a sentence, and no history goes on.
bad_starts = st.builds(BadCall, moments, st.just(ME), st.sampled_from([*LOST, REFUSED[0]]))
plans = st.builds(
    Plan,
    events=st.lists(events, min_size=1, max_size=6),
    bad_calls=st.lists(doubtful_posts | bad_posts | bad_others | bad_starts, max_size=6),
    deaths=st.lists(st.integers(1, 140), max_size=3),
    down_s=st.sampled_from([1, 30, 400]),
    errors=st.lists(st.sampled_from(["busy", "failed"]), max_size=1),
    mention_lag_s=st.sampled_from([0, 50]),
    own_lag_s=st.sampled_from([0, 40, 120]),
    page_size=st.sampled_from([100, 5]),
    reachable_count=st.sampled_from([800, 6]),
    has_stuck_tokens=st.booleans(),
    uses_new_names=st.booleans(),
    forbids_duplicates=st.sampled_from([False, False, True]),
    daily_usd=st.sampled_from([0.0, 0.0, 0.0, 0.0, 0.6]),
    posts_per_15_min=st.sampled_from([100, 100, 2]),
)


@pytest.fixture(scope="module")
def database() -> Iterator[InlineDatabase]:
    opened = InlineDatabase()
    yield opened
    opened.close()


@pytest.mark.long
@pytest.mark.timeout(900 + HISTORIES)
def test_in_any_history_each_mention_is_answered_once_and_every_promise_holds(
    database: InlineDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = Tally()

    @settings(
        max_examples=HISTORIES,
        derandomize=not IS_SOAK,  # the same ones in every run of the suite, others in a soak
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(plan=plans)
    def holds(plan: Plan) -> None:
        history = live_through(plan, database)
        tally.counts += history.counts
        assert history.problems == []

    holds()

    with capsys.disabled():
        print(f"\nX: {tally}")  # noqa: T201 (the numbers that the README promises)
    assert tally.counts["histories"] >= HISTORIES
    assert (tally.counts["doubles"], tally.counts["lost"]) == (0, 0)
