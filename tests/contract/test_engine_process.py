"""The engine process under everything that can happen to it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from engine.api import (
    CheckpointError,
    Drawing,
    DrawingFailedError,
    Drawn,
    DrawRequest,
    EngineBusyError,
    EngineClosedError,
    EngineError,
    EngineStats,
    InvalidRequestError,
    PicturesWithheldError,
    Queued,
    SamplingOptions,
)
from engine.client import MAX_WAITING_ERRANDS, EngineProcess
from engine.supervisor import MAX_FAILED_STARTS
from tests.support import arithmetic_runner
from tests.support.arithmetic_runner import TOKEN_COUNT, VOCABULARY, expected_tokens
from tests.support.ticking import shortest_longest_block_ms
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

    @property
    def is_drawn_but_not_finished(self) -> bool:
        last = self.events[-1] if self.events else None
        return isinstance(last, Drawing) and last.fraction == 1.0

    @property
    def places(self) -> list[int]:
        return [event.pictures_ahead for event in self.events if isinstance(event, Queued)]

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


OWN_TASKS = {"engine-watch", "engine-guard", "engine-stderr"}


async def until_free(engine: EngineProcess) -> None:
    """Wait until what was given up is out of the slots, at the next chunk."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            stats = await engine.stats()
            busy = stats.busy_slot_count, stats.finishing_picture_count
            if busy == (0, 0) and stats.waiting_picture_count == 0:
                return


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


async def test_a_request_given_up_while_it_is_finished_leaves_nothing_behind(
    engine: EngineProcess, tmp_path: Path
) -> None:
    (tmp_path / "stuck").touch()
    given_up, other = Asked(engine, "given up", 4), Asked(engine, "other")
    await until(lambda: given_up.is_drawn_but_not_finished and other.is_drawn_but_not_finished)

    given_up.task.cancel()
    await asyncio.wait([given_up.task])
    (tmp_path / "stuck").unlink()

    assert await other.drawn_as_expected()
    stats = await engine.stats()
    assert (stats.busy_slot_count, stats.finishing_picture_count) == (0, 0)
    assert repr(engine) == "<EngineProcess ready, 0 requests, 0 restarts>"


@pytest.mark.parametrize("events_seen", range(8))
async def test_a_request_given_up_after_any_event_frees_everything(
    engine: EngineProcess, events_seen: int
) -> None:
    request = DrawRequest(prompt="given up", picture_count=9, seed=1, preview=True)
    others = [Asked(engine, "a", 4), Asked(engine, "b", 4)]
    async with contextlib.aclosing(engine.draw(request)) as events:
        for _ in range(events_seen):
            if isinstance(await anext(events), Drawn):
                break

    assert all([await other.drawn_as_expected() for other in others])
    await until_free(engine)
    assert repr(engine) == "<EngineProcess ready, 0 requests, 0 restarts>"
    others_left = asyncio.all_tasks() - {asyncio.current_task()}
    assert {task.get_name() for task in others_left} == OWN_TASKS


async def test_the_next_is_drawn_while_the_last_is_finished(
    engine: EngineProcess, tmp_path: Path
) -> None:
    (tmp_path / "stuck").touch()
    asked = [Asked(engine, f"prompt {number}", 4) for number in range(3)]

    await until(lambda: all(request.is_drawn_but_not_finished for request in asked))

    (tmp_path / "stuck").unlink()
    assert all([await request.drawn_as_expected() for request in asked])


async def test_requests_survive_a_kill_while_they_are_finished(
    engine: EngineProcess, tmp_path: Path
) -> None:
    (tmp_path / "stuck").touch()
    asked = [Asked(engine, f"prompt {number}", 3) for number in range(3)]
    await until(lambda: all(request.is_drawn_but_not_finished for request in asked))

    kill(engine)
    (tmp_path / "stuck").unlink()

    assert all([await request.drawn_as_expected() for request in asked])


