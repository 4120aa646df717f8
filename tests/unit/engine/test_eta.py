"""How right the forecasts are, on a machine whose two threads share one clock to move."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.api import Drawing, Drawn, DrawRequest, Queued
from engine.line import RequestId
from engine.loop import EngineLoop
from engine.messages import Draw, Told
from tests.support.arithmetic_runner import CHUNK_COUNT, TOKEN_COUNT, ArithmeticRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from engine.messages import FromEngine

SLOT_COUNT = 8
OUTSTANDING_COUNT = 15
REQUEST_COUNT = 120
WARMING_UP = 30


class Machine:
    """An engine loop whose steps and renderings take the time they are said to take.

    The second thread is a real one, but it runs only when the clock of the first has passed
    what it waits for, and the first waits meanwhile: every run is the same.
    """

    def __init__(self, *, chunk_s: float, picture_s: float, jitter: float) -> None:
        self.random = Random(1)  # noqa: S311 - the same luck each time
        self.now_s = 0.0
        self.picture_s = picture_s
        self.aside = Aside()
        self.runner = TimedRunner(self, chunk_s=chunk_s, jitter=jitter)
        self.told: list[tuple[float, Told]] = []
        self.done_count = 0
        self.loop = EngineLoop(
            self.runner,
            self.send,
            submit=lambda work: self.aside.submit(self.now_s, work),
            max_waiting_pictures=10_000,
            clock=self.clock,
        )

    def clock(self) -> float:
        return self.aside.now_s if self.aside.is_here() else self.now_s

    def send(self, message: FromEngine) -> None:
        if isinstance(message, Told):
            self.told.append((self.clock(), message))
            self.done_count += isinstance(message.event, Drawn)

    def ask(self, name: int, requester: str, picture_count: int) -> None:
        request = DrawRequest(prompt="a cat", picture_count=picture_count, seed=name)
        self.loop.receive(
            Draw(
                request_id=RequestId(name),
                request=request,
                requester=requester,
                asked_at_s=self.now_s,
            )
        )

    def turn(self) -> None:
        if self.loop.is_idle:
            self.now_s = max(self.now_s, self.aside.wakes_at_s())
        else:
            self.loop.turn()
        self.aside.run_until(self.now_s)


class Aside:
    """A second thread with a clock of its own, which runs while the first one waits."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.work: deque[tuple[float, Callable[[], None]]] = deque()
        self.thread: threading.Thread | None = None
        self.sleeps_until_s = 0.0
        self.go = threading.Semaphore(0)
        self.rested = threading.Semaphore(0)

    def is_here(self) -> bool:
        return threading.current_thread() is self.thread

    def submit(self, now_s: float, work: Callable[[], None]) -> None:
        self.work.append((now_s, work))

    def sleep(self, seconds: float) -> None:
        assert self.is_here(), "the first thread renders nothing"
        self.sleeps_until_s = self.now_s + seconds
        self.rested.release()
        self.go.acquire()
        self.now_s = self.sleeps_until_s

    def wakes_at_s(self) -> float:
        return self.sleeps_until_s if self.thread else max(self.now_s, self.work[0][0])

    def run_until(self, now_s: float) -> None:
        while (self.thread or self.work) and self.wakes_at_s() <= now_s:
            if self.thread is None:
                submitted_at_s, work = self.work.popleft()
                self.now_s = max(self.now_s, submitted_at_s)
                self.thread = threading.Thread(target=self._run, args=[work], daemon=True)
                self.thread.start()
            else:
                self.go.release()
            self.rested.acquire()

    def _run(self, work: Callable[[], None]) -> None:
        work()
        self.thread = None
        self.rested.release()


class TimedRunner(ArithmeticRunner):
    """Only takes its time: nobody looks at these pictures."""

    def __init__(self, machine: Machine, *, chunk_s: float, jitter: float) -> None:
        super().__init__(Path("/nowhere"), SLOT_COUNT)
        self.machine = machine
        self.chunk_s = chunk_s
        self.jitter = jitter

    def step(self) -> None:
        luck = self.machine.random.uniform(1 - self.jitter, 1 + self.jitter)
        self.machine.now_s += self.chunk_s * luck

    def tokens(self, slots: Sequence[int]) -> NDArray[np.int32]:
        assert not self.machine.aside.is_here(), "the second thread reads no slots"
        return np.zeros((len(slots), TOKEN_COUNT), np.int32)

    def render(self, tokens: NDArray[np.int32]) -> NDArray[np.uint8]:
        self.machine.aside.sleep(len(tokens) * self.machine.picture_s)
        return np.zeros((len(tokens), 1, 1, 3), np.uint8)


