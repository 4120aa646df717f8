"""The turns that tests take, of which nothing is seen unless something goes wrong."""

from __future__ import annotations

import fcntl
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.turns import Turns, own_share, pytest_collection_modifyitems

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def turns(tmp_path: Path) -> Turns:
    return Turns(tmp_path)


def is_open(path: Path, kind: int) -> bool:
    """Whether this lock could be had now."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_many_tests_run_among_others(turns: Turns, tmp_path: Path) -> None:
    with turns.among_others(), turns.among_others():
        assert is_open(tmp_path / "gate", fcntl.LOCK_EX)


def test_beside_a_test_that_is_alone_no_other_runs(turns: Turns, tmp_path: Path) -> None:
    with turns.alone():
        assert not is_open(tmp_path / "room", fcntl.LOCK_SH)

    assert is_open(tmp_path / "room", fcntl.LOCK_EX)


def test_whoever_wants_to_be_alone_is_next(turns: Turns, tmp_path: Path) -> None:
    done = list[str]()

    def take_a_turn() -> None:
        with turns.alone():
            done.append("alone")

    # Another process's test, as a thread: each of its locks is a file of its own.
    other = threading.Thread(target=take_a_turn)
    with turns.among_others():
        other.start()
        while is_open(tmp_path / "gate", fcntl.LOCK_EX):
            pass  # it is on its way
        done.append("the one before")
    other.join()

    assert done == ["the one before", "alone"]


def test_a_turn_ends_with_an_error_too(turns: Turns, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a test"), turns.alone():
        raise ValueError("a test failed")

    assert is_open(tmp_path / "room", fcntl.LOCK_EX)


def test_the_workers_of_a_run_share_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(range(10)) >= {*own_share(range(10))}
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    shares: list[list[int]] = []
    for worker in ("gw0", "gw1"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        shares.append([*own_share(range(10))])

    assert shares == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]


class _Item(pytest.Item):
    def runtest(self) -> None:
        raise NotImplementedError


def test_files_with_a_long_test_are_first_and_those_with_one_alone_last(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    items: list[pytest.Item] = [
        _Item.from_parent(request.session, name=name, path=tmp_path / file)  # pyright: ignore[reportUnknownMemberType] # pytest's
        for file, name in zip(["d.py", "b.py", "a.py", "c.py", "c.py"], "DBACc", strict=True)
    ]
    items[0].add_marker("alone")
    items[4].add_marker("long")

    pytest_collection_modifyitems(items)

    assert [item.name for item in items] == [*"CcBAD"]
