from __future__ import annotations

import dataclasses
import io
import logging
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.api import (
    Drawing,
    Drawn,
    DrawRequest,
    EngineStats,
    Preview,
    Priority,
    Queued,
    SamplingOptions,
    Verdict,
)
from engine.finisher import at_once
from engine.line import RequestId
from engine.loop import EngineLoop
from engine.messages import (
    Alive,
    Busy,
    Cancel,
    Done,
    Draw,
    Encode,
    Failed,
    FromEngine,
    Look,
    Render,
    Seen,
    Told,
    Upscale,
    Withheld,
    Wrong,
)
from engine.pictures import PictureInfo, draw_grid, read_info
from tests.support.arithmetic_runner import (
    CHUNK_COUNT,
    TOKEN_COUNT,
    ArithmeticRunner,
    expected_tokens,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class Desk:
    """An engine loop without a process: what goes in, what comes out, a clock to move."""

    def __init__(
        self,
        folder: Path,
        *,
        slot_count: int = 4,
        max_waiting: int = 100,
        submit: Callable[[Callable[[], None]], None] = at_once,
    ) -> None:
        self.runner = ArithmeticRunner(folder, slot_count)
        self.sent: list[FromEngine] = []
        self.now_s = 100.0
        self.loop = EngineLoop(
            self.runner,
            self.sent.append,
            submit=submit,
            max_waiting_pictures=max_waiting,
            clock=lambda: self.now_s,
        )

    def ask(
        self,
        name: int,
        count: int = 1,
        prompt: str = "a cat",
        seed: int | None = None,
        **changes: Any,
    ) -> None:
        seed = 1000 + name if seed is None else seed
        request = DrawRequest(prompt=prompt, picture_count=count, seed=seed, **changes)
        self.loop.receive(Draw(request_id=RequestId(name), request=request, asked_at_s=self.now_s))

    def turn(self, count: int = 1) -> None:
        """Each takes a second, after which everything new may be told."""
        for _ in range(count):
            self.now_s += 1
            self.loop.turn()
            vars(self.loop)["_scheduler"].check_integrity()

    def finish(self) -> None:
        while not self.loop.is_idle:
            self.turn()

    def events(self, name: int) -> list[Any]:
        return [m.event for m in self.sent if isinstance(m, Told) and m.request_id == name]

    def fractions(self, name: int) -> list[float]:
        return [event.fraction for event in self.events(name) if isinstance(event, Drawing)]

    def places(self, name: int) -> list[int]:
        return [event.pictures_ahead for event in self.events(name) if isinstance(event, Queued)]

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

    assert [type(event) for event in desk.events(1)[:2]] == [Queued, Drawing]
    assert desk.places(1) == [0]
    chunks_told = [0, *range(2, CHUNK_COUNT + 1)]  # the first is drawn as it begins
    assert desk.fractions(1) == [part / CHUNK_COUNT for part in chunks_told]
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


def test_unsafe_pictures_are_withheld_and_the_others_come_as_before(
    desk: Desk, tmp_path: Path
) -> None:
    desk.ask(1, count=4)
    desk.finish()
    first = {index: tokens[0] for index, tokens in expected(1, 4).items()}
    (tmp_path / "explicit").write_text(f"{first[1]} {first[2]}")

    desk.ask(2, count=4, seed=1001)
    desk.finish()

    without, withheld = desk.drawn(1), desk.drawn(2)
    assert withheld.pictures == tuple(p for p in without.pictures if p.index in {0, 3})
    assert (without.withheld_count, withheld.withheld_count) == (0, 2)
    np.testing.assert_array_equal(
        pixels(withheld.grid_png), draw_grid([pixels(picture.png) for picture in withheld.pictures])
    )


def test_a_request_of_which_nothing_is_safe_ends_with_a_sentence(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "explicit").write_text(" ".join(str(row[0]) for row in expected(1, 2).values()))
    desk.ask(1, count=2)

    desk.finish()

    sentence = "The picture check lets none of these pictures be shown."
    assert Withheld(request_id=RequestId(1), sentence=sentence) in desk.sent
    assert (
        repr(desk.loop) == "<EngineLoop 0 requests, <Scheduler 0/4 slots held, 0 pictures waiting>>"
    )


def test_a_borderline_picture_comes_with_what_was_seen(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "suggestive").write_text(str(expected(1, 2)[1][0]))
    desk.ask(1, count=2)

    desk.finish()

    drawn = desk.drawn(1)
    assert {p.index: p.verdict for p in drawn.pictures} == {0: Verdict.SAFE, 1: Verdict.BORDERLINE}
    assert {p.index: p.safety["Sexy"] for p in drawn.pictures} == {0: 0.0, 1: 1.0}
    assert drawn.verdict is Verdict.BORDERLINE
    assert drawn.withheld_count == 0


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
    for _ in range(CHUNK_COUNT - 1):
        desk.loop.turn()
    desk.now_s += 2
    desk.loop.turn()

    timings = desk.drawn(1).timings

    assert (timings.waited_s, timings.decoded_s, timings.rendered_s) == (3.0, 2.0, 0.0)


def test_a_waiting_request_is_told_its_place_as_the_line_moves(tmp_path: Path) -> None:
    desk = Desk(tmp_path, slot_count=1)
    desk.ask(1, count=2)
    desk.ask(2)
    desk.ask(3)

    desk.finish()

    assert desk.places(3) == [3, 2, 1, 0]


def test_a_request_for_a_full_line_is_refused_with_a_time(tmp_path: Path) -> None:
    desk = Desk(tmp_path, slot_count=1, max_waiting=1)
    desk.ask(1, count=2)
    desk.ask(2)

    assert desk.sent[-1] == Busy(request_id=RequestId(2), retry_after_s=1.0)
    desk.finish()
    assert desk.events(2) == []


def test_a_request_cancelled_in_the_line_is_never_begun(tmp_path: Path) -> None:
    desk = Desk(tmp_path, slot_count=1)
    desk.ask(1)
    desk.ask(2)
    desk.loop.receive(Cancel(request_id=RequestId(2)))

    desk.finish()

    assert [type(event) for event in desk.events(2)] == [Queued]
    assert desk.runner.steps_made == CHUNK_COUNT


def test_a_request_cancelled_in_drawing_frees_its_slots_at_the_next_chunk(tmp_path: Path) -> None:
    desk = Desk(tmp_path, slot_count=1)
    desk.ask(1)
    desk.ask(2)
    desk.turn()
    desk.loop.receive(Cancel(request_id=RequestId(1)))

    desk.finish()

    assert desk.runner.steps_made == 1 + CHUNK_COUNT
    assert desk.runner.vacated == [0]
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


def test_progress_is_told_seldom(desk: Desk) -> None:
    desk.ask(1)

    for _ in range(CHUNK_COUNT):
        desk.now_s += 0.1
        desk.loop.turn()

    assert len(desk.fractions(1)) == 2 + CHUNK_COUNT // 3


def test_kept_tokens_are_given_and_the_rest_is_drawn(desk: Desk) -> None:
    keep = (5, 250, 7)
    desk.ask(1, keep=keep)

    desk.finish()

    assert tokens_of(desk.drawn(1)) == {
        0: expected_tokens("a cat", 1001, 0, SamplingOptions(), keep)
    }


@pytest.mark.parametrize("kept_count", [1, TOKEN_COUNT // 2, TOKEN_COUNT - 1])
def test_a_prefix_of_its_own_tokens_gives_the_same_picture(desk: Desk, kept_count: int) -> None:
    own = expected_tokens("a cat", 1001, 0, SamplingOptions())
    desk.ask(1, keep=own[:kept_count])

    desk.finish()

    assert tokens_of(desk.drawn(1)) == {0: own}


def test_requesters_take_turns_and_higher_classes_come_first(tmp_path: Path) -> None:
    desk = Desk(tmp_path, slot_count=1)
    request = DrawRequest(prompt="a cat", picture_count=2, seed=1)
    for name, requester, priority in [
        (1, "ada", Priority.NORMAL),
        (2, "ada", Priority.NORMAL),
        (3, "ada", Priority.LOW),
        (4, "bob", Priority.NORMAL),
        (5, "eve", Priority.HIGH),
    ]:
        desk.loop.receive(
            Draw(
                request_id=RequestId(name),
                request=request,
                asked_at_s=0.0,
                requester=requester,
                priority=priority,
            )
        )

    desk.finish()

    done = [m.request_id for m in desk.sent if isinstance(m, Told) and isinstance(m.event, Drawn)]
    assert done == [5, 1, 4, 2, 3]


def test_tokens_are_read_before_their_slot_is_given_away(tmp_path: Path) -> None:
    later = Later()
    desk = Desk(tmp_path, slot_count=1, submit=later)
    desk.ask(1)
    desk.ask(2)
    desk.turn(2 * CHUNK_COUNT)

    later.do_all()

    assert tokens_of(desk.drawn(1)) == expected(1, 1)
    assert tokens_of(desk.drawn(2)) == expected(2, 1)


def test_no_picture_is_begun_while_the_finisher_is_behind(tmp_path: Path) -> None:
    later = Later()
    desk = Desk(tmp_path, slot_count=16, submit=later)
    for name in range(5):
        desk.ask(name, 16)

    desk.finish()
    assert repr(desk.loop) == (
        "<EngineLoop 3 requests, <Scheduler 0/16 slots held, 48 pictures waiting>>"
    )

    later.do_one()
    desk.finish()
    later.do_all()
    desk.finish()
    later.do_all()
    assert [tokens_of(desk.drawn(name)) for name in range(5)] == [
        expected(name, 16) for name in range(5)
    ]


def test_what_is_in_the_slots_goes_on_while_the_finisher_is_behind(tmp_path: Path) -> None:
    later = Later()
    desk = Desk(tmp_path, slot_count=16, submit=later)
    desk.ask(0, 8)
    desk.turn(CHUNK_COUNT // 2)
    for name in range(1, 8):  # from now on eight pictures are done every half a picture's time
        desk.ask(name, 8)
    desk.turn(2 * CHUNK_COUNT + 1)
    stats = desk.loop.stats()
    assert (stats.finishing_picture_count, stats.busy_slot_count) == (32, 8)

    desk.turn(CHUNK_COUNT // 2)

    stats = desk.loop.stats()
    assert (stats.finishing_picture_count, stats.busy_slot_count) == (40, 0)
    assert stats.waiting_picture_count == 24


def test_a_request_cancelled_in_finishing_is_not_rendered(tmp_path: Path) -> None:
    later = Later()
    desk = Desk(tmp_path, submit=later)
    desk.ask(1, prompt="unrankable")
    desk.ask(2)
    desk.turn(CHUNK_COUNT)

    desk.loop.receive(Cancel(request_id=RequestId(1)))
    later.do_all()

    assert not [message for message in desk.sent if isinstance(message, Failed)]
    assert tokens_of(desk.drawn(2)) == expected(2, 1)


@settings(max_examples=30, deadline=None)
@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    cancelled_after=st.integers(0, 3 * CHUNK_COUNT),
    which=st.integers(0, 4),
    is_finisher_slow=st.booleans(),
)
def test_a_request_cancelled_at_any_moment_leaves_nothing_behind(
    counts: list[int], cancelled_after: int, which: int, *, is_finisher_slow: bool
) -> None:
    later = Later()
    desk = Desk(Path("/nowhere"), submit=later if is_finisher_slow else at_once)
    cancelled = which % len(counts)
    for name, count in enumerate(counts):
        desk.ask(name, count)
    desk.turn(cancelled_after)
    held_before = desk.loop.stats().busy_slot_count

    desk.loop.receive(Cancel(request_id=RequestId(cancelled)))

    assert held_before - desk.loop.stats().busy_slot_count == len(desk.runner.vacated)
    for _ in range(20):
        desk.finish()
        later.do_all()
    assert repr(desk.loop) == (
        "<EngineLoop 0 requests, <Scheduler 0/4 slots held, 0 pictures waiting>>"
    )
    assert desk.loop.stats().finishing_picture_count == 0
    for name, count in enumerate(counts):
        if name != cancelled:
            assert tokens_of(desk.drawn(name)) == expected(name, count)


def test_previews_show_what_is_drawn_so_far(desk: Desk) -> None:
    desk.ask(1, count=5, preview=True)

    desk.finish()

    previews = [event for event in desk.events(1) if isinstance(event, Preview)]
    # Four of five pictures are drawn in the first 32 chunks, four fifths of the whole.
    assert [round(preview.fraction, 2) for preview in previews] == [0.25, 0.5, 0.75]
    sizes = {Image.open(io.BytesIO(preview.picture)).size for preview in previews}
    assert sizes == {(3 * 256 + 16, 2 * 256 + 8)}
    assert desk.events(1).index(previews[-1]) < desk.events(1).index(desk.drawn(1))


def test_nobody_who_did_not_ask_gets_previews(desk: Desk) -> None:
    desk.ask(1)

    desk.finish()

    assert not [event for event in desk.events(1) if isinstance(event, Preview)]


def test_previews_are_skipped_while_the_finisher_is_busy(tmp_path: Path) -> None:
    later = Later()
    desk = Desk(tmp_path, submit=later)
    desk.ask(1, preview=True)
    desk.turn(CHUNK_COUNT // 2)  # the first preview waits and keeps the second away

    later.do_all()
    desk.turn(CHUNK_COUNT // 2)
    later.do_all()

    previews = [event for event in desk.events(1) if isinstance(event, Preview)]
    assert [preview.fraction for preview in previews] == [0.25, 0.75]


def test_a_picture_is_enlarged_and_read_beside_the_drawing(desk: Desk) -> None:
    desk.ask(1)
    desk.finish()
    picture = desk.drawn(1).pictures[0]

    desk.loop.receive(Upscale(request_id=RequestId(2), picture=picture.png))
    desk.loop.receive(Encode(request_id=RequestId(3), picture=picture.png))

    enlarged, tokens = [message for message in desk.sent if isinstance(message, Done)]
    assert isinstance(enlarged.answer, bytes)
    assert pixels(enlarged.answer).shape == (32, 32, 3)
    assert read_info(enlarged.answer) == read_info(picture.png)
    assert tokens == Done(request_id=RequestId(3), answer=picture.tokens)


def test_a_picture_is_rendered_again_beside_the_drawing(desk: Desk) -> None:
    desk.ask(1)
    desk.finish()
    picture = desk.drawn(1).pictures[0]

    request = DrawRequest(prompt="a cat", picture_count=1, seed=1001)
    desk.loop.receive(
        Render(request_id=RequestId(2), request=request, index=picture.index, tokens=picture.tokens)
    )

    assert desk.sent[-1] == Done(request_id=RequestId(2), answer=picture.png)


def test_a_file_that_is_no_picture_is_refused_with_a_sentence(desk: Desk) -> None:
    desk.loop.receive(Encode(request_id=RequestId(1), picture=b"MZ"))

    assert desk.sent == [
        Wrong(
            request_id=RequestId(1),
            sentence=(
                "This file is no picture the bot can read: send a PNG, JPEG, WebP or GIF file."
            ),
        )
    ]


def test_the_stats_tell_how_it_goes(desk: Desk) -> None:
    for name in range(3):
        desk.ask(name, count=3)
    for _ in range(CHUNK_COUNT + 1):
        desk.now_s += 0.5
        desk.loop.turn()
    desk.loop.receive(Look(request_id=RequestId(9)))

    (seen,) = [message for message in desk.sent if isinstance(message, Seen)]
    assert seen.stats.memory_bytes > 1_000_000
    assert dataclasses.replace(seen.stats, memory_bytes=0) == EngineStats(
        slot_count=4,
        busy_slot_count=4,
        waiting_picture_count=1,
        chunks_per_s=2.0,
        pictures_per_s=pytest.approx(3 / 16.5),  # pyright: ignore[reportArgumentType] # a float
        chunk_s=0.0,
        compile_count=3,
        text_cache_hits=2,
        text_cache_misses=1,
    )


def test_a_loop_that_turns_says_so_every_second(desk: Desk) -> None:
    desk.ask(1)

    for _ in range(CHUNK_COUNT):
        desk.now_s += 0.125
        desk.loop.turn()

    assert desk.sent.count(Alive()) == CHUNK_COUNT // 8


def test_a_thousand_waiting_requests_are_told_their_places_bit_by_bit(tmp_path: Path) -> None:
    desk = Desk(tmp_path, slot_count=1, max_waiting=10_000)
    for name in range(1_200):
        desk.ask(name)
    sent_before = len(desk.sent)

    desk.turn()
    sent_in_a_turn = len(desk.sent) - sent_before
    desk.turn(10)

    assert sent_in_a_turn <= 140
    assert desk.places(1_100) == [1_100]


class Later:
    """A second thread that works when the test says so."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], None]] = deque()

    def __call__(self, work: Callable[[], None]) -> None:
        self.waiting.append(work)

    def do_one(self) -> None:
        self.waiting.popleft()()

    def do_all(self) -> None:
        while self.waiting:
            self.do_one()
