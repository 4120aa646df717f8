"""Compiled programs: what is counted, which width is run, and which is not trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import pytest

from engine.programs import Program, TokenLoop, Tracer, Width, compile_all, widths

if TYPE_CHECKING:
    from collections.abc import Callable


def program(tracer: Tracer, function: Callable[..., Any] = lambda w, x: w * x) -> Program:
    return Program(tracer, function, jnp.float32(3), (np.zeros(2, np.float32),))


def test_a_program_is_traced_once_however_often_it_runs() -> None:
    tracer = Tracer()
    triple = program(tracer)

    compile_all([triple, program(tracer)])
    results = [triple(np.full(2, i, np.float32)).tolist() for i in range(3)]

    assert results == [[0, 0], [3, 3], [6, 6]]
    assert tracer.count == 2


def test_a_program_refuses_another_shape() -> None:
    triple = program(Tracer())

    with pytest.raises(TypeError):
        triple(np.zeros(3, np.float32))


def test_the_widths_of_a_long_picture_are_half_and_whole_for_each_count() -> None:
    assert widths(20, 256, 8) == [
        (2, 128), (2, 256), (4, 128), (4, 256), (9, 128), (9, 256), (20, 128), (20, 256),
    ]  # fmt: skip


def test_a_short_picture_has_no_half_and_few_slots_have_few_counts() -> None:
    assert widths(3, 64, 8) == [(2, 64), (3, 64)]
    assert widths(1, 64, 8) == [(1, 64)]


def token_loop() -> tuple[TokenLoop, dict[Width, Program]]:
    programs = {width: program(Tracer()) for width in widths(9, 256, 8)}
    return TokenLoop(programs), programs


@pytest.mark.parametrize(
    ("count", "length", "expected"),
    [
        (1, 8, (2, 128)),
        (2, 128, (2, 128)),
        (2, 136, (2, 256)),
        (3, 8, (4, 128)),
        (9, 256, (9, 256)),
    ],
)
def test_the_narrowest_program_that_is_wide_enough_runs(
    count: int, length: int, expected: tuple[int, int]
) -> None:
    loop, programs = token_loop()

    assert loop.narrowest(count, length) is programs[Width(*expected)]


def test_a_width_that_rounds_otherwise_than_the_whole_is_given_up() -> None:
    loop, programs = token_loop()
    odd = programs[Width(2, 128)]

    loop.keep_equal(lambda program: b"other" if program is odd else b"same")

    assert repr(loop) == "<TokenLoop 2x256, 4x128, 4x256, 9x128, 9x256>"
    assert loop.narrowest(1, 8) is programs[Width(2, 256)]


def test_the_whole_is_never_given_up() -> None:
    loop, programs = token_loop()
    answers = iter(range(100))

    loop.keep_equal(lambda _: str(next(answers)).encode())

    assert repr(loop) == "<TokenLoop 9x256>"
    assert loop.narrowest(1, 8) is programs[loop.whole]