async def test_a_request_given_up_in_the_line_lets_the_next_one_move_up(
    engine: EngineProcess, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    first, given_up, last = Asked(engine, "a", 4), Asked(engine, "b", 4), Asked(engine, "c", 2)
    await gate.step_until(lambda: first.is_being_drawn and given_up.is_queued and last.is_queued)

    given_up.task.cancel()
    await asyncio.wait([given_up.task])
    await gate.step_until(lambda: last.is_being_drawn)
    gate.open()

    assert await first.drawn_as_expected()
    assert await last.drawn_as_expected()
    assert last.places[0] == 8


async def test_a_request_for_a_full_line_is_refused_with_a_time(tmp_path: Path) -> None:
    async with running(new_engine(tmp_path, max_waiting_pictures=2)) as engine:
        gate = Gate(tmp_path)
        first = Asked(engine, "first", 4)
        second = Asked(engine, "second", 2)
        await gate.step_until(lambda: first.is_being_drawn and second.is_queued)

        third = Asked(engine, "third")
        await gate.step_until(third.task.done)
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
    async with running(new_engine(tmp_path, max_waiting_pictures=2)) as engine:
        gate = Gate(tmp_path)
        first = Asked(engine, "first", 4)
        await gate.step_until(lambda: first.is_being_drawn)
        # Nobody waits when the second comes: it is taken although it is too long for the line.
        second = Asked(engine, "second", 16)
        await gate.step_until(lambda: second.is_queued)

        kill(engine)
        gate.open()

        assert await first.drawn_as_expected()
        assert await second.drawn_as_expected()


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
        "engine process says: engine.finisher: request failed request_id=2\nTraceback"
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


async def test_a_request_that_hangs_the_engine_is_drawn_by_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(new_engine(tmp_path, hang_limit_s=2.0)) as engine:
        hanging, other = Asked(engine, "hang once", 2), Asked(engine, "other", 3)

        assert await hanging.drawn_as_expected()
        assert await other.drawn_as_expected()

    assert "engine process killed: silent for 2 s" in [r.getMessage() for r in caplog.records]


async def test_a_start_that_crashes_is_tried_again_and_nobody_notices(
    engine: EngineProcess, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    asked = [Asked(engine, "first", 4), Asked(engine, "second", 4)]
    await gate.step_until(lambda: asked[0].is_being_drawn and asked[1].is_queued)
    (tmp_path / "defective").write_text(str(MAX_FAILED_STARTS - 1))

    kill(engine)
    gate.open()

    assert all([await request.drawn_as_expected() for request in asked])
    assert repr(engine) == f"<EngineProcess ready, 0 requests, {MAX_FAILED_STARTS} restarts>"


async def test_after_starts_that_all_crash_everyone_waiting_is_told(
    engine: EngineProcess, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    asked = Asked(engine, "first", 4)
    await gate.step_until(lambda: asked.is_being_drawn)
    (tmp_path / "defective").write_text(str(MAX_FAILED_STARTS))

    kill(engine)

    kind, sentence = await asked.failure()
    assert (kind, sentence) == (
        EngineError,
        (
            "The engine process ended while it was starting (exit status 1); the log has its "
            "last words."
        ),
    )
    gate.open()
    assert await Asked(engine, "later").drawn_as_expected()


async def test_requests_wait_while_the_engine_starts(tmp_path: Path) -> None:
    (tmp_path / "slow").touch()
    engine = new_engine(tmp_path)
    starting = asyncio.create_task(engine.start())
    await until(lambda: engine.process_id is not None)
    asked = [Asked(engine, "first", 4), Asked(engine, "second", 2)]
    await until(lambda: all(request.is_queued for request in asked))
    assert [request.events for request in asked] == [
        [Queued(pictures_ahead=0)],
        [Queued(pictures_ahead=4)],
    ]
    assert await engine.stats() == EngineStats(waiting_picture_count=6)

    (tmp_path / "slow").unlink()
    await starting

    assert all([await request.drawn_as_expected() for request in asked])
    await engine.close()


async def test_who_waits_for_a_start_that_fails_is_told_why(tmp_path: Path) -> None:
    (tmp_path / "slow").touch()
    (tmp_path / "defective").touch()
    engine = new_engine(tmp_path)
    starting = asyncio.create_task(engine.start())
    await until(lambda: engine.process_id is not None)
    asked = Asked(engine, "first")
    await until(lambda: asked.is_queued)

    (tmp_path / "slow").unlink()

    sentence = (
        "The engine process ended while it was starting (exit status 1); the log has its last "
        "words."
    )
    assert await asked.failure() == (EngineError, sentence)
    with pytest.raises(EngineError):
        await starting


@pytest.mark.parametrize(
    "keep", [(0,) * TOKEN_COUNT, (0,) * (TOKEN_COUNT + 1), (VOCABULARY,)], ids=len
)
async def test_kept_tokens_that_are_not_of_this_model_are_refused(
    engine: EngineProcess, keep: tuple[int, ...]
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await anext(engine.draw(DrawRequest(prompt="a cat", keep=keep)))

    assert str(caught.value) == (
        "The picture to complete was not drawn by this model (arithmetic): draw it anew, or "
        "upload it as a file."
    )
    assert repr(engine) == "<EngineProcess ready, 0 requests, 0 restarts>"


async def test_a_request_of_which_nothing_is_safe_fails_and_the_next_is_drawn(
    engine: EngineProcess, tmp_path: Path
) -> None:
    request = DrawRequest(prompt="a cat", picture_count=2, seed=7)
    before = await drawn(engine, request)
    (tmp_path / "explicit").write_text(" ".join(str(p.tokens[0]) for p in before.pictures))

    with pytest.raises(PicturesWithheldError, match="lets none of these pictures be shown"):
        await drawn(engine, request)

    (tmp_path / "explicit").unlink()
    assert (await drawn(engine, request)).pictures == before.pictures
    assert repr(engine) == "<EngineProcess ready, 0 requests, 0 restarts>"


async def test_a_picture_is_read_back_into_its_tokens_and_completed(engine: EngineProcess) -> None:
    first = await drawn(engine, DrawRequest(prompt="a cat", picture_count=2, seed=7))
    picture = first.pictures[0]

    tokens = await engine.encode(picture.png)
    completed = await drawn(
        engine, DrawRequest(prompt="a cat", picture_count=2, seed=7, keep=tokens[:40])
    )

    assert tokens == picture.tokens
    assert picture in [dataclasses.replace(p, png=picture.png) for p in completed.pictures]


async def test_a_picture_is_enlarged_four_times(engine: EngineProcess) -> None:
    picture = (await drawn(engine, DrawRequest(prompt="a cat", seed=7))).pictures[0]

    enlarged = await engine.upscale(picture.png)

    with Image.open(io.BytesIO(enlarged)) as image:
        assert image.size == (32, 32)


async def test_files_that_are_no_pictures_are_refused_by_a_sentence(engine: EngineProcess) -> None:
    with pytest.raises(InvalidRequestError, match=r"^This file is no picture the bot can read"):
        await engine.encode(b"MZ")
    with pytest.raises(InvalidRequestError, match=r"^This file has 20\.0 MB; send a picture of 20"):
        await engine.upscale(bytes(20_000_001))


async def test_errands_survive_a_restart(engine: EngineProcess, tmp_path: Path) -> None:
    request = DrawRequest(prompt="a cat", seed=7)
    picture = (await drawn(engine, request)).pictures[0]
    (tmp_path / "stuck").touch()  # the second thread is busy with a drawing
    asked = Asked(engine, "in the way")
    await until(lambda: asked.is_drawn_but_not_finished)
    encoding = asyncio.create_task(engine.encode(picture.png))
    upscaling = asyncio.create_task(engine.upscale(picture.png))
    rendering = asyncio.create_task(engine.render(request, picture.index, picture.tokens))
    await asyncio.sleep(0)

    kill(engine)
    (tmp_path / "stuck").unlink()

    assert await encoding == picture.tokens
    assert (await upscaling).startswith(b"\x89PNG")
    assert await rendering == picture.png
    assert await asked.drawn_as_expected()


async def test_errands_end_with_the_engine(engine: EngineProcess, tmp_path: Path) -> None:
    (tmp_path / "stuck").touch()
    asked = Asked(engine, "in the way")
    await until(lambda: asked.is_drawn_but_not_finished)
    encoding = asyncio.create_task(engine.encode(b"..."))
    await asyncio.sleep(0)

    await engine.close()

    with pytest.raises(EngineClosedError):
        await encoding
    with pytest.raises(EngineClosedError):
        await engine.upscale(b"...")
    assert (await asked.failure())[0] is EngineClosedError


async def test_too_many_errands_are_refused_with_a_time(
    engine: EngineProcess, tmp_path: Path
) -> None:
    (tmp_path / "stuck").touch()
    asked = Asked(engine, "in the way")
    await until(lambda: asked.is_drawn_but_not_finished)
    encodings = [asyncio.create_task(engine.encode(b"...")) for _ in range(MAX_WAITING_ERRANDS)]
    await asyncio.sleep(0)

    with pytest.raises(EngineBusyError, match="try again in 160 s"):
        await engine.encode(b"...")

    for encoding in encodings:
        encoding.cancel()
    await asyncio.wait(encodings)
    (tmp_path / "stuck").unlink()
    assert await asked.drawn_as_expected()


async def test_the_stats_tell_what_goes_on_and_what_went_wrong(
    engine: EngineProcess, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    asked = [Asked(engine, "first", 4), Asked(engine, "second", 3)]
    await gate.step_until(lambda: asked[0].is_being_drawn and asked[1].is_queued)
    kill(engine)
    await until(lambda: repr(engine) == "<EngineProcess ready, 2 requests, 1 restarts>")
    stats = EngineStats()
    while stats.chunk_s is None:  # the requests are on their way to the new process
        looking = asyncio.create_task(engine.stats())
        await gate.step_until(looking.done)
        stats = looking.result()

    assert (stats.slot_count, stats.busy_slot_count, stats.waiting_picture_count) == (4, 4, 3)
    assert stats.restart_count == 1
    assert stats.memory_bytes > 10_000_000
    gate.open()
    assert all([await request.drawn_as_expected() for request in asked])


@pytest.mark.alone
async def test_the_event_loop_is_not_blocked_by_big_pictures(
    engine: EngineProcess,
    tmp_path: Path,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    (tmp_path / "heavy").touch()
    request = DrawRequest(prompt="big", picture_count=16, seed=1)

    longest_ms = await shortest_longest_block_ms(lambda: drawn(engine, request), limit_ms=50)

    big = await drawn(engine, request)
    assert min(len(picture.png) for picture in big.pictures) > 1_000_000
    record_testsuite_property("longest_block_with_big_pictures_ms", longest_ms)
    assert longest_ms < 50


@pytest.mark.alone
async def test_the_event_loop_keeps_ticking_while_many_pictures_come(
    engine: EngineProcess, record_testsuite_property: Callable[[str, object], None]
) -> None:
    longest_ms = await shortest_longest_block_ms(
        lambda: Asked(engine, "many", 16).drawn_as_expected(), limit_ms=50
    )

    record_testsuite_property("longest_block_ms", longest_ms)
    assert longest_ms < 50


async def drawn(engine: EngineProcess, request: DrawRequest) -> Drawn:
    last = [event async for event in engine.draw(request)][-1]
    assert isinstance(last, Drawn)
    return last
