"""Somebody draws in the terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.looks import decoded, middle, strongest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.bot_process import BotProcess

    NewBot = Callable[..., BotProcess]

pytestmark = pytest.mark.timeout(600)

REPORT = re.compile(
    r"4 pictures in cube\.png, best first\. Seed \d+ draws them again\.\n"
    r"Scores:( -?\d+\.\d\d){4}\n"
    r"Times: waited \d+\.\d s, drawn in \d+\.\d s, rendered and ranked in \d+\.\d s\.\n"
)
SOLD_OUT = re.compile(
    r"You have 1 picture left today, out of 5\. Ask for at most 1, or come back when your "
    r"allowance reopens at 00:00 UTC, in (\d+ h)?( ?\d+ min)?\.\n"
)


def test_a_sentence_becomes_a_file_and_the_allowance_holds(
    new_bot: Callable[..., BotProcess],
) -> None:
    terminal = new_bot(DAILY_PICTURES="5")

    drawn = terminal.imagine("draw", "a green cube", "--pictures", "4", "-o", "cube.png")

    assert drawn.returncode == 0, drawn.stderr
    assert REPORT.fullmatch(drawn.stdout), drawn.stdout
    assert drawn.stderr == ""
    grid = decoded((terminal.data_dir / "cube.png").read_bytes())
    best = grid.crop((0, 0, grid.width // 2, grid.height // 2))
    assert strongest(middle(best)) == "green"

    refused = terminal.imagine("draw", "a green cube", "--pictures", "2", "-o", "more.png")

    assert refused.returncode == 1
    assert SOLD_OUT.fullmatch(refused.stderr), refused.stderr
    assert not (terminal.data_dir / "more.png").exists()
