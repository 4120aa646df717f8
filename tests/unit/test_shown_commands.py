"""Every command that the documents show is run by a test, or there is a reason why not."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import shutil
import subprocess
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

import pytest
import typer.main
import yaml

from bot import cli
from bot.settings import Settings
from tests.support.shown_commands import (
    DOCUMENTS,
    NOT_HERE,
    ROOT,
    RUN_BY,
    commands_in,
    run_by,
    settings_in,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STORIES: Final = ("tests.e2e.test_shown_commands", "tests.contract.test_backups")
SHOWN: Final = shown()
IMAGINE: Final = frozenset({"imagine", ".venv/bin/imagine", "/opt/imagine-bot/.venv/bin/imagine"})


def run_here() -> set[str]:
    """The lines that stories run as they stand."""
    tests = [test for name in STORIES for test in vars(importlib.import_module(name)).values()]
    return {line for test in tests for line in run_by(test)}


def is_form_of(form: str, line: str) -> bool:
    """Whether a command is a short or general way to say one that is run.

    Example: ``imagine admin grant WHO TIER`` of ``imagine admin grant discord/1 friend``.
    """
    words = [word for word in shlex.split(form) if not word.isupper()]
    of = shlex.split(line)
    if words[0] not in IMAGINE or of[0] not in IMAGINE:
        return False
    return words[1:] == of[1 : len(words)]


@pytest.mark.parametrize("command", SHOWN, ids=lambda each: f"{each.document}: {each.line}")
def test_every_command_that_is_shown_is_run_or_there_is_a_reason(command: Any) -> None:
    line = command.line
    run = run_here() | RUN_BY.keys()
    if line in NOT_HERE:
        assert line not in run, "it is run, so there is no reason"
    else:
        assert line in run or any(is_form_of(line, other) for other in run), (
            f"{command.document} shows a command that no test runs: run it in one of {STORIES}, "
            "or say in tests/support/shown_commands.py which test does or why it cannot be run"
        )


def test_no_command_is_accounted_for_that_nobody_shows() -> None:
    lines = {each.line for each in SHOWN}

    assert (run_here() | RUN_BY.keys() | NOT_HERE.keys()) - lines == set()


@pytest.mark.parametrize(("line", "test"), RUN_BY.items())
def test_the_test_that_runs_a_command_exists(line: str, test: str) -> None:
    module, _, name = test.partition(":")
    path = ROOT / f"{module.replace('.', '/')}.py"

    source = path.read_text("utf-8")
    assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE)
    assert f'"{shlex.split(line)[1]}"' in source, "it names another command"


def test_a_command_that_nobody_runs_would_be_found() -> None:
    text = "Try `imagine dance`:\n\n```sh\ncd a && make dance  # now\nWEB_PORT=1\n```\n"

    assert list(commands_in(text)) == ["cd a", "make dance", "imagine dance"]
    assert list(settings_in(text)) == ["WEB_PORT"]
    run = run_here() | RUN_BY.keys()
    assert not any(is_form_of("imagine dance", line) for line in run)
    assert is_form_of("imagine admin grant WHO TIER", "imagine admin grant discord/1 friend")


def test_commands_are_found_at_all() -> None:
    assert {each.document for each in SHOWN} >= {
        *("README.md", "CONTRIBUTING.md"),
        *("docs/api.md", "docs/operations.md", "docs/privacy.md", "docs/weights.md"),
    }
    assert len({each.line for each in SHOWN}) > 50


def test_imagine_is_the_command_line_that_the_tests_call() -> None:
    (script,) = entry_points(group="console_scripts", name="imagine")

    assert script.load() is cli.main


# ------------------------------------------------------ what can be checked of those not run here


def arguments_of_ours() -> Iterator[list[str]]:
    for each in SHOWN:
        words = shlex.split(each.line)
        at = next((index for index, word in enumerate(words) if word in IMAGINE), None)
        if at is not None and not {"pg_dump", "pg_restore"} & {*words}:  # a database's name
            yield words[at + 1 :]


@pytest.mark.parametrize("arguments", [*arguments_of_ours()], ids=" ".join)
def test_the_command_line_understands_what_is_shown(arguments: list[str]) -> None:
    command: Any = typer.main.get_command(cli.app)
    while hasattr(command, "commands") and arguments:
        name, *arguments = arguments
        assert name in command.commands
        command = command.commands[name]
    required = sum(1 for each in command.params if each.param_type_name == "argument")
    is_form = len([word for word in arguments if not word.startswith("-")]) < required
    if not is_form:
        command.make_context("imagine", arguments)


@pytest.mark.parametrize("line", [line for line in NOT_HERE if line.startswith("make ")])
def test_what_make_would_do_is_there_to_be_done(line: str) -> None:
    planned = run(*shlex.split(line), "-n")

    assert planned.returncode == 0, planned.stderr
    for module in re.findall(r"python -m ((?:tests|engine)[\w.]+)", planned.stdout):
        folder = ROOT / module.replace(".", "/")
        assert folder.with_suffix(".py").is_file() or (folder / "__main__.py").is_file()
    for path in re.findall(r"\b(tests/[\w./-]+)", planned.stdout):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("line", [line for line in NOT_HERE if "docker compose" in line])
def test_compose_has_the_services_that_are_named(line: str) -> None:
    words = shlex.split(line)
    file = words[words.index("-f") + 1]
    services = yaml.safe_load((ROOT / file).read_text("utf-8"))["services"]
    if "exec" in words:
        named = [word for word in words[words.index("exec") + 1 :] if not word.startswith("-")]
        assert named[0] in services
    if "pg_dump" in words:
        environment = services["database"]["environment"]
        assert words[words.index("-U") + 1] == environment["POSTGRES_USER"]
        assert environment["POSTGRES_DB"] in words


@pytest.mark.skipif(shutil.which("systemctl") is None, reason="no systemctl here")
def test_systemd_enables_the_unit_by_the_name_that_is_shown(tmp_path: Path) -> None:
    (line,) = (line for line in NOT_HERE if line.startswith("systemctl enable"))
    units = tmp_path / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "imagine-bot.service", units)

    enabled = run("systemctl", f"--root={tmp_path}", "enable", line.split()[-1])

    assert enabled.returncode == 0, enabled.stderr
    assert (units / "multi-user.target.wants" / "imagine-bot.service").is_symlink()


def test_a_command_beside_the_service_has_its_user_folder_and_settings() -> None:
    (line,) = (line for line in NOT_HERE if line.startswith("systemd-run "))
    unit = (ROOT / "deploy" / "imagine-bot.service").read_text("utf-8").splitlines()

    for given in re.findall(r"-p (\S+=\S+)", line):
        name, _, value = given.partition("=")
        if name == "User":  # that of a unit is called like the unit
            assert value == "imagine-bot"
        else:
            assert {f"{name}={value}", f"{name}=-{value}"} & {*unit}, given
    assert f"Environment={line.split('-E ')[1].split()[0]}" in unit
    assert f"ExecStart={line.split()[-2]} run" in unit


def test_extras_and_pins_that_are_named_are_those_of_the_project() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    pins = (ROOT / "requirements.lock").read_text("utf-8")
    for line in NOT_HERE:
        for extra in re.findall(r"'\.\[(\w+)\]'", line):
            assert f"\n{extra} = [" in project
        for name, version in re.findall(r'"(\w+)\[\w+\]==([\d.]+)"', line):
            assert re.search(rf"^{name}=={re.escape(version)} ", pins, re.MULTILINE), line


def test_a_forwarded_port_is_that_of_the_page() -> None:
    (line,) = (line for line in NOT_HERE if line.startswith("ssh "))

    port = Settings.model_fields["web_port"].default
    assert f"{port}:127.0.0.1:{port}" in line


@pytest.mark.parametrize("document", DOCUMENTS)
def test_settings_among_commands_are_settings(document: str) -> None:
    for name in settings_in((ROOT / document).read_text("utf-8")):
        assert name.lower() in Settings.model_fields


def test_what_curl_sends_is_what_the_page_takes() -> None:
    (line,) = {each.line for each in SHOWN if each.line.startswith("curl ")}
    words = shlex.split(line)

    assert json.loads(words[words.index("-d") + 1]).keys() <= {"prompt", "pictures", "seed"}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 # from our own documents
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
