"""Lets two processes share the tests: who runs when, and what they have in common.

A pytest plugin (see ``tests/conftest.py``). What is marked ``alone`` measures time: it waits
until the other process is between two tests, and the other one then waits for it. What is marked
``long`` begins first, so that no process still works on it when the other has nothing left, and
what is ``alone`` comes last, so that it need not wait for what is long. Where pytest-xdist does
not run, nothing else does at the same time anyway.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

_FOLDER = "turns_folder"  # a worker's input of this name is where the locks are
_held = pytest.StashKey[str]()


class Turns:
    """A room that holds many at once, or one alone; and a gate before it.

    Whoever waits for the room to be empty stands in the gate, so that nobody goes in before.
    """

    def __init__(self, folder: Path) -> None:
        self._room = folder / "room"
        self._gate = folder / "gate"

    @contextmanager
    def among_others(self) -> Generator[None]:
        """Be in the room; nobody is there alone meanwhile."""
        with self._passing(fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self) -> Generator[None]:
        """Be in the room; nobody else is there meanwhile."""
        with self._passing(fcntl.LOCK_EX):
            yield

    @contextmanager
    def _passing(self, kind: int) -> Generator[None]:
        with self._room.open("a") as room:
            with self._gate.open("a") as gate:
                fcntl.flock(gate, fcntl.LOCK_EX)
                fcntl.flock(room, kind)
            yield


def pytest_configure(config: pytest.Config) -> None:
    """Explain the marks."""
    config.addinivalue_line("markers", "alone: no other test runs meanwhile, for it measures time")
    config.addinivalue_line("markers", "long: begins before all others, for it takes a minute")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put whole files with a long test first and those with one alone last, else as they are."""
    place = {"long": 0, "alone": 2}
    places = {
        item.path: place[m.name] for item in items for m in item.iter_markers() if m.name in place
    }
    items.sort(key=lambda item: places.get(item.path, 1))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each worker of pytest-xdist where the locks are."""
    config = cast("pytest.Config", node.config)
    if _held not in config.stash:
        folder = tempfile.TemporaryDirectory(prefix="imagine-turns-")
        config.add_cleanup(folder.cleanup)
        config.stash[_held] = folder.name
    node.workerinput[_FOLDER] = config.stash[_held]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Take a turn before the time limit of the test begins."""
    workerinput = cast("dict[str, Any] | None", getattr(item.config, "workerinput", None))
    if workerinput is None:
        return (yield)
    turns = Turns(Path(workerinput[_FOLDER]))
    is_alone = item.get_closest_marker("alone") is not None
    with turns.alone() if is_alone else turns.among_others():
        return (yield)


def own_share(numbers: range) -> range:
    """Those of the numbers that no other worker of this run uses."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    count = os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
    return numbers[int(worker) :: int(count)]


def compiled_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for compiled programs, the slow part of a start, that all workers share."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    compiled = folder / "compiled"
    compiled.mkdir(exist_ok=True)
    return compiled
