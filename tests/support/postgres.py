"""A PostgreSQL server for the tests: Debian's, on a folder and a socket of its own.

It refuses to run as root, so it runs as ``postgres`` (Debian's package makes that user) or
``nobody`` then. Nothing of it is on the network, and nothing of it is left afterwards.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

NOT_INSTALLED: Final = "PostgreSQL is not installed (apt-get install postgresql)"

_START_WITHIN_S = 60.0
_STOP_WITHIN_S = 10.0
# What is lost by a power cut does not matter here; the order of locks and commits does.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "unix_socket_permissions": "0777",
}


def bin_dir() -> Path | None:
    """Where the server's programs are, those of the newest version."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    versions = sorted(found, key=lambda path: float(path.parts[-3]))
    if versions:
        return versions[-1].parent
    on_path = shutil.which("initdb")
    return None if on_path is None else Path(on_path).resolve().parent


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server. Everybody on this machine may use it as ``postgres``."""

    folder: Path
    programs: Path
    _numbers: Iterator[int]

    def new_database(self) -> str:
        """Create a database and return its name."""
        name = f"imagine_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def url(self, name: str) -> str:
        return f"postgresql+asyncpg://postgres@/{name}?host={self.folder}"

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run one statement and return what it says."""
        command = [str(self.programs / "psql"), "-h", str(self.folder), "-U", "postgres"]
        command += ["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d", database]
        ran = subprocess.run(  # noqa: S603 # our own statement
            [*command, "-c", statement], check=True, capture_output=True, text=True, timeout=60
        )
        return ran.stdout.strip()


@contextmanager
def running_server(programs: Path) -> Generator[PostgresServer]:
    """Run a new, empty server."""
    with tempfile.TemporaryDirectory(prefix="imagine-pg-") as name:
        folder = Path(name)  # short: the path of a socket may have 107 characters
        user = _unprivileged_user()
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        folder.chmod(0o711)
        data = folder / "data"
        _run([programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N"], user)
        options = [f"-c{key}={value}" for key, value in _SETTINGS.items()]
        with (folder / "log.txt").open("wb") as log:
            server = subprocess.Popen(  # noqa: S603 # Debian's program, on our own folder
                [programs / "postgres", "-D", data, "-k", folder, *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                user=None if user is None else user.pw_uid,
                group=None if user is None else user.pw_gid,
                extra_groups=None if user is None else [],
            )
        try:
            running = PostgresServer(folder, programs, count(1))
            _wait_until_ready(running, server)
            yield running
        finally:
            server.send_signal(signal.SIGQUIT)  # at once: nothing is worth saving
            try:
                server.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _unprivileged_user() -> pwd.struct_passwd | None:
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LookupError("PostgreSQL does not run as root, and there is no other user")


def _run(command: Sequence[object], user: pwd.struct_passwd | None) -> None:
    subprocess.run(  # noqa: S603 # Debian's program, on our own folder
        [str(part) for part in command],
        check=True,
        capture_output=True,
        timeout=_START_WITHIN_S,
        user=None if user is None else user.pw_uid,
        group=None if user is None else user.pw_gid,
        extra_groups=None if user is None else [],
    )


def _wait_until_ready(server: PostgresServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_WITHIN_S
    while not _answers(server):
        log = (server.folder / "log.txt").read_text("utf-8", "replace")
        assert process.poll() is None, f"PostgreSQL ended:\n{log}"
        assert time.monotonic() < deadline, f"PostgreSQL does not answer:\n{log}"
        time.sleep(0.1)


def _answers(server: PostgresServer) -> bool:
    try:
        server.execute("SELECT 1")
    except subprocess.CalledProcessError:
        return False
    return True
