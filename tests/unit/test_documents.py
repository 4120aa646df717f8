"""The documents say what is so: commands that can be run, tables that exist, links that lead."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import typer.main

from bot import cli
from bot.settings import Settings
from bot.store.store import Store
from bot.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = (
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{n}.md" for n in ("operations", "privacy", "metrics")),
)
OURS: Final = ("imagine", ".venv/bin/imagine", "/opt/imagine-bot/.venv/bin/imagine")

# Commands of the system that the documents show; none of them is ours to test.
OF_THE_SYSTEM: Final = frozenset(
    (
        *("cp", "curl", "install", "echo", "git", "systemctl", "journalctl", "docker", "sqlite3"),
        *("pg_dump", "pg_restore", "cd", "ssh"),
    )
)

# Their last word is a database.
NAMED_LIKE_OURS: Final = frozenset({"pg_dump", "pg_restore"})


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def shell_lines(name: str) -> Iterator[str]:
    """Each line of each block that a reader would copy into a shell, joined where it goes on."""
    for block in re.findall(r"^[ ]*```sh\n(.*?)^[ ]*```", text_of(name), re.DOTALL | re.MULTILINE):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            for part in line.split("&&"):
                if words := part.strip():
                    yield words


COMMANDS: Final = [
    (name, words) for name in DOCUMENTS for line in shell_lines(name) if (words := line)
]


def parse(arguments: list[str]) -> None:
    """Let the command line read the words without running anything.

    Raises:
        Exception: They are wrong.
    """
    command: Any = typer.main.get_command(cli.app)
    while hasattr(command, "commands") and arguments:
        name, *arguments = arguments
        assert name in command.commands, f"No such command {name!r}"
        command = command.commands[name]
    command.make_context("imagine", arguments)


@pytest.mark.parametrize(("document", "line"), COMMANDS)
def test_every_command_that_is_shown_can_be_run(document: str, line: str) -> None:
    del document
    words = shlex.split(line, comments=True)
    if not words:
        return
    ours = next((index for index, word in enumerate(words) if word in OURS), None)
    if ours is not None and words[0] not in NAMED_LIKE_OURS:
        parse(words[ours + 1 :])
    elif setting := re.fullmatch(r"(\w+)=.*", words[0]):
        assert setting[1].lower() in Settings.model_fields
    elif words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        assert targets
        for target in targets:
            assert is_target(target), f"make {target} does not exist"
    elif words[0] in {".venv/bin/pip", ".venv/bin/python"}:
        assert words[1] in {"install", "-m"}
    else:
        assert words[0] in OF_THE_SYSTEM, line


def is_target(name: str) -> bool:
    makefile = text_of("Makefile").replace("$(RUN_STAMP)", ".venv/.run.stamp")
    return re.search(rf"^{re.escape(name)}:", makefile, re.MULTILINE) is not None


def test_the_check_of_commands_finds_what_is_wrong() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(["draw", "a", "--colour"])
    with pytest.raises(Exception, match="No such command"):
        parse(["admin", "explode"])
    parse(["admin", "limits", "discord/1", "--daily", "5"])
    assert not is_target("runn")


def test_commands_are_shown_at_all() -> None:
    imagine = [line for _, line in COMMANDS if "imagine " in line]
    assert len(imagine) > 15
    assert ("README.md", "make run") in COMMANDS


def test_the_document_on_privacy_names_every_table_once() -> None:
    named = re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", text_of("docs/privacy.md"), re.MULTILINE)

    assert Store, "its import brings all tables"
    assert sorted(named) == sorted(metadata.tables)


def test_the_document_on_privacy_names_every_file_that_the_bot_writes() -> None:
    named = set(re.findall(r"`([\w.-]+/?)`", text_of("docs/privacy.md")))
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "bot").rglob("*.py"))
    written = set(re.findall(r"data_dir / [\"']([\w.-]+)[\"']", sources))

    assert written >= {"imagine.db", "pictures", "minutes.json", "compiled"}
    assert {name for name in written if not {name, f"{name}/"} & named} == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files_that_exist(name: str) -> None:
    folder = (ROOT / name).parent
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[\w-]+)?\)", text_of(name)):
        assert (folder / target).exists(), target


def test_settings_that_the_documents_name_exist() -> None:
    known = {field.upper() for field in Settings.model_fields}
    for name in ("docs/operations.md", "docs/privacy.md", "docs/metrics.md"):
        prefixes = r"(?:WEB|ENGINE|HISTORY|DATA|DATABASE|WORKER|LOG|X|DISCORD|BOT|DAILY)_[A-Z_]+"
        for variable in re.findall(rf"\b{prefixes}\b", text_of(name)):
            assert variable in known, f"{name}: {variable}"
