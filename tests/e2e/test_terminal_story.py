"""Somebody draws in the terminal."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from engine.pictures import read_info
from tests.support.looks import decoded, middle, strongest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.bot_process import BotProcess

    NewBot = Callable[..., BotProcess]

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

REPORT = re.compile(
    r"""4 pictures in cube\.png, best first, and by themselves in cubes\. Seed 7 draws them again\.

Rank   Score   File *
(?: +\d +-?\d+\.\d\d   0\d\.png\n){4}
Seed +7 *
Model +demo *
Waited +\d+\.\d s *
Drawn in +\d+\.\d s *
Rendered and ranked in +\d+\.\d s *
"""
)
SOLD_OUT = re.compile(
    r"You have 1 picture left today, out of 8\. Ask for at most 1, or come back when your "
    r"allowance reopens at 00:00 UTC, in (\d+ h)?( ?\d+ min)?\.\n"
)


def test_a_sentence_becomes_files_and_the_allowance_holds(
    new_bot: Callable[..., BotProcess],
) -> None:
    terminal = new_bot(DAILY_PICTURES="8")
    words = ("draw", "a green cube", "--seed", "7", "--pictures")

    drawn = terminal.imagine(*words, "4", "-o", "cube.png", "--all", "cubes")

    assert drawn.returncode == 0, drawn.stderr
    assert REPORT.fullmatch(drawn.stdout), drawn.stdout
    assert drawn.stderr == ""
    grid = decoded((terminal.data_dir / "cube.png").read_bytes())
    singles = sorted((terminal.data_dir / "cubes").iterdir())
    assert [path.name for path in singles] == ["01.png", "02.png", "03.png", "04.png"]
    best = decoded(singles[0].read_bytes())
    assert strongest(middle(best)) == "green"
    enlarged = best.resize((256, 256), Image.Resampling.BICUBIC)
    assert grid.crop((0, 0, 256, 256)).tobytes() == enlarged.tobytes()

    told = terminal.imagine(*words, "3", "-o", "cube.webp", "--json")

    assert told.returncode == 0, told.stderr
    outcome = json.loads(told.stdout)
    assert outcome["prompt"] == "a green cube"
    assert outcome["seed"] == 7
    assert outcome["grid"] == "cube.webp"
    assert {picture["index"] for picture in outcome["pictures"]} == {0, 1, 2}
    scores = [picture["score"] for picture in outcome["pictures"]]
    assert scores == sorted(scores, reverse=True)
    file = terminal.data_dir / "cube.webp"
    said = read_info(file.read_bytes())
    assert said is not None
    assert (said.prompt, said.seed, said.model) == ("a green cube", 7, outcome["model"])

    refused = terminal.imagine(*words, "2", "-o", "more.png")

    assert refused.returncode == 1
    assert SOLD_OUT.fullmatch(refused.stderr), refused.stderr
    assert not (terminal.data_dir / "more.png").exists()
