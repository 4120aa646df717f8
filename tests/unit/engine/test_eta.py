"""How right the forecasts are, on a machine whose two threads share one clock to move."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from engine.api import Drawing, Drawn, DrawRequest, Queued
from engine.line import RequestId
from engine.loop import EngineLoop
from engine.messages import Draw, Told
from tests.support.arithmetic_runner import CHUNK_COUNT, ArithmeticRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from engine.messages import FromEngine

SLOT_COUNT = 8
OUTSTANDING = 15
REQUEST_COUNT = 120
WARMING_UP = 30


class Machine:
    """An engine loop whose steps and renderings take the time they are said to take.

    The second thread works while the first does: a piece of work is done as soon as the
    clock of the first has reached its end.
    """

    def __init__(self, *, chunk_s: float, picture_s: float, jitter: float) -> None:
        self.random = Random(1)
        self.now_s = 0.0
        self.aside_s: float | None = None  # the time in the second thread while it works
        self.free_at_s = 0.0
        self.work: deque[tuple[float, Callable[[], None]]] = deque()
        self.picture_s = picture_s
        self.runner = TimedRunner(self, chunk_s=chunk_s, jitter=jitter)
        self.told: list[tuple[float, Told]] = []
        self.loop = EngineLoop(
            self.runner,
            self.send,
            submit=lambda work: self.work.append((self.now_s, work)),
            max_waiting_pictures=10_000,
            clock=self.clock,
        )

    def clock(self) -> float:
        return self.now_s if self.aside_s is None else self.aside_s

    def send(self, message: FromEngine) -> None:
        if isinstance(message, Told):
            self.told.append((self.clock(), message))

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
            self.now_s = max(self.now_s, self.end_of_work_s())
        else:
            self.loop.turn()
        while self.work and self.end_of_work_s() <= self.now_s:
            begun_at_s, work = self.work.popleft()
            self.aside_s = max(self.free_at_s, begun_at_s)
            work()
            self.free_at_s, self.aside_s = self.aside_s, None

    def end_of_work_s(self) -> float:
        """When the first piece of work will be done."""
        picture_count = next(iter(vars(vars(self.loop)["_finisher"])["_pictures"].values()))
        begun_at_s = max(self.free_at_s, self.work[0][0])
        return begun_at_s + picture_count * self.picture_s

    def advance_aside(self, seconds: float) -> None:
        assert self.aside_s is not None, "the first thread renders nothing"
        self.aside_s += seconds


class TimedRunner(ArithmeticRunner):
    def __init__(self, machine: Machine, *, chunk_s: float, jitter: float) -> None:
        super().__init__(Path("/nowhere"), SLOT_COUNT)
        self.machine = machine
        self.chunk_s = chunk_s
        self.jitter = jitter

    def step(self) -> None:
        luck = self.machine.random.uniform(1 - self.jitter, 1 + self.jitter)
        self.machine.now_s += self.chunk_s * luck
        super().step()

    def tokens(self, slots: Sequence[int]) -> NDArray[np.int32]:
        assert self.machine.aside_s is None
        return super().tokens(slots)

    def render(self, tokens: NDArray[np.int32]) -> NDArray[np.uint8]:
        self.machine.advance_aside(len(tokens) * self.machine.picture_s)
        return super().render(tokens)


@pytest.mark.parametrize("requester_count", [3, 1_000], ids=["few people", "many people"])
@pytest.mark.parametrize(
    ("chunk_s", "picture_s"),
    [(0.5, 0.05), (0.05, 0.5), (0.5, 1.9)],
    ids=["drawing is slow", "rendering is slow", "both take as long"],
)
def test_on_a_steady_load_a_forecast_is_right_within_a_quarter(
    chunk_s: float, picture_s: float, requester_count: int
) -> None:
    machine = Machine(chunk_s=chunk_s, picture_s=picture_s, jitter=0.3)
    asked = done = 0
    while done < REQUEST_COUNT:
        while asked - done < OUTSTANDING:  # as many come as leave
            machine.ask(asked, f"person {asked % requester_count}", machine.random.randint(1, 9))
            asked += 1
        machine.turn()
        done = sum(isinstance(told.event, Drawn) for _, told in machine.told)

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
        while not any(isinstance(t.event, Drawn) and t.request_id == name for _, t in machine.told):
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
