from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from engine.api import Drawing, Drawn, DrawRequest, Queued, SamplingOptions
from engine.pictures import PictureInfo, draw_grid, read_info
from engine.process import (
    Cancel,
    Draw,
    EngineLoop,
    Failed,
    FromEngine,
    Refused,
    Told,
    decode_frame,
    encode_frame,
    frame_length,
)
from engine.scheduler import RequestId
from tests.support.arithmetic_runner import (
    CHUNK_COUNT,
    TOKEN_COUNT,
    ArithmeticRunner,
    expected_tokens,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class Desk:
    """An engine loop without a process: what goes in, what comes out, a clock to move."""

    def __init__(self, folder: Path, *, slot_count: int = 4, max_waiting: int = 100) -> None:
        self.runner = ArithmeticRunner(folder, slot_count)
        self.sent: list[FromEngine] = []
        self.now_s = 100.0
        self.loop = EngineLoop(
            self.runner,
            self.sent.append,
            max_waiting_pictures=max_waiting,
            clock=lambda: self.now_s,
        )

    def ask(self, name: int, count: int = 1, prompt: str = "a cat", **changes: Any) -> None:
        request = DrawRequest(prompt=prompt, picture_count=count, seed=1000 + name, **changes)
        self.loop.receive(Draw(request_id=RequestId(name), request=request, asked_at_s=self.now_s))

    def turn(self, count: int = 1) -> None:
        for _ in range(count):
            self.loop.turn()
            self.loop.rest()

    def finish(self) -> None:
        while not self.loop.is_idle:
            self.turn()

    def events(self, name: int) -> list[Any]:
        return [m.event for m in self.sent if isinstance(m, Told) and m.request_id == name]

    def drawn(self, name: int) -> Drawn:
        (drawn,) = [event for event in self.events(name) if isinstance(event, Drawn)]
        return drawn


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def pixels(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)))


def tokens_of(drawn: Drawn) -> dict[int, tuple[int, ...]]:
    return {picture.index: picture.tokens for picture in drawn.pictures}


def expected(name: int, count: int, prompt: str = "a cat") -> dict[int, tuple[int, ...]]:
    options = SamplingOptions()
    return {i: expected_tokens(prompt, 1000 + name, i, options) for i in range(count)}


def test_a_request_is_told_where_it_waits_how_far_it_is_and_what_became_of_it(desk: Desk) -> None:
    desk.ask(1, count=2)

    desk.finish()

    assert desk.events(1)[:-1] == [
        Queued(pictures_ahead=0),
        *[Drawing(fraction=part / CHUNK_COUNT) for part in range(CHUNK_COUNT + 1)],
    ]
    assert tokens_of(desk.drawn(1)) == expected(1, 2)


def test_a_picture_alone_is_the_same_as_among_others_in_any_slot(tmp_path: Path) -> None:
    desk = Desk(tmp_path, slot_count=5)
    counts = {1: 3, 2: 1, 3: 9, 4: 16, 5: 2, 6: 7}
    for name, count in counts.items():
        desk.ask(name, count, prompt=f"prompt {name}")
        desk.turn()
    desk.finish()

    among_others = {name: tokens_of(desk.drawn(name)) for name in counts}

    assert among_others == {
        name: expected(name, count, f"prompt {name}") for name, count in counts.items()
    }


def test_options_reach_the_runner(desk: Desk) -> None:
    options = SamplingOptions(top_k=5)
    desk.ask(1, options=options)

    desk.finish()

    assert tokens_of(desk.drawn(1)) == {0: expected_tokens("a cat", 1001, 0, options)}


def test_pictures_come_best_first_and_the_grid_shows_them_in_that_order(desk: Desk) -> None:
    desk.ask(1, count=4)

    desk.finish()

    drawn = desk.drawn(1)
    scores = [picture.score for picture in drawn.pictures]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(sum(drawn.pictures[0].tokens) / TOKEN_COUNT)
    np.testing.assert_array_equal(
        pixels(drawn.grid_png), draw_grid([pixels(picture.png) for picture in drawn.pictures])
    )


