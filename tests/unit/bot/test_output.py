from __future__ import annotations

import dataclasses
import io
import os
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from bot.output import OutputError, check_grid, check_singles, output_for, write
from engine.api import Drawn, DrawRequest, Picture, SamplingOptions, Timings
from engine.pictures import PictureInfo, encode_png, read_info
from tests.support.scripted_engine import drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

REQUEST = DrawRequest(prompt="a green cube", picture_count=3, seed=7)
FOREIGN = b"a letter to my aunt"


def info(index: int | None) -> PictureInfo:
    return PictureInfo(
        prompt=REQUEST.prompt, seed=7, index=index, options=SamplingOptions(), model="tiny"
    )


def own_png(index: int | None = None) -> bytes:
    """A picture as the engine makes them: it says how it was made."""
    return encode_png(np.full((8, 8, 3), 10 * (index or 0), np.uint8), info(index))


def three(*, grid_png: bytes | None = None) -> Drawn:
    return Drawn(
        pictures=tuple(
            Picture(png=own_png(index), score=-float(index), index=index, tokens=())
            for index in range(3)
        ),
        grid_png=grid_png or own_png(),
        seed=7,
        model="tiny",
        timings=Timings(waited_s=0.0, decoded_s=0.0, rendered_s=0.0),
    )


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def refusal(check: Callable[[], None]) -> str:
    with pytest.raises(OutputError) as caught:
        check()
    return str(caught.value)


