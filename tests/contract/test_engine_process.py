"""The engine process under everything that can happen to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.api import (
    CheckpointError,
    Drawing,
    DrawingFailedError,
    Drawn,
    DrawRequest,
    EngineBusyError,
    EngineClosedError,
    EngineError,
    Queued,
    SamplingOptions,
)
from engine.client import EngineProcess
from tests.support import arithmetic_runner
from tests.support.arithmetic_runner import expected_tokens
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from engine.api import DrawEvent

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30.0


def new_engine(folder: Path, **changes: Any) -> EngineProcess:
    options: dict[str, Any] = {
        "checkpoint_dir": folder,
        "slot_count": 4,
        "restart_delay_s": 0.01,
        "runner_loader": arithmetic_runner.LOADER,
    }
    return EngineProcess(**(options | changes))


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EngineProcess]:
    async with running(new_engine(tmp_path)) as engine:
        yield engine


@contextlib.asynccontextmanager
async def running(engine: EngineProcess) -> AsyncGenerator[EngineProcess]:
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


class Gate:
    """Lets no chunk be drawn but one by one, until it is opened."""

    def __init__(self, folder: Path) -> None:
        self._hold, self._pass = folder / "hold", folder / "pass"
        self._hold.touch()

    async def step_until(self, is_so: Callable[[], bool]) -> None:
        """Draw chunks: what came in is read after each. A picture takes many."""

        def is_so_after_a_chunk() -> bool:
            self._pass.touch()
            return is_so()

        await until(is_so_after_a_chunk)
        self._pass.unlink(missing_ok=True)

    def open(self) -> None:
        self._hold.unlink()


class Asked:
    """A request that is drawn in a task of its own; its events and its end are kept."""

    def __init__(self, engine: EngineProcess, prompt: str, count: int = 1, seed: int = 7) -> None:
        self.request = DrawRequest(prompt=prompt, picture_count=count, seed=seed)
        self.events: list[DrawEvent] = []
        self.task = asyncio.create_task(self._draw(engine))

    async def _draw(self, engine: EngineProcess) -> Drawn:
        async for event in engine.draw(self.request):
            self.events.append(event)
        last = self.events[-1]
        assert isinstance(last, Drawn)
        return last

    @property
    def is_being_drawn(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], Drawing)

    @property
    def is_queued(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], Queued)

    async def drawn_as_expected(self) -> bool:
        drawn = await asyncio.wait_for(self.task, DEADLINE_S)
        tokens = {picture.index: picture.tokens for picture in drawn.pictures}
        return tokens == {
            index: expected_tokens(self.request.prompt, 7, index, SamplingOptions())
            for index in range(self.request.picture_count)
        }

    async def failure(self) -> tuple[type[EngineError], str]:
        with pytest.raises(EngineError) as caught:
            await asyncio.wait_for(self.task, DEADLINE_S)
        return type(caught.value), str(caught.value)


def kill(engine: EngineProcess) -> None:
    assert engine.process_id is not None
    os.kill(engine.process_id, signal.SIGKILL)


def is_gone(process_id: int) -> bool:
    """Whether a process computes no more (one that nobody buried yet counts as gone)."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_more_requests_than_slots_are_all_drawn_as_if_alone(engine: EngineProcess) -> None:
    asked = [Asked(engine, f"prompt {count}", count) for count in (1, 2, 4, 8, 16)]

    assert all([await request.drawn_as_expected() for request in asked])
    assert repr(engine) == "<EngineProcess ready, 0 requests, 0 restarts>"


async def test_a_request_without_a_seed_gets_one_that_draws_it_again(
    engine: EngineProcess,
) -> None:
    first = [e async for e in engine.draw(DrawRequest(prompt="a cat"))][-1]
    assert isinstance(first, Drawn)

    again = [e async for e in engine.draw(DrawRequest(prompt="a cat", seed=first.seed))][-1]

    assert isinstance(again, Drawn)
    assert again.pictures == first.pictures


