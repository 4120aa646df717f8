"""What `imagine draw` prints when the pictures are there: for people, or for programs."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from bot import sentences
from bot.output import single_path
from engine.api import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from engine.api import Drawn, DrawRequest, Picture


def report_words(console: Console, drawn: Drawn, grid: Path, singles_dir: Path | None) -> None:
    """Print a sentence or more, the scores best first, and seed, model and times.

    Columns are kept apart by spaces only, so that a file or another program gets them clean.
    """
    count, singles = len(drawn.pictures), None if singles_dir is None else str(singles_dir)
    sentence = sentences.terminal_drawn(str(grid), count, drawn.seed, singles)
    console.print(sentence, markup=False)
    if doubtful_count := sum(map(_is_doubtful, drawn.pictures)):
        console.print(sentences.terminal_doubtful(doubtful_count), markup=False)
    if drawn.withheld_count:
        console.print(sentences.terminal_withheld(drawn.withheld_count), markup=False)
    for table in (_ranking(drawn, singles_dir), _facts(drawn)):
        console.print()
        console.print(table)


def report_json(
    console: Console, drawn: Drawn, request: DrawRequest, grid: Path, singles_dir: Path | None
) -> None:
    """Print one JSON object on one line; paths are as they were given."""
    pictures = [
        {
            "rank": rank,
            "index": picture.index,
            "score": picture.score,
            "is_doubtful": _is_doubtful(picture),
            "file": None if singles_dir is None else str(single_path(singles_dir, rank)),
        }
        for rank, picture in enumerate(drawn.pictures, start=1)
    ]
    outcome = {
        "prompt": request.prompt,
        "seed": drawn.seed,
        "model": drawn.model,
        "grid": str(grid),
        "pictures": pictures,
        "withheld_count": drawn.withheld_count,
        "timings": dataclasses.asdict(drawn.timings),
    }
    console.print(json.dumps(outcome), markup=False)


def _ranking(drawn: Drawn, singles_dir: Path | None) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column(sentences.TERMINAL_RANK, justify="right")
    table.add_column(sentences.TERMINAL_SCORE, justify="right")
    if singles_dir is not None:
        table.add_column(sentences.TERMINAL_FILE)
    has_doubtful = any(map(_is_doubtful, drawn.pictures))
    if has_doubtful:
        table.add_column(sentences.TERMINAL_NOTE)
    for rank, picture in enumerate(drawn.pictures, start=1):
        file = [] if singles_dir is None else [single_path(singles_dir, rank).name]
        note = [sentences.TERMINAL_DOUBTFUL * _is_doubtful(picture)] * has_doubtful
        table.add_row(str(rank), f"{picture.score:.2f}", *file, *note)
    return table


def _is_doubtful(picture: Picture) -> bool:
    """Whether it would come behind a click elsewhere."""
    return picture.verdict is not Verdict.SAFE


def _facts(drawn: Drawn) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=False)
    times = drawn.timings
    for name, value in {
        sentences.TERMINAL_SEED: str(drawn.seed),
        sentences.TERMINAL_MODEL: drawn.model,
        sentences.TERMINAL_WAITED: sentences.terminal_seconds(times.waited_s),
        sentences.TERMINAL_DECODED: sentences.terminal_seconds(times.decoded_s),
        sentences.TERMINAL_RENDERED: sentences.terminal_seconds(times.rendered_s),
    }.items():
        table.add_row(name, Text(value))
    return table
