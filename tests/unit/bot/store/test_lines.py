from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from bot.store.lines import Line, joined, left, served, turn_of

COUNT = 9


@dataclass(slots=True)
class House:
    """Serves lines of people by the arithmetic alone, as the store does with its rows."""

    lines: dict[str, Line] = field(default_factory=dict[str, Line])
    open_counts: Counter[str] = field(default_factory=Counter[str])
    waiting: dict[str, list[tuple[int, int, str, int]]] = field(
        default_factory=dict[str, list[tuple[int, int, str, int]]]
    )
    served_until: int = 0
    number: int = 0

    def send(self, line: str, who: str, count: int = COUNT) -> None:
        before = self.lines.get(line, Line())
        turn = turn_of(before, self.open_counts[who])
        self.open_counts[who] += count
        self.lines[line] = joined(before, self.served_until)
        self.number += 1
        self.waiting.setdefault(line, []).append((turn, self.number, who, count))

    def serve(self) -> tuple[str, str]:
        due = [(line.due, name) for name, line in self.lines.items() if line.waiting_count]
        name = min(due)[1]
        turn, number, who, count = min(self.waiting[name])
        self.waiting[name].remove((turn, number, who, count))
        self.served_until = max(self.served_until, self.lines[name].due)
        self.lines[name] = served(self.lines[name], turn=turn, picture_count=count)
        self.open_counts[who] -= count
        return name, who

    def order(self, count: int) -> str:
        return " ".join(self.serve()[1] for _ in range(count))


def test_the_example_of_the_module_holds() -> None:
    house = House()
    for _ in range(5):
        house.send("guild", "ada")
    assert house.order(2) == "ada ada"

    house.send("guild", "bob")

    assert house.order(4) == "bob ada ada ada"


def test_people_of_a_line_take_turns_however_many_jobs_each_has() -> None:
    house = House()
    for who, jobs in (("ada", 4), ("bob", 4), ("eve", 1)):
        for _ in range(jobs):
            house.send("guild", who)

    assert house.order(9) == "ada bob eve ada bob ada bob ada bob"


def test_lines_take_turns_however_many_people_each_has() -> None:
    house = House()
    for number in range(6):
        house.send("crowd", f"c{number}")
    house.send("pair", "p0")
    house.send("pair", "p1")

    assert house.order(8) == "c0 p0 c1 p1 c2 c3 c4 c5"


def test_a_line_that_was_empty_saves_up_no_turns() -> None:
    house = House()
    for number in range(20):
        house.send("crowd", f"c{number}")
    house.order(10)

    for number in range(4):
        house.send("late", f"l{number}")

    assert Counter(name for name, _ in (house.serve() for _ in range(8))) == {
        "crowd": 4,
        "late": 4,
    }


def test_bigger_requests_come_less_often() -> None:
    house = House()
    for number in range(12):
        house.send("nines", f"n{number}", 9)
        house.send("threes", f"t{number}", 3)

    names = [house.serve()[0] for _ in range(12)]

    assert Counter(names) == {"threes": 9, "nines": 3}


def test_a_job_that_leaves_unserved_takes_nobodys_turn() -> None:
    line = joined(joined(Line(), 0), 0)

    assert left(line) == Line(waiting_count=1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=40))
def test_everybody_who_waits_is_served_once(sent: list[tuple[str, str]]) -> None:
    house = House()
    for line, who in sent:
        house.send(line, line + who)

    served_names = [house.serve()[1] for _ in sent]

    assert Counter(served_names) == Counter(line + who for line, who in sent)
    assert all(line.waiting_count == 0 for line in house.lines.values())


@given(
    crowd=st.integers(1, 30),
    before=st.integers(0, 30),
    sizes=st.lists(st.integers(1, 16), min_size=1, max_size=8),
)
def test_a_newcomer_waits_for_one_job_of_each_line_at_most(
    crowd: int, before: int, sizes: list[int]
) -> None:
    """Two busy lines and a new one with a single job: it comes third at the latest."""
    house = House()
    queue = deque(sizes)
    for number in range(crowd + before):
        for line in ("one", "two"):
            house.send(line, f"{line}{number % 3}", queue[0])
            queue.rotate()
    for _ in range(min(before, 2 * crowd)):
        house.serve()

    house.send("new", "n", 1)

    assert "new" in [house.serve()[0] for _ in range(3)]