async def test_a_request_given_up_in_drawing_leaves_nothing_behind(
    engine: EngineProcess, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    given_up, other = Asked(engine, "given up", 4), Asked(engine, "other")
    await gate.step_until(lambda: given_up.is_being_drawn and other.is_queued)

    given_up.task.cancel()
    await asyncio.wait([given_up.task])
    gate.open()

    assert await other.drawn_as_expected()
    assert repr(engine) == "<EngineProcess ready, 0 requests, 0 restarts>"


async def test_a_request_given_up_in_the_line_lets_the_next_one_move_up(
    engine: EngineProcess, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    first, given_up, last = Asked(engine, "a", 4), Asked(engine, "b", 4), Asked(engine, "c", 2)
    await gate.step_until(lambda: first.is_being_drawn and given_up.is_queued and last.is_queued)

    given_up.task.cancel()
    await asyncio.wait([given_up.task])
    gate.open()

    assert await first.drawn_as_expected()
    assert await last.drawn_as_expected()
    places = [event.pictures_ahead for event in last.events if isinstance(event, Queued)]
    assert places == [8, 4, 0]


async def test_a_request_for_a_full_line_is_refused_with_a_time(tmp_path: Path) -> None:
    async with running(new_engine(tmp_path, max_waiting_pictures=2)) as engine:
        gate = Gate(tmp_path)
        first = Asked(engine, "first", 4)
        second = Asked(engine, "second", 2)
        await gate.step_until(lambda: first.is_being_drawn and second.is_queued)

        third = Asked(engine, "third")
        gate.open()

        kind, sentence = await third.failure()
        assert (kind, sentence) == (EngineBusyError, "The engine is busy, try again in 1 s.")
        assert await second.drawn_as_expected()


async def test_requests_survive_a_kill_in_mid_drawing(
    engine: EngineProcess, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    asked = [Asked(engine, f"prompt {number}", 3) for number in range(4)]
    await gate.step_until(lambda: asked[1].is_being_drawn and asked[3].is_queued)

    kill(engine)
    gate.open()

    assert all([await request.drawn_as_expected() for request in asked])
    assert repr(engine) == "<EngineProcess ready, 0 requests, 1 restarts>"


async def test_an_accepted_request_keeps_its_place_through_a_restart_of_a_full_engine(
    tmp_path: Path,
) -> None:
    async with running(new_engine(tmp_path, max_waiting_pictures=4)) as engine:
        gate = Gate(tmp_path)
        asked = [Asked(engine, f"prompt {number}", 2) for number in range(4)]
        await gate.step_until(lambda: asked[1].is_being_drawn and asked[3].is_queued)

        kill(engine)
        gate.open()

        assert all([await request.drawn_as_expected() for request in asked])


async def test_a_request_that_kills_the_engine_once_is_drawn_all_the_same(
    engine: EngineProcess,
) -> None:
    assert await Asked(engine, "kill once", 2).drawn_as_expected()


async def test_a_request_that_kills_the_engine_twice_fails_and_the_others_go_on(
    engine: EngineProcess,
) -> None:
    deadly = Asked(engine, "kill always", 4)
    others = [Asked(engine, f"prompt {number}", 3) for number in range(3)]

    assert await deadly.failure() == (
        DrawingFailedError,
        "The engine broke twice over this request.",
    )
    assert all([await request.drawn_as_expected() for request in others])
    assert repr(engine) == "<EngineProcess ready, 0 requests, 2 restarts>"


async def test_a_request_that_breaks_fails_alone_and_the_log_says_why(
    engine: EngineProcess, caplog: pytest.LogCaptureFixture
) -> None:
    asked = [Asked(engine, "good"), Asked(engine, "unrankable"), Asked(engine, "fine")]

    assert await asked[1].failure() == (
        DrawingFailedError,
        "The engine broke while it was drawing this request.",
    )
    assert await asked[0].drawn_as_expected()
    assert await asked[2].drawn_as_expected()
    (line,) = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert line.startswith(
        "engine process says: engine.process: request failed request_id=2\nTraceback"
    )
    assert line.endswith("ValueError: unrankable")


async def test_a_broken_checkpoint_is_one_sentence_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    engine = new_engine(tmp_path)

    with pytest.raises(CheckpointError) as caught:
        await engine.start()

    assert str(caught.value) == f"The checkpoint in {tmp_path} is broken."
    assert repr(engine) == "<EngineProcess stopped, 0 requests, 0 restarts>"


async def test_closing_an_engine_that_is_starting_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "slow").touch()
    engine = new_engine(tmp_path)
    starting = asyncio.create_task(engine.start())
    await until(lambda: engine.process_id is not None)

    await engine.close()

    with pytest.raises(EngineClosedError, match=r"^The engine was closed\.$"):
        await starting
    assert repr(engine) == "<EngineProcess stopped, 0 requests, 0 restarts>"


async def test_a_start_that_is_given_up_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "slow").touch()
    engine = new_engine(tmp_path)
    starting = asyncio.create_task(engine.start())
    await until(lambda: engine.process_id is not None)
    process_id = engine.process_id
    assert process_id is not None

    starting.cancel()
    await asyncio.wait([starting])

    assert starting.cancelled()
    assert is_gone(process_id)


async def test_a_start_that_crashes_says_so_and_logs_the_last_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "defective").touch()

    with pytest.raises(EngineError) as caught:
        await new_engine(tmp_path).start()

    assert str(caught.value) == (
        "The engine process ended while it was starting (exit status 1); "
        "the log has its last words."
    )
    assert caplog.records[-1].getMessage().endswith("ZeroDivisionError: defective")


