"""What lies in ``deploy/`` is checked with the tools that read it, where they are installed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
import yaml

from bot.app import GRACE_S
from bot.cli import ASKED_WRONGLY
from bot.settings import Settings
from tests.support.compose_schema import complaints

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
UNIT: Final = DEPLOY / "imagine-bot.service"
DOCKERFILE: Final = DEPLOY / "Dockerfile"


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 # ours
        command, cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    # The program is not installed where the unit says: any other will do for the check.
    text, count = re.subn(r"ExecStart=\S+ run", "ExecStart=/bin/true run", UNIT.read_text("utf-8"))
    assert count == 1
    unit = tmp_path / UNIT.name
    unit.write_text(text, "utf-8")

    verified = run("systemd-analyze", "verify", "--man=no", str(unit))

    assert (verified.returncode, verified.stderr) == (0, "")


def unit_settings() -> dict[str, str]:
    lines = (line.partition("=") for line in UNIT.read_text("utf-8").splitlines())
    return {name: value for name, is_set, value in lines if is_set and not name.startswith("#")}


def test_the_unit_gives_the_bot_time_to_stop_and_no_second_start_with_wrong_settings() -> None:
    unit = unit_settings()

    assert float(unit["TimeoutStopSec"]) > 2 * GRACE_S
    assert unit["RestartPreventExitStatus"] == str(ASKED_WRONGLY)
    assert unit["NoNewPrivileges"] == "yes"
    assert unit["DynamicUser"] == "yes"


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of each instruction, lines that go on joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word]


def dockerignore() -> list[str]:
    return (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()


def told(word: str) -> list[str]:
    """What is said to one kind of instruction, in order."""
    return [rest for each, rest in instructions() if each == word]


def test_hadolint_finds_nothing_wrong_with_the_dockerfile() -> None:
    linted = run(str(Path(sys.executable).with_name("hadolint")), str(DOCKERFILE))

    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    careless = tmp_path / "Dockerfile"
    careless.write_text("FROM debian:latest\nRUN cd /tmp && sudo true\n", "utf-8")

    linted = run(str(Path(sys.executable).with_name("hadolint")), str(careless))

    assert linted.returncode == 1
    assert {"DL3007", "DL3004"} <= set(re.findall(r"DL\d{4}", linted.stdout))


def test_the_image_copies_what_is_there_and_nothing_else_is_sent_to_docker() -> None:
    copied = [
        name for rest in told("COPY") if not rest.startswith("--") for name in rest.split()[:-1]
    ]
    ignored = dockerignore()

    assert ignored[0] == "*"
    assert set(copied) == {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_is_pinned_from_its_base_to_its_packages() -> None:
    bases = {rest.split()[0] for rest in told("FROM")}
    assert len(bases) == 1, "what was compiled for one Python would run on another"
    assert re.fullmatch(r"nvidia/cuda:\d+\.\d+\.\d+-base-ubuntu24\.04", bases.pop())

    installs = [rest for rest in told("RUN") if "pip install" in rest]
    assert installs[0] == "pip install --require-hashes -r requirements.lock"
    assert installs[1].endswith('--constraint constraints.txt "jax[cuda12]" asyncpg')
    assert installs[2] == "pip install --no-deps --no-build-isolation ."


def test_the_constraints_of_the_image_name_each_package_once_as_the_bot_has_it() -> None:
    (made,) = (rest for rest in told("RUN") if rest.startswith("sed "))
    made = made.partition(" > ")[0]
    pins = run("bash", "-c", f"cd {shlex.quote(str(ROOT))} && {made}").stdout.split()
    names = [pin.partition("==")[0] for pin in pins]

    assert len(names) == len(set(names)), "pip would refuse two versions of one package"
    assert {"jax", "jaxlib", "asyncpg"} <= set(names)
    ours = (ROOT / "requirements.lock").read_text("utf-8")
    for pin in pins:
        if re.search(rf"^{re.escape(pin.partition('==')[0])}==", ours, re.MULTILINE):
            assert re.search(rf"^{re.escape(pin)}[ \\]", ours, re.MULTILINE), pin


def test_what_the_image_installs_has_every_file_that_the_bot_reads(tmp_path: Path) -> None:
    """An image has no checkout to fall back on: what is no package data would be missing."""
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    for name in (line.removeprefix("!") for line in dockerignore() if line.startswith("!")):
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, source)
    out.mkdir()
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"

    built = run(sys.executable, "-c", build, cwd=source)

    (wheel,) = out.glob("*.whl")
    there = {
        str(path.relative_to(source))
        for name in ("bot", "engine", "migrations")
        for path in (source / name).rglob("*")
        if path.is_file()
    }
    with zipfile.ZipFile(wheel) as files:
        assert there - set(files.namelist()) == set(), built.stderr


def test_the_image_runs_the_bot_as_nobody_of_importance_and_looks_after_it() -> None:
    assert told("USER") == ["10001"]
    assert [word for word, _ in instructions()].index("USER") < len(instructions()) - 2
    assert (told("ENTRYPOINT"), told("CMD")) == (['["imagine"]'], ['["run"]'])
    assert told("EXPOSE") == [str(Settings.model_fields["web_port"].default)]
    assert told("VOLUME") == told("WORKDIR")[-1:] == ["/data"]
    assert "DATA_DIR=/data" in told("ENV")[-1].split()
    (look,) = told("HEALTHCHECK")
    assert f"http://127.0.0.1:{told('EXPOSE')[0]}/healthz" in look


def test_the_look_at_the_image_health_is_a_program_that_fails_while_nobody_answers() -> None:
    (look,) = told("HEALTHCHECK")
    command = cast("list[str]", json.loads(look.partition("CMD ")[2]))
    assert command[0] == "python3"

    ended = run(sys.executable, *command[1:2], command[2].replace(":8080/", ":9/"))

    assert ended.returncode == 1
    assert "URLError" in ended.stderr


def compose() -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8")))


def test_the_compose_specification_says_nothing_against_the_compose_file() -> None:
    whole = compose()

    assert complaints(whole) == []

    whole["services"]["bot"]["portz"] = ["1:1"]
    whole["services"]["database"]["restart"] = 3
    assert len(complaints(whole)) == 2, "it would find something"


def test_what_the_compose_file_refers_to_is_there() -> None:
    whole = compose()

    for name, service in whole["services"].items():
        for needed in service.get("depends_on", {}):
            assert "healthcheck" in whole["services"][needed], name
        for volume in service["volumes"]:
            assert volume.partition(":")[0] in whole["volumes"], name
    bot = whole["services"]["bot"]
    build = bot["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DOCKERFILE
    assert bot["volumes"] == [f"data:{bot['environment']['DATA_DIR']}"]
    assert bot["ports"] == [f"127.0.0.1:8080:{bot['environment']['WEB_PORT']}"]
    assert float(bot["stop_grace_period"].removesuffix("s")) > 2 * GRACE_S


def test_the_compose_file_sets_only_variables_that_the_bot_knows() -> None:
    environment = cast("Mapping[str, str]", compose()["services"]["bot"]["environment"])

    assert {name.lower() for name in environment} <= set(Settings.model_fields)
    assert environment["DATABASE_URL"].startswith("postgresql+asyncpg://")
    passwords = re.findall(r"\$\{(\w+)(:\?[^}]+)?\}", str(compose()))
    assert passwords
    assert all(sentence for _, sentence in passwords), "a missing password must be told"


def test_the_bot_accepts_the_settings_of_the_compose_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [*os.environ]:
        if name.lower() in Settings.model_fields:
            monkeypatch.delenv(name)
    environment = cast("Mapping[str, str]", compose()["services"]["bot"]["environment"])
    given = {
        name.lower(): re.sub(r"\$\{.*\}", "secret", value) for name, value in environment.items()
    }

    settings = Settings(**cast("dict[str, Any]", given), web_password="a long password")  # pyright: ignore[reportArgumentType] # pydantic makes it secret

    assert (settings.web_host, settings.web_port) == ("0.0.0.0", 8_080)  # noqa: S104 # in a container
