"""The real process ``python -m bot run``, started, watched, ended and always reaped."""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.turns import own_share

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]

START_WITHIN_S = 300.0  # compiling the model on a small machine that is busy
STOP_WITHIN_S = 40.0
_LOOK_EVERY_S = 0.1

_own_ports = [*own_share(range(20_000, 32_000))]
random.SystemRandom().shuffle(_own_ports)  # others may run the tests beside us
_ports = iter(_own_ports)

_OURS = (
    *("DISCORD_", "X_", "ENGINE_", "PICTURE_", "WEB_", "DATA_", "DATABASE_", "LOG_", "DAILY_"),
    "BURST_",
    *("COMMUNITY_", "BOT_", "JOBS_", "HISTORY_", "WORKER_", "TIERS"),
)


class BotProcess:
    """One bot with its own data folder and port, over any number of restarts.

    Runs in the data folder, so that no ``.env`` of a developer is read. Its methods block:
    where the test's event loop serves a loopback platform, call them in a thread.
    """

    def __init__(self, data_dir: Path, variables: Mapping[str, str]) -> None:
        self.data_dir = data_dir
        self.base_url = f"http://127.0.0.1:{free_port()}"
        self._variables = dict(variables)
        self._process: subprocess.Popen[bytes] | None = None
        self._output_path = data_dir / "output.txt"

    def __repr__(self) -> str:
        return f"<BotProcess {self.base_url}>"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    @property
    def output(self) -> str:
        """Everything that all its processes have written so far."""
        return self._output_path.read_text("utf-8", "replace")

    @property
    def environment(self) -> dict[str, str]:
        """What the process is given: nothing of ours from outside, then its variables."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        own = {"DATA_DIR": str(self.data_dir), "WEB_PORT": self.base_url.rpartition(":")[2]}
        return inherited | {"PYTHONPATH": str(ROOT)} | own | self._variables

    def start(self) -> None:
        """Start it and wait until its page answers."""
        with self._output_path.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bot", "run"],
                cwd=self.data_dir,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_WITHIN_S
        while not self.answers():
            assert self.process.poll() is None, f"the bot ended:\n{self.output}"
            assert time.monotonic() < deadline, f"the bot does not answer:\n{self.output}"
            time.sleep(_LOOK_EVERY_S)

    def answers(self) -> bool:
        """Whether its page answers now."""
        host, _, port = self.base_url.removeprefix("http://").rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=1)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self) -> int:
        """Ask it to stop, as a service manager would, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_WITHIN_S)

    def kill(self) -> None:
        """End it without a word, as a power cut would."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Stop it in order and start it again with the same data."""
        self.stop()
        self.start()

    def reap(self) -> None:
        """End whatever is left of it."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def imagine(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the same data and settings beside it."""
        return subprocess.run(  # noqa: S603 # our own program
            [sys.executable, "-m", "bot", *arguments],
            cwd=self.data_dir,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def free_port() -> int:
    """Return a port that nobody listens on just now, another one each time.

    It comes from below those that Linux gives to outgoing connections (32768 and up), and
    from those of our own among the processes that share the tests: until it is used, nobody
    else takes it.
    """
    for port in _ports:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise LookupError("no port is free")