async def test_when_a_restart_fails_everyone_waiting_is_told_and_a_later_one_is_drawn(
    engine: EngineProcess, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    asked = [Asked(engine, "first", 4), Asked(engine, "second", 4)]
    await gate.step_until(lambda: asked[0].is_being_drawn and asked[1].is_queued)
    (tmp_path / "broken").touch()

    kill(engine)

    sentence = f"The checkpoint in {tmp_path} is broken."
    assert [await request.failure() for request in asked] == [(CheckpointError, sentence)] * 2
    gate.open()
    (tmp_path / "broken").unlink()
    assert await retried_until_drawn(engine)


async def retried_until_drawn(engine: EngineProcess) -> bool:
    """Ask again while a start that began before the checkpoint was whole still fails."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with contextlib.suppress(CheckpointError):
                return await Asked(engine, "again").drawn_as_expected()


async def test_close_ends_the_process_and_tells_those_who_wait(tmp_path: Path) -> None:
    engine = new_engine(tmp_path)
    await engine.start()
    gate = Gate(tmp_path)
    asked = [Asked(engine, "drawing", 4), Asked(engine, "waiting", 4)]
    await gate.step_until(lambda: asked[0].is_being_drawn and asked[1].is_queued)
    process_id = engine.process_id
    assert process_id is not None

    async with asyncio.timeout(5):
        await engine.close()

    sentence = "The engine was closed before the pictures were done."
    assert [await request.failure() for request in asked] == [(EngineClosedError, sentence)] * 2
    assert is_gone(process_id)
    assert await Asked(engine, "too late").failure() == (
        EngineClosedError,
        "The engine is not running.",
    )


async def test_a_closed_engine_can_be_started_again(engine: EngineProcess) -> None:
    await engine.close()

    await engine.start()

    assert await Asked(engine, "again").drawn_as_expected()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_to_the_whole_group_does_not_end_the_drawing(
    engine: EngineProcess, tmp_path: Path, number: signal.Signals
) -> None:
    gate = Gate(tmp_path)
    asked = Asked(engine, "a cat", 4)
    await gate.step_until(lambda: asked.is_being_drawn)
    assert engine.process_id is not None

    os.kill(engine.process_id, number)
    gate.open()

    assert await asked.drawn_as_expected()
    assert repr(engine) == "<EngineProcess ready, 0 requests, 0 restarts>"


PARENT = f"""
import asyncio, sys
from pathlib import Path
from engine.api import DrawRequest, Drawing
from engine.client import EngineProcess

async def main():
    engine = EngineProcess(
        checkpoint_dir=Path(sys.argv[1]), slot_count=4, runner_loader={arithmetic_runner.LOADER!r}
    )
    await engine.start()
    async for event in engine.draw(DrawRequest(prompt="a cat", seed=1)):
        if isinstance(event, Drawing):
            print(engine.process_id, flush=True)

asyncio.run(main())
"""


async def test_the_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    Gate(tmp_path)
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    process_id = int(await asyncio.wait_for(parent.stdout.readline(), DEADLINE_S))
    assert not is_gone(process_id)

    parent.kill()
    await parent.wait()

    await until(lambda: is_gone(process_id))


async def test_the_event_loop_keeps_ticking_while_many_pictures_come(
    engine: EngineProcess, record_testsuite_property: Callable[[str, object], None]
) -> None:
    clock = asyncio.get_running_loop().time
    longest_s = 0.0

    async def tick() -> None:
        nonlocal longest_s
        while True:
            before_s = clock()
            await asyncio.sleep(0)
            longest_s = max(longest_s, clock() - before_s)

    ticking = asyncio.create_task(tick())
    assert await Asked(engine, "many", 16).drawn_as_expected()
    ticking.cancel()

    record_testsuite_property("longest_block_ms", round(1000 * longest_s, 1))
    assert longest_s < 0.5  # 0.05 on a quiet machine; a loaded one may pause any process