@contextmanager
def room_for_files_of(size_bytes: int) -> Generator[None]:
    """A disk that is full after so many bytes of each file, as far as this process sees it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_output_is_named_after_the_prompt_and_never_over_another(tmp_path: Path) -> None:
    assert output_for("A green cube!", tmp_path) == tmp_path / "a-green-cube.png"
    (tmp_path / "a-green-cube.png").touch()
    assert output_for("A green cube!", tmp_path) == tmp_path / "a-green-cube-2.png"
    assert output_for("緑", tmp_path) == tmp_path / "imagine.png"


def test_the_grid_and_each_picture_are_written_best_first(tmp_path: Path) -> None:
    pictures = three()

    write(pictures, tmp_path / "cube.png", tmp_path / "cubes")

    assert content(tmp_path) == {
        "cube.png": pictures.grid_png,
        "cubes/01.png": own_png(0),
        "cubes/02.png": own_png(1),
        "cubes/03.png": own_png(2),
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.png", "PNG"),
        ("a.webp", "WEBP"),
        ("a.jpg", "JPEG"),
        ("a.jpeg", "JPEG"),
        ("a.WebP", "WEBP"),
    ],
)
def test_the_grid_is_of_the_kind_its_name_ends_in(tmp_path: Path, name: str, kind: str) -> None:
    check_grid(tmp_path / name)

    write(three(), tmp_path / name, None)

    file = (tmp_path / name).read_bytes()
    assert Image.open(io.BytesIO(file)).format == kind
    assert read_info(file) == info(None)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.jpg"])
def test_a_grid_that_was_drawn_earlier_is_replaced(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(three(), path, None)
    newer = three(grid_png=own_png(9))

    check_grid(path)
    write(newer, path, None)

    said = read_info(path.read_bytes())
    assert said is not None
    assert said.index == 9


def test_a_file_that_was_not_drawn_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "aunt.png"
    path.write_bytes(FOREIGN)

    assert refusal(lambda: check_grid(path)) == (
        f"{path} exists and was not drawn by this bot: choose another file with -o."
    )
    assert content(tmp_path) == {"aunt.png": FOREIGN}


def test_an_empty_file_may_be_written_to(tmp_path: Path) -> None:
    path = tmp_path / "tmp.png"
    path.touch()

    check_grid(path)


def test_what_is_no_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "pipe.png"
    os.mkfifo(path)

    assert refusal(lambda: check_grid(path)) == (
        f"{path} exists and was not drawn by this bot: choose another file with -o."
    )


def test_a_folder_whose_pictures_were_drawn_earlier_may_be_used_again(tmp_path: Path) -> None:
    grid, folder = tmp_path / "cube.png", tmp_path / "cubes"
    write(three(), grid, folder)
    (folder / "letter.txt").write_bytes(FOREIGN)

    check_singles(folder, 3, grid)
    write(three(), grid, folder)

    assert content(folder)["letter.txt"] == FOREIGN


def test_where_fewer_come_than_were_asked_for_none_of_an_earlier_drawing_stays(
    tmp_path: Path,
) -> None:
    grid, folder = tmp_path / "cube.png", tmp_path / "cubes"
    write(three(), grid, folder)
    (folder / "04.png").write_bytes(FOREIGN)  # it came while the new pictures were drawn
    two = dataclasses.replace(three(), pictures=three().pictures[:2], withheld_count=1)

    write(two, grid, folder)

    assert content(folder) == {"01.png": own_png(0), "02.png": own_png(1), "04.png": FOREIGN}


def test_a_single_picture_that_was_not_drawn_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "02.png").write_bytes(FOREIGN)

    assert refusal(lambda: check_singles(tmp_path, 2, tmp_path / "cube.png")) == (
        f"{tmp_path}/02.png exists and was not drawn by this bot: choose another folder with --all."
    )


def test_pictures_of_two_drawings_do_not_mix_in_a_folder(tmp_path: Path) -> None:
    write(three(), tmp_path / "cube.png", tmp_path)

    assert refusal(lambda: check_singles(tmp_path, 2, tmp_path / "cube.png")) == (
        f"{tmp_path}/03.png would be left among the new pictures from an earlier drawing: remove "
        "it, or choose another folder with --all."
    )


def test_a_file_is_no_folder_for_pictures(tmp_path: Path) -> None:
    path = tmp_path / "cubes"
    path.touch()

    assert refusal(lambda: check_singles(path, 3, tmp_path / "cube.png")) == (
        f"{path} is no folder: choose another folder with --all."
    )


def test_a_folder_is_no_file_for_the_grid(tmp_path: Path) -> None:
    folder = tmp_path / "cubes.png"
    folder.mkdir()

    assert refusal(lambda: check_grid(folder)) == (
        f"{folder} is a folder: name a file with -o, such as {folder}/pictures.png."
    )


def test_a_name_too_long_for_the_disk_is_refused_before_drawing(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 300 + ".png")

    assert refusal(lambda: check_grid(path)) == (
        f"{path} cannot be written (File name too long): choose another file with -o."
    )


def test_the_longest_name_that_the_disk_takes_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 251 + ".png")

    check_grid(path)
    write(three(), path, None)

    assert list(content(tmp_path)) == [path.name]


def test_a_look_beforehand_leaves_nothing_behind(tmp_path: Path) -> None:
    check_grid(tmp_path / "cube.png")
    check_singles(tmp_path / "cubes", 3, tmp_path / "cube.png")

    assert list(tmp_path.iterdir()) == []


def test_on_a_full_disk_everything_stays_as_it_was(tmp_path: Path) -> None:
    grid, folder = tmp_path / "cube.png", tmp_path / "cubes"
    write(three(), grid, None)
    before = content(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    large = three(grid_png=encode_png(noise, info(None)))

    with room_for_files_of(4_096):
        told = refusal(lambda: write(large, grid, folder))

    assert told == f"{grid} cannot be written (File too large): choose another file with -o."
    assert content(tmp_path) == before
    assert not folder.exists()


def test_a_folder_that_fills_up_leaves_neither_grid_nor_pictures(tmp_path: Path) -> None:
    grid, folder = tmp_path / "cube.png", tmp_path / "cubes"
    pictures = three()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    best, *others = pictures.pictures
    best = dataclasses.replace(best, png=encode_png(noise, info(0)))
    pictures = dataclasses.replace(pictures, pictures=(best, *others))

    with room_for_files_of(4_096):
        told = refusal(lambda: write(pictures, grid, folder))

    assert told == (
        f"{folder}/01.png cannot be written (File too large): choose another folder with --all."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_vanished_meanwhile_is_told(tmp_path: Path) -> None:
    grid = tmp_path / "gone" / "cube.png"

    assert refusal(lambda: write(drawn(REQUEST), grid, None)) == (
        f"{grid} cannot be written (No such file or directory): choose another file with -o."
    )