def test_every_file_says_how_it_was_made(desk: Desk) -> None:
    options = SamplingOptions(temperature=0.5)
    desk.ask(1, count=2, options=options)

    desk.finish()

    drawn = desk.drawn(1)
    files = [*(picture.png for picture in drawn.pictures), drawn.grid_png]
    assert [read_info(file) for file in files] == [
        PictureInfo(prompt="a cat", seed=1001, index=index, options=options, model="arithmetic")
        for index in (*(picture.index for picture in drawn.pictures), None)
    ]


def test_timings_are_seconds_on_the_common_clock(desk: Desk) -> None:
    desk.ask(1)
    desk.now_s += 3
    desk.turn(CHUNK_COUNT - 1)
    desk.now_s += 2
    desk.turn()

    timings = desk.drawn(1).timings

    assert (timings.waited_s, timings.decoded_s, timings.rendered_s) == (3.0, 2.0, 0.0)


def test_a_waiting_request_is_told_its_place_as_the_line_moves(tmp_path: Path) -> None:
    desk = Desk(tmp_path, slot_count=1)
    desk.ask(1, count=2)
    desk.ask(2)
    desk.ask(3)

    desk.finish()

    places = [event for event in desk.events(3) if isinstance(event, Queued)]
    assert [place.pictures_ahead for place in places] == [3, 2, 1, 0]


def test_a_request_for_a_full_line_is_refused_with_a_time(tmp_path: Path) -> None:
    desk = Desk(tmp_path, slot_count=1, max_waiting=1)
    desk.ask(1, count=2)
    desk.ask(2)

    assert desk.sent[-1] == Refused(request_id=RequestId(2), retry_after_s=1.0)
    desk.finish()
    assert desk.events(2) == []


def test_a_request_cancelled_in_the_line_is_never_begun(tmp_path: Path) -> None:
    desk = Desk(tmp_path, slot_count=1)
    desk.ask(1)
    desk.ask(2)
    desk.loop.receive(Cancel(request_id=RequestId(2)))

    desk.finish()

    assert desk.events(2) == [Queued(pictures_ahead=1)]
    assert desk.runner.steps_made == CHUNK_COUNT


def test_a_request_cancelled_in_drawing_frees_its_slots_at_the_next_chunk(tmp_path: Path) -> None:
    desk = Desk(tmp_path, slot_count=1)
    desk.ask(1)
    desk.ask(2)
    desk.turn()
    desk.loop.receive(Cancel(request_id=RequestId(1)))

    desk.finish()

    assert desk.runner.steps_made == 1 + CHUNK_COUNT
    assert tokens_of(desk.drawn(2)) == expected(2, 1)
    assert (
        repr(desk.loop) == "<EngineLoop 0 requests, <Scheduler 0/1 slots held, 0 pictures waiting>>"
    )


@pytest.mark.parametrize("prompt", ["unrankable", "unplaceable"])
def test_a_request_that_breaks_fails_alone(
    desk: Desk, prompt: str, caplog: pytest.LogCaptureFixture
) -> None:
    desk.ask(1, count=3)
    desk.ask(2, count=2, prompt=prompt)
    desk.ask(3, count=2)

    with caplog.at_level(logging.ERROR):
        desk.finish()

    assert [message for message in desk.sent if isinstance(message, Failed)] == [
        Failed(request_id=RequestId(2))
    ]
    assert tokens_of(desk.drawn(1)) == expected(1, 3)
    assert tokens_of(desk.drawn(3)) == expected(3, 2)
    assert [record.getMessage() for record in caplog.records] == ["request failed request_id=2"]


def test_a_message_comes_out_of_its_frame_as_it_went_in() -> None:
    message = Refused(request_id=RequestId(3), retry_after_s=2.5)

    frame = encode_frame(message)

    assert frame_length(frame[:4]) == len(frame) - 4
    assert decode_frame(frame[4:]) == message
