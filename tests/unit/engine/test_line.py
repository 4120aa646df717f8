from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.api import Priority
from engine.line import FairLine, RequestId

REQUESTERS = "abcd"
MAX_COUNT = 16


def line_of(*requests: tuple[int, str, int]) -> FairLine:
    """A line of (name, requester, picture count)."""
    line = FairLine()
    for name, requester, count in requests:
        line.put(RequestId(name), count, requester, Priority.NORMAL)
    return line


def emptied(line: FairLine) -> list[int]:
    return [line.pop() for _ in range(len(line))]


def test_a_requester_alone_is_served_first_come_first_served() -> None:
    assert emptied(line_of((1, "ada", 9), (2, "ada", 1), (3, "ada", 4))) == [1, 2, 3]


def test_requesters_take_turns() -> None:
    line = line_of((1, "ada", 4), (2, "ada", 4), (3, "ada", 4), (4, "bob", 4), (5, "bob", 4))

    assert emptied(line) == [1, 4, 2, 5, 3]


def test_who_asks_for_many_pictures_waits_for_those_who_ask_for_few() -> None:
    line = line_of(
        (1, "ada", 8), (2, "ada", 8), (3, "bob", 2), (4, "bob", 2), (5, "bob", 2), (6, "bob", 2)
    )

    assert emptied(line) == [1, 3, 4, 5, 6, 2]


def test_a_newcomer_has_no_credit_for_the_time_before() -> None:
    line = line_of(*((name, "ada", 4) for name in range(10)), (100, "bob", 4))
    for _ in range(6):
        line.pop()
    for name in range(20, 24):
        line.put(RequestId(name), 4, "eve", Priority.NORMAL)

    assert emptied(line) == [20, 5, 21, 6, 22, 7, 23, 8, 9]


def test_what_is_cancelled_before_its_turn_costs_nothing() -> None:
    line = line_of((1, "ada", 1), (2, "ada", 16), (3, "ada", 16), (4, "bob", 1), (5, "bob", 1))
    line.pop()
    line.remove(RequestId(2))
    line.remove(RequestId(3))
    line.put(RequestId(6), 1, "ada", Priority.NORMAL)

    assert emptied(line) == [4, 6, 5]


def test_when_nobody_waits_all_charges_are_forgotten() -> None:
    line = line_of((1, "ada", 16))
    line.pop()

    line.put(RequestId(2), 1, "ada", Priority.NORMAL)
    line.put(RequestId(3), 1, "bob", Priority.NORMAL)

    assert emptied(line) == [2, 3]


requests = st.lists(
    st.tuples(st.sampled_from(REQUESTERS), st.integers(1, MAX_COUNT)), min_size=1, max_size=60
)


@settings(deadline=None)
@given(asked=requests, taken=st.integers(0, 60))
def test_the_forecast_is_the_order_in_which_they_are_taken(
    asked: list[tuple[str, int]], taken: int
) -> None:
    line = line_of(*((name, who, count) for name, (who, count) in enumerate(asked)))
    for _ in range(min(taken, len(line))):
        line.pop()

    assert list(line.order()) == emptied(line)


@settings(deadline=None)
@given(asked=requests)
def test_no_two_who_wait_get_further_apart_than_a_request_each(
    asked: list[tuple[str, int]],
) -> None:
    line = line_of(*((name, who, count) for name, (who, count) in enumerate(asked)))
    waiting = Counter(who for who, _ in asked)
    served = Counter(dict.fromkeys(waiting, 0))

    while len(line):
        who, count = asked[line.pop()]
        before = [served[other] for other, left in waiting.items() if left]
        assert served[who] == min(before)
        served[who] += count
        waiting[who] -= 1
        still = [served[other] for other, left in waiting.items() if left]
        assert not still or max(still) - min(still) <= MAX_COUNT


@settings(deadline=None)
@given(asked=requests, count=st.integers(1, MAX_COUNT))
def test_a_newcomer_waits_for_no_more_than_one_request_of_everybody_else(
    asked: list[tuple[str, int]], count: int
) -> None:
    line = line_of(*((name, who, n) for name, (who, n) in enumerate(asked)))
    for _ in range(len(line) // 2):
        line.pop()

    line.put(RequestId(1_000), count, "newcomer", Priority.NORMAL)

    ahead = list(line.order())
    ahead = ahead[: ahead.index(RequestId(1_000))]
    pictures = Counter[str]()
    for name in ahead:
        who, n = asked[name]
        assert pictures[who] < MAX_COUNT, "nobody is served again who has had as much as anyone"
        pictures[who] += n


def test_nothing_is_remembered_of_those_who_have_gone() -> None:
    line = line_of((0, "stays", 16), (1, "stays", 16))
    for name in range(2, 5_000):
        line.put(RequestId(name), 1, f"person {name}", Priority.NORMAL)
        line.pop()
        if name % 10 == 0:
            line.put(RequestId(10_000 + name), 16, "stays", Priority.NORMAL)
    emptied(line)

    assert vars(vars(line)["_classes"][Priority.NORMAL])["_turns"] == []
