"""A folder like a fresh checkout, in which the commands of the documents are run as they stand.

Its ``.venv`` is that of the tests, with everything installed: installing is what ``make test``
has done before.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.cli import main
from bot.settings import Settings
from tests.support.bot_process import START_WITHIN_S, STOP_WITHIN_S, free_port

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

ROOT: Final = Path(__file__).parents[2]

_COMMAND_WITHIN_S: Final = 120.0
_LOOK_EVERY_S: Final = 0.1
_OURS: Final = frozenset(name.upper() for name in Settings.model_fields)


class Checkout:
    """A checkout in ``folder``.

    Attributes:
        ran: The lines that were run here, as the documents show them.
        variables: What its shell has set beside what everybody has.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.ran: set[str] = set()
        self.variables = variables
        for path in ROOT.iterdir():
            if path.is_file() and path.name not in {".env", ".git"}:
                shutil.copy2(path, folder)
        shutil.copytree(ROOT / "deploy", folder / "deploy")
        installed = folder / ".venv"
        installed.mkdir()
        (installed / "bin").symlink_to(Path(sys.executable).parent)
        (installed / ".run.stamp").touch()

    def __repr__(self) -> str:
        return f"<Checkout {self.folder}>"

    @property
    def environment(self) -> dict[str, str]:
        """That of a shell in which the bot's own ``.venv/bin`` comes first."""
        inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
        path = f"{self.folder / '.venv' / 'bin'}:{inherited['PATH']}"
        return {**inherited, "PATH": path, **self.variables}

    def run(self, line: str, swaps: Mapping[str, str] | None = None) -> str:
        """Run a line in a shell and return what it wrote; it must succeed.

        Args:
            line: As a document shows it.
            swaps: What is other here than in the document, such as a port.
        """
        ended = subprocess.run(  # noqa: S603 # the project's own documents
            ["bash", "-euo", "pipefail", "-c", _swapped(line, swaps)],  # noqa: S607 # any bash
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_WITHIN_S,
            check=False,
        )
        assert ended.returncode == 0, f"{line}\n{ended.stdout}{ended.stderr}"
        self.ran.add(line)
        return ended.stdout

    def imagine(self, line: str, swaps: Mapping[str, str] | None = None) -> None:
        """Run a line that begins with ``imagine`` in this process, which spares a start.

        It must succeed. The test's own folder must be this one, as its settings are read there.
        """
        program, *arguments = shlex.split(_swapped(line, swaps))
        assert program in {"imagine", ".venv/bin/imagine"}
        assert Path.cwd() == self.folder
        assert main(arguments) == 0, line
        self.ran.add(line)

    @contextmanager
    def made_run(self) -> Generator[MadeRun]:
        """``make run`` with a port of its own, until the page answers; ended by Ctrl+C."""
        port = free_port()
        with (self.folder / ".env").open("a", encoding="utf-8") as env:
            env.write(f"WEB_PORT={port}\n")
        output = self.folder / "output.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                ["make", "run"],  # noqa: S607 # any make
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running = MadeRun(f"http://127.0.0.1:{port}", output)
        try:
            running.wait_for(process)
            self.ran |= {"make run", "imagine run"}  # the one is the other
            yield running
            os.killpg(process.pid, signal.SIGINT)  # to all of them, as a terminal does
            process.wait(STOP_WITHIN_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class MadeRun:
    """The bot that ``make run`` started."""

    def __init__(self, base_url: str, output: Path) -> None:
        self.base_url = base_url
        self._output = output

    def __repr__(self) -> str:
        return f"<MadeRun {self.base_url}>"

    @property
    def output(self) -> str:
        """What it has written so far, ``make``'s words among it."""
        return self._output.read_text("utf-8", "replace")

    def wait_for(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until it is healthy."""
        deadline = time.monotonic() + START_WITHIN_S
        while not self._is_healthy():
            assert process.poll() is None, f"the bot ended:\n{self.output}"
            assert time.monotonic() < deadline, f"the bot does not answer:\n{self.output}"
            time.sleep(_LOOK_EVERY_S)

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.base_url}/healthz", timeout=1) as answer:  # noqa: S310 # ours
                return answer.status == HTTPStatus.OK
        except OSError:
            return False


def _swapped(line: str, swaps: Mapping[str, str] | None) -> str:
    for shown, here in (swaps or {}).items():
        assert shown in line, f"{line} does not say {shown}"
        line = line.replace(shown, here)
    return line
