from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

from rich.console import Console

from bot.report import report_json, report_words
from engine.api import Drawn, DrawRequest, Picture, Timings

REQUEST = DrawRequest(prompt="ein grünes [bold]Kätzchen[/]", picture_count=2, seed=7)
DRAWN = Drawn(
    pictures=(
        Picture(png=b"", score=17.594, index=4, tokens=()),
        Picture(png=b"", score=-0.5, index=0, tokens=()),
    ),
    grid_png=b"",
    seed=7,
    model="[red]demo[/]",
    timings=Timings(waited_s=0.0, decoded_s=12.34, rendered_s=0.46),
)


def piped() -> Console:
    """As in `imagine draw … | cat`."""
    return Console(file=io.StringIO(), highlight=False, soft_wrap=True, width=80)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def lines(console: Console) -> list[str]:
    return [line.rstrip() for line in printed(console).splitlines()]


def test_a_person_reads_where_the_pictures_are_and_how_they_rank() -> None:
    console = piped()

    report_words(console, DRAWN, Path("a.png"), None)

    assert lines(console) == [
        "2 pictures in a.png, best first. Seed 7 draws them again.",
        "",
        "Rank   Score",
        "   1   17.59",
        "   2   -0.50",
        "",
        "Seed                     7",
        "Model                    [red]demo[/]",
        "Waited                   0.0 s",
        "Drawn in                 12.3 s",
        "Rendered and ranked in   0.5 s",
    ]


def test_a_person_reads_which_file_is_which() -> None:
    console = piped()
    folder = Path("a folder with [a] name") / ("so long that no line of a terminal holds it" * 2)

    report_words(console, DRAWN, Path("a.png"), folder)

    assert lines(console)[:5] == [
        f"2 pictures in a.png, best first, and by themselves in {folder}. Seed 7 draws them again.",
        "",
        "Rank   Score   File",
        "   1   17.59   01.png",
        "   2   -0.50   02.png",
    ]


def test_one_picture_is_spoken_of_as_one() -> None:
    console = piped()
    one = dataclasses.replace(DRAWN, pictures=DRAWN.pictures[:1])

    report_words(console, one, Path("a.png"), Path("cats"))

    assert lines(console)[0] == "1 picture in a.png, and by itself in cats. Seed 7 draws it again."


def test_a_program_reads_one_object_on_one_line() -> None:
    console = piped()

    report_json(console, DRAWN, REQUEST, Path("a.webp"), Path("cats"))

    assert printed(console).count("\n") == 1
    assert json.loads(printed(console)) == {
        "prompt": "ein grünes [bold]Kätzchen[/]",
        "seed": 7,
        "model": "[red]demo[/]",
        "grid": "a.webp",
        "pictures": [
            {"rank": 1, "index": 4, "score": 17.594, "file": "cats/01.png"},
            {"rank": 2, "index": 0, "score": -0.5, "file": "cats/02.png"},
        ],
        "timings": {"waited_s": 0.0, "decoded_s": 12.34, "rendered_s": 0.46},
    }


def test_a_program_is_told_of_no_files_that_were_not_asked_for() -> None:
    console = piped()

    report_json(console, DRAWN, REQUEST, Path("a.webp"), None)

    files = [picture["file"] for picture in json.loads(printed(console))["pictures"]]
    assert files == [None, None]
