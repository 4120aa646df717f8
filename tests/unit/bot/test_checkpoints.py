from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from rich.console import Console

from bot import checkpoints
from bot.cli import main
from bot.settings import Settings
from engine.api import CheckpointError
from engine.sources.files import FILES
from engine.sources.released import RELEASED
from tests.support.hub_server import FakeHub, serve

ROOT = Path(__file__).parents[3]
WHOLE = tuple(f"{folder}/{name}" for folder, names in FILES.items() for name in names)


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Each command runs in a folder of its own and sees none of our variables."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fill(folder: Path, names: tuple[str, ...] = WHOLE) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def complaint(checkpoint: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        checkpoints.complete_folder_of(checkpoint, Path("data"))
    return str(error.value)


def test_the_released_models_are_named_as_in_the_engine() -> None:
    assert RELEASED.keys() == set(checkpoints.RELEASED)


def test_a_folder_is_itself_and_a_released_name_lies_in_the_data_folder(tmp_path: Path) -> None:
    assert checkpoints.folder_of(tmp_path, Path("data")) == tmp_path
    assert checkpoints.folder_of(Path("mega"), Path("data")) == Path("data/checkpoints/mega")


def test_an_incomplete_model_is_told_with_the_missing_files(tmp_path: Path) -> None:
    fill(tmp_path, tuple(name for name in WHOLE if not name.startswith("clip")))

    assert complaint(tmp_path) == (
        f"The model in {tmp_path} lacks clip/config.json, clip/flax_model.msgpack: set "
        "ENGINE_CHECKPOINT to a complete folder."
    )


def test_a_released_model_that_was_not_fetched_is_told_how(tmp_path: Path) -> None:
    fill(tmp_path / "mini")  # a folder that happens to be called so is not meant

    assert complaint(Path("mini")) == (
        "ENGINE_CHECKPOINT is mini, which is not here yet: run imagine fetch mini."
    )


def test_a_model_that_was_fetched_is_complete(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data" / "checkpoints" / "mini")
    (folder / "clip" / "flax_model.msgpack").rename(
        folder / "clip" / "flax_model.msgpack.index.json"
    )

    assert checkpoints.complete_folder_of(Path("mini"), tmp_path / "data") == folder


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        ([], "data/checkpoints/there"),
        (["--to", "here"], "here"),
    ],
)
def test_fetch_ends_with_the_line_for_env(
    own_folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], folder: str
) -> None:
    there = fill(own_folder / "there")

    status = main(["fetch", f"file://{there}", *arguments])

    told = capsys.readouterr()
    assert (status, told.err) == (0, "")
    assert told.out == (
        "The model is here and whole. To draw with it, put this line into .env:\n"
        "\n"
        f"ENGINE_CHECKPOINT={own_folder / folder}\n"
    )
    checkpoints.complete_folder_of(own_folder / folder, Path("data"))


def test_bars_show_each_file_on_a_terminal(own_folder: Path) -> None:
    there = fill(own_folder / "there")
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)

    checkpoints.fetch(f"file://{there}", None, data_dir=own_folder / "data", console=console)

    shown = screen.getvalue()
    assert all(name in shown for name in ("all files", *WHOLE))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("mini", "mini"),
        ("wandb:dalle-mini/dalle-mini/mega-1-fp16:v14", "mega-1-fp16-v14"),
        ("gs://bucket/some folder/", "some-folder"),
        ("gs://..", "other"),
    ],
)
def test_the_folder_is_named_after_the_source(source: str, name: str) -> None:
    assert checkpoints._folder_name(source) == name  # pyright: ignore[reportPrivateUsage]


def test_a_failure_is_one_sentence(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["fetch", "maxi"])

    told = capsys.readouterr()
    assert (status, told.out) == (1, "")
    assert told.err == (
        "maxi is no source: it must be mini, mega, wandb:ENTITY/PROJECT/NAME:VERSION, "
        "gs://BUCKET/FOLDER or s3://BUCKET/FOLDER.\n"
    )
    assert list(own_folder.iterdir()) == []


def test_stopped_by_hand_it_says_that_it_goes_on(
    own_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("engine.fetch.fetch", stopped)

    status = main(["fetch", "mini", "--to", str(own_folder)])

    assert status == 130
    assert capsys.readouterr().err == (
        "Stopped. Run the command again; it goes on where it stopped.\n"
    )


def imagine(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 # our own command
        [sys.executable, "-m", "bot", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_hub_may_be_another_and_a_file_of_its_own_is_refused(own_folder: Path) -> None:
    """``HF_ENDPOINT`` is honoured; the real pins are in force."""
    other = b"other" * 1_000
    names = ("config.json", "flax_model.msgpack", "tokenizer.json")
    hub = FakeHub({"dalle-mini/dalle-mega": dict.fromkeys(names, other)})

    with serve(hub):
        ended = imagine("fetch", "mega", HF_ENDPOINT=hub.url)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "dalle-mini/dalle-mega/flax_model.msgpack at 01234567 on the hub is no longer the released "
        f"file: its checksum begins with {hashlib.sha256(other).hexdigest()[:8]}, not 35a6c84b.\n"
    )
    assert not (own_folder / "data").exists()


def test_a_machine_that_is_offline_is_told(own_folder: Path) -> None:
    ended = imagine("fetch", "mini", HF_ENDPOINT="http://127.0.0.1:9")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "The hub cannot be reached (ConnectError): check the network and run the command again; "
        "it goes on where it stopped.\n"
    )
    assert list(own_folder.iterdir()) == []
