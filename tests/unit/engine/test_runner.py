"""The runner compared with itself: alone and in company, early and late, slot by slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.api import PictureCheck, SamplingOptions
from engine.contract import Placement, RunnerSettings
from engine.runner import JaxRunner, load_runner
from tests.support.tiny import tiny_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SOME = SamplingOptions(temperature=0.9, top_k=40, top_p=0.95, condition_scale=3.0)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> JaxRunner:
    runner = load_runner(
        RunnerSettings(
            checkpoint_dir=tiny_checkpoint(tmp_path_factory.mktemp("tiny")), slot_count=3
        )
    )
    runner.warm_up()
    return runner


def picture(
    slot: int,
    *,
    prompt: str = "a red apple",
    seed: int = 7,
    index: int = 0,
    keep: tuple[int, ...] = (),
) -> Placement:
    return Placement(slot=slot, prompt=prompt, seed=seed, index=index, options=SOME, keep=keep)


def finish(runner: JaxRunner, slot: int) -> NDArray[np.int32]:
    for _ in range(runner.chunk_count):
        runner.step()
    return runner.tokens([slot])[0]


def alone(runner: JaxRunner, placement: Placement) -> NDArray[np.int32]:
    runner.place([placement])
    return finish(runner, placement.slot)


def test_a_picture_is_the_same_in_every_slot(runner: JaxRunner) -> None:
    tokens = [alone(runner, picture(slot)) for slot in range(3)]

    np.testing.assert_array_equal(tokens[0], tokens[1])
    np.testing.assert_array_equal(tokens[0], tokens[2])


def test_a_picture_is_the_same_alone_and_joining_half_done_ones(runner: JaxRunner) -> None:
    expected = alone(runner, picture(1))
    others = [picture(0, prompt="a blue whale", seed=1), picture(2, prompt="snow", index=5)]

    runner.place(others)
    runner.step()
    runner.place([picture(1)])

    np.testing.assert_array_equal(finish(runner, 1), expected)


def test_pictures_differ_by_seed_by_index_and_by_prompt(runner: JaxRunner) -> None:
    first = alone(runner, picture(0))

    for other in (picture(0, seed=8), picture(0, index=1), picture(0, prompt="a green apple")):
        assert (alone(runner, other) != first).any()


def test_a_finished_picture_stays_while_others_are_drawn(runner: JaxRunner) -> None:
    finished = alone(runner, picture(0))

    alone(runner, picture(2, seed=99))

    np.testing.assert_array_equal(runner.tokens([0])[0], finished)


def test_only_codes_of_the_codebook_are_drawn(runner: JaxRunner) -> None:
    hot = SamplingOptions(temperature=10.0, top_k=0, condition_scale=0.0)
    runner.place([Placement(slot=0, prompt="noise", seed=1, index=0, options=hot)])

    tokens = finish(runner, 0)

    assert tokens.min() >= 0
    assert tokens.max() < 256
    assert len(set(tokens.tolist())) > 20


def test_nothing_is_traced_after_the_warm_up(runner: JaxRunner) -> None:
    traced = runner.trace_count

    for count in (1, 3):
        runner.place([picture(slot, prompt=f"prompt {count}") for slot in range(count)])
        finish(runner, 0)
        for pictures in (1, 2, 9, 16):
            tokens = np.zeros((pictures, 64), np.int32)
            assert runner.rank("x", runner.render(tokens)).scores.shape == (pictures,)

    assert runner.trace_count == traced


def test_options_left_open_are_those_of_the_checkpoint(runner: JaxRunner) -> None:
    official = SamplingOptions(temperature=1.0, top_k=50, top_p=1.0, condition_scale=10.0)

    def drawn(options: SamplingOptions) -> NDArray[np.int32]:
        return alone(runner, Placement(slot=0, prompt="a", seed=1, index=0, options=options))

    np.testing.assert_array_equal(drawn(SamplingOptions()), drawn(official))


@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
def test_it_draws_in_numbers_of_every_kind(dtype: str, tmp_path: Path) -> None:
    settings = RunnerSettings(
        checkpoint_dir=tiny_checkpoint(tmp_path),
        slot_count=1,
        dtype=dtype,
        picture_check=PictureCheck.OFF,
    )
    runner = load_runner(settings)

    tokens = alone(runner, picture(0))

    assert len(set(tokens.tolist())) > 10


def test_kept_tokens_stay_and_a_prefix_of_its_own_gives_the_same_picture(
    runner: JaxRunner,
) -> None:
    own = tuple(alone(runner, picture(1)).tolist())

    for kept in (own[:1], own[:17], own[:-1]):
        np.testing.assert_array_equal(alone(runner, picture(1, keep=kept)), own)
    other = alone(runner, picture(1, keep=tuple(255 - token for token in own[:20])))
    assert tuple(other[:20]) == tuple(255 - token for token in own[:20])
    assert (other[20:] != own[20:]).any()


def test_a_picture_is_enlarged_and_read_back(runner: JaxRunner) -> None:
    side = runner.picture_side_px
    pixels = np.random.default_rng(1).integers(0, 256, (2, side, side, 3), np.uint8)

    assert runner.upscale(pixels).shape == (2, 4 * side, 4 * side, 3)
    tokens = runner.encode(pixels)
    assert tokens.shape == (2, runner.image_length)
    assert tokens.max() < runner.code_count


def test_prompts_that_come_again_are_counted(runner: JaxRunner) -> None:
    before = runner.stats()

    for prompt in ("counted once", "counted once", "counted twice"):
        runner.place([picture(0, prompt=prompt)])

    after = runner.stats()
    assert after.text_cache_misses - before.text_cache_misses == 2
    assert after.text_cache_hits - before.text_cache_hits == 1
    assert after.compile_count == runner.trace_count


def test_a_lone_picture_is_drawn_by_a_narrow_program_and_stays_the_same(tmp_path: Path) -> None:
    settings = RunnerSettings(
        checkpoint_dir=tiny_checkpoint(tmp_path), slot_count=9, picture_check=PictureCheck.OFF
    )
    runner = load_runner(settings)
    runner.warm_up()

    lone = alone(runner, picture(0))
    runner.place([picture(slot, seed=slot) for slot in range(1, 9)])
    runner.place([picture(0)])

    np.testing.assert_array_equal(finish(runner, 0), lone)


def test_a_slot_that_was_vacated_is_not_stepped_any_more(runner: JaxRunner) -> None:
    runner.place([picture(0), picture(2, seed=5)])
    runner.step()

    runner.vacate([2])

    assert repr(runner).endswith("1/3 slots held>")
    np.testing.assert_array_equal(finish(runner, 0)[:8], alone(runner, picture(0))[:8])


def test_a_long_picture_is_the_same_when_another_is_far_ahead(tmp_path: Path) -> None:
    """Alone it is drawn by the program for half the places first, here by the whole."""
    folder = tiny_checkpoint(tmp_path, dalle_bart="dalle_mega_tiny")
    runner = load_runner(
        RunnerSettings(
            checkpoint_dir=folder,
            slot_count=2,
            picture_check=PictureCheck.OFF,
        )
    )
    runner.warm_up()
    lone = alone(runner, picture(0))

    runner.place([picture(1, seed=5)])
    for _ in range(runner.chunk_count // 2 + 1):
        runner.step()
    runner.place([picture(0)])

    np.testing.assert_array_equal(finish(runner, 0), lone)
