from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

from rich.console import Console

from bot.report import report_json, report_words
from engine.api import Drawn, DrawRequest, Picture, Timings, Verdict

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
            {
                "rank": 1,
                "index": 4,
                "score": 17.594,
                "is_doubtful": False,
                "file": "cats/01.png",
            },
            {"rank": 2, "index": 0, "score": -0.5, "is_doubtful": False, "file": "cats/02.png"},
        ],
        "withheld_count": 0,
        "timings": {"waited_s": 0.0, "decoded_s": 12.34, "rendered_s": 0.46},
    }


def doubted(*ranks: int, withheld_count: int) -> Drawn:
    """Our drawing, of which these pictures are doubtful and others were withheld."""
    pictures = (
        dataclasses.replace(picture, verdict=Verdict.BORDERLINE) if rank in ranks else picture
        for rank, picture in enumerate(DRAWN.pictures, start=1)
    )
    return dataclasses.replace(DRAWN, pictures=tuple(pictures), withheld_count=withheld_count)


def test_a_person_reads_what_was_withheld_and_what_is_doubtful() -> None:
    console = piped()

    report_words(console, doubted(2, withheld_count=3), Path("a.png"), Path("cats"))

    assert lines(console)[:7] == [
        "2 pictures in a.png, best first, and by themselves in cats. Seed 7 draws them again.",
        "1 picture may not be for everybody; the table says which.",
        "3 more were drawn and withheld: the picture check takes them for not fit to be shown.",
        "",
        "Rank   Score   File     Note",
        "   1   17.59   01.png",
        "   2   -0.50   02.png   may not be for everybody",
    ]


def test_one_withheld_picture_is_spoken_of_as_one() -> None:
    console = piped()

    report_words(console, doubted(withheld_count=1), Path("a.png"), None)

    assert lines(console)[1:4] == [
        (
            "1 more picture was drawn and withheld: the picture check takes it for not fit to be "
            "shown."
        ),
        "",
        "Rank   Score",
    ]


def test_a_program_is_told_what_was_withheld_and_what_is_doubtful() -> None:
    console = piped()

    report_json(console, doubted(1, 2, withheld_count=2), REQUEST, Path("a.webp"), None)

    told = json.loads(printed(console))
    assert told["withheld_count"] == 2
    assert [picture["is_doubtful"] for picture in told["pictures"]] == [True, True]


def test_a_program_is_told_of_no_files_that_were_not_asked_for() -> None:
    console = piped()

    report_json(console, DRAWN, REQUEST, Path("a.webp"), None)

    files = [picture["file"] for picture in json.loads(printed(console))["pictures"]]
    assert files == [None, None]