@pytest.mark.parametrize("people", ["come and go", "come again"])
@pytest.mark.parametrize(
    ("chunk_s", "picture_s"),
    [(0.5, 0.05), (0.05, 0.5), (0.5, 1.9)],
    ids=["drawing is slow", "rendering is slow", "both take as long"],
)
def test_on_a_steady_load_a_forecast_is_right_within_a_quarter(
    chunk_s: float, picture_s: float, people: str
) -> None:
    """As many requests come as leave: of ever new people, or of three with five each.

    The latter ask for as many pictures each time. If they did not, those who ask for few
    would come again and rightly overtake the others, which no forecast can know.
    """
    machine = Machine(chunk_s=chunk_s, picture_s=picture_s, jitter=0.2)
    asked = 0
    while machine.done_count < REQUEST_COUNT:
        while asked - machine.done_count < OUTSTANDING_COUNT:
            if people == "come and go":
                machine.ask(asked, f"person {asked}", machine.random.randint(1, 9))
            else:
                machine.ask(asked, f"person {asked % 3}", 4)
            asked += 1
        machine.turn()

    errors = forecast_errors(machine)
    assert len(errors) > REQUEST_COUNT
    assert max(errors) <= 0.25


def forecast_errors(machine: Machine) -> list[float]:
    """Of every forecast that was told, by which part of the time it was wrong.

    Not judged are the first requests, of which the speed is learned, and less than two
    chunks and a picture: forecasts are made between two chunks.
    """
    done_at_s = {t.request_id: at_s for at_s, t in machine.told if isinstance(t.event, Drawn)}
    least_s = 2 * machine.runner.chunk_s + machine.picture_s
    errors: list[float] = []
    for at_s, told in machine.told:
        event = told.event
        if told.request_id < WARMING_UP or told.request_id not in done_at_s:
            continue
        if isinstance(event, Queued | Drawing):
            assert event.eta_s is not None
            took_s = done_at_s[told.request_id] - at_s
            errors.append(abs(event.eta_s - took_s) / max(took_s, least_s))
    return errors


def test_a_request_alone_is_forecast_from_its_second_picture_on() -> None:
    machine = Machine(chunk_s=0.5, picture_s=1.0, jitter=0.0)
    for name in range(2):
        machine.ask(name, "ada", 4)
        while machine.done_count <= name:
            machine.turn()

    etas = [t.event.eta_s for _, t in machine.told if isinstance(t.event, Queued | Drawing)]
    assert etas[0] is None
    second = [
        t.event.eta_s
        for _, t in machine.told
        if t.request_id == 1 and isinstance(t.event, Queued | Drawing)
    ]
    assert second[0] == pytest.approx(CHUNK_COUNT * 0.5 + 4 * 1.0)
    assert second[-1] == pytest.approx(4 * 1.0)


@pytest.mark.parametrize("picture_s", [0.05, 3.0], ids=["drawing is slow", "rendering is slow"])
def test_a_newcomer_far_behind_is_forecast_too(picture_s: float) -> None:
    machine = Machine(chunk_s=0.1, picture_s=picture_s, jitter=0.0)
    machine.ask(0, "first", 8)
    while not machine.done_count:
        machine.turn()
    for name in range(1, 101):
        machine.ask(name, f"person {name}", 3)
    (forecast,) = [t.event for _, t in machine.told if t.request_id == 100]
    asked_at_s = machine.now_s

    while machine.done_count <= 100:
        machine.turn()

    assert isinstance(forecast, Queued)
    assert (forecast.pictures_ahead, forecast.eta_s) == (
        297,
        pytest.approx(machine.told[-1][0] - asked_at_s, rel=0.05),
    )
