from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.cli import main
from bot.settings import Settings

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Each command runs in a folder of its own and sees none of our variables."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["draw"], "Missing argument 'prompt'. Try imagine --help, or imagine draw --help."),
        (["draw", ""], "The prompt is empty: say in a few words what to draw."),
        (["draw", "\udcff"], "The prompt is not readable text: use UTF-8 in this terminal."),
        (
            ["draw", "a" * 1_001],
            "The prompt has 1,001 characters; shorten it to 1,000 or fewer.",
        ),
        (["draw", "a", "-n", "17"], "The picture count must be between 1 and 16, not 17."),
        (["draw", "a", "--seed", "-1"], "The seed must be between 0 and 4294967295, not -1."),
        (["draw", "a", "--top-p", "2"], "The top_p must be between 0.01 and 1.0, not 2.0."),
        (["draw", "a", "--top-p", "nan"], "The top_p must be between 0.01 and 1.0, not nan."),
        (
            ["draw", "a", "-o", "a.gif"],
            (
                "a.gif must end in .png, .webp, .jpg or .jpeg: those are the kinds of files that "
                "are written."
            ),
        ),
        (
            ["draw", "a", "-o", "/nowhere/a.png"],
            (
                "/nowhere/a.png cannot be written (No such file or directory): choose another file "
                "with -o."
            ),
        ),
        (
            ["draw", "a", "-o", "/"],
            "/ is a folder: name a file with -o, such as /pictures.png.",
        ),
        (
            ["draw", "a", "--all", "/nowhere/a"],
            (
                "/nowhere/a cannot be written (No such file or directory): choose another folder "
                "with --all."
            ),
        ),
        (
            ["draw", "a", "-o", "01.png", "--all", "."],
            "01.png would be the grid and a single picture at once: choose another file with -o.",
        ),
        (["draw", "a", "--colour"], "No such option: --colour. Try imagine --help, or"),
        (["zeichne"], "No such command 'zeichne'. Try imagine --help, or imagine draw --help."),
        (["chekc"], "No such command 'chekc'. Did you mean 'check'? Try imagine --help, or"),
    ],
)
def test_asked_wrongly_it_says_what_to_change(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], own_folder: Path
) -> None:
    status = main(arguments)

    told = capsys.readouterr()
    assert status == 2
    assert told.err.removeprefix(f"{own_folder}/").startswith(sentence)
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert list(own_folder.iterdir()) == []


def test_wrong_settings_are_told_and_nothing_is_started(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_PORT", "none")
    monkeypatch.setenv("ENGINE_SLOTS", "0")

    assert main(["run"]) == 2
    assert capsys.readouterr().err == (
        "WEB_PORT must be a whole number from 1 to 65535.\n"
        "ENGINE_SLOTS must be a whole number from 1 to 256.\n"
    )


@pytest.mark.parametrize("command", [["run"], ["draw", "a"]])
def test_without_a_model_it_says_what_is_missing(
    command: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    own_folder: Path,
) -> None:
    monkeypatch.setenv("ENGINE_CHECKPOINT", str(own_folder))

    assert main(command) == 1
    assert capsys.readouterr().err == (
        f"The model in {own_folder} lacks dalle_bart/config.json, dalle_bart/flax_model.msgpack, "
        "vqgan/config.json, vqgan/flax_model.msgpack, clip/config.json, clip/flax_model.msgpack: "
        "set ENGINE_CHECKPOINT to a complete folder.\n"
    )


def test_check_tells_what_is_fine_and_what_is_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, own_folder: Path
) -> None:
    monkeypatch.setenv("ENGINE_CHECKPOINT", str(own_folder))
    monkeypatch.setenv("ENGINE_DEVICES", "cpu")

    assert main(["check"]) == 1
    told = capsys.readouterr()
    *lines, disk, clock = told.out.splitlines()
    assert lines == [
        "settings  ok",
        "database  ok: SQLite, 0 unfinished requests",
        "device    ok: cpu",
        "discord   ok: off (no token)",
        "x         ok: off (no keys)",
    ]
    assert disk.startswith("disk      ok: ")
    assert disk.endswith(" free in data")
    assert clock == "clock     ok: not compared (no platform is set up)"
    assert told.err.startswith(f"weights   The model in {own_folder} lacks dalle_bart/config.json")
    assert told.err.count("\n") == 1


def test_check_tells_wrong_settings_a_line_each_and_looks_at_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, own_folder: Path
) -> None:
    monkeypatch.setenv("WEB_PORT", "none")
    monkeypatch.setenv("ENGINE_SLOTS", "0")

    assert main(["check"]) == 2

    told = capsys.readouterr()
    assert told.err == (
        "settings  WEB_PORT must be a whole number from 1 to 65535.\n"
        "settings  ENGINE_SLOTS must be a whole number from 1 to 256.\n"
    )
    assert told.out == ""
    assert list(own_folder.iterdir()) == []


def test_migrate_makes_the_database(capsys: pytest.CaptureFixture[str], own_folder: Path) -> None:
    assert main(["migrate"]) == 0
    assert capsys.readouterr().out == "The database is up to date.\n"
    assert (own_folder / "data" / "imagine.db").is_file()


def test_a_file_that_is_no_database_is_told_with_a_sentence(
    capsys: pytest.CaptureFixture[str], own_folder: Path
) -> None:
    (own_folder / "data").mkdir()
    (own_folder / "data" / "imagine.db").write_text("something else, and long enough " * 40)

    assert main(["migrate"]) == 1
    assert capsys.readouterr().err == (
        "data/imagine.db is not a SQLite database: move it away, or set DATABASE_URL to another "
        "file.\n"
    )


def test_every_module_can_be_imported_with_an_empty_environment() -> None:
    code = (
        "import importlib, pkgutil, bot\n"
        "for found in pkgutil.walk_packages(bot.__path__, 'bot.'):\n"
        "    found.name == 'bot.__main__' or importlib.import_module(found.name)\n"
        "import sys\n"
        "assert 'jax' not in sys.modules, 'the bot process must not load JAX'\n"
    )
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT)}

    subprocess.run([sys.executable, "-c", code], env=environment, check=True)  # noqa: S603 # ours


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    told = capsys.readouterr().out
    readme = (ROOT / "README.md").read_text("utf-8")
    for command in ("run", "draw", "check", "fetch", "bench", "migrate", "admin"):
        assert f"\n  {command} " in told
        assert f"| `imagine {command}" in readme
