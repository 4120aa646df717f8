"""Fetches a checkpoint to this machine: resumable, verified, all or nothing.

Each file grows under another name (``flax_model.msgpack.df70127fbf804aae.part``) and gets
its own only when it is whole and its checksum is right. What was downloaded before an
interruption is kept and continued, if the source still has the same file. Where it comes
from is for `engine/sources` to know.

``fetched.json``, beside the folders, records where each file came from and its SHA-256. A
file that is there already is read again and compared: to that record, and to what the
source says.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from engine.sources.files import CHUNK_BYTES, ConnectionLostError, FetchError, RemoteFile
from engine.sources.released import find_files

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path
    from typing import BinaryIO

RECORD_FILE: Final = "fetched.json"

_TRIES_WITHOUT_PROGRESS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one file is; ``total_bytes`` is the size of all files together."""

    name: str
    done_bytes: int
    size_bytes: int
    total_bytes: int


def fetch(
    source: str,
    folder: Path,
    *,
    show: Callable[[Progress], None],
    endpoint: str | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Fetch a checkpoint into ``folder``, or what of it is not there yet.

    Args:
        source: See `engine/sources`.
        folder: Gets ``dalle_bart/``, ``vqgan/`` and ``clip/``.
        show: Told how far each file is.
        endpoint: Address of the hub, by default the public one or ``HF_ENDPOINT``.
        wait: Waits so many seconds before a lost connection is tried again.

    Raises:
        FetchError: With one sentence. What was downloaded stays for the next time.
    """
    files = find_files(source, endpoint=endpoint)
    with _disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        record = _read_record(folder)
        _check_room(files, folder)
        total_bytes = sum(file.size_bytes for file in files)
        for file in files:
            download = _Download(file, folder, show=show, wait=wait, total_bytes=total_bytes)
            sha256 = download.run(record.get(file.name, {}).get("sha256"))
            record[file.name] = {
                "bytes": file.size_bytes,
                "origin": file.origin,
                "sha256": sha256,
            }
            _write_record(folder, source, record)


class _Hashes:
    """The checksums of one content: SHA-256 for the record, and what the source speaks of."""

    def __init__(self, file: RemoteFile) -> None:
        self._expected = file.checksum
        self._sha256 = hashlib.sha256()
        self._other: Any = None
        if file.checksum is not None and file.checksum.kind != "sha256":
            self._other = file.checksum.start(file.size_bytes)

    def update(self, chunk: bytes) -> None:
        self._sha256.update(chunk)
        if self._other is not None:
            self._other.update(chunk)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def is_as_the_source_says(self) -> bool:
        hashed = self._sha256 if self._other is None else self._other
        return self._expected is None or hashed.hexdigest() == self._expected.hex


class _Download:
    """One file on its way."""

    def __init__(
        self,
        file: RemoteFile,
        folder: Path,
        *,
        show: Callable[[Progress], None],
        wait: Callable[[float], None],
        total_bytes: int,
    ) -> None:
        self._file = file
        self._path = folder / file.name
        self._show = show
        self._wait = wait
        self._total_bytes = total_bytes
        self._hashes = _Hashes(file)

    def run(self, recorded_sha256: str | None) -> str:
        """Return the SHA-256 of the file, which is there now.

        Raises:
            FetchError: It is not.
        """
        if self._path.exists():
            self._verify_old(recorded_sha256)
        else:
            self._path.parent.mkdir(exist_ok=True)
            part = _part_path(self._path, self._file)
            with part.open("a+b") as out, _only_one(out, part):
                self._complete(out)
                out.flush()
                os.fsync(out.fileno())  # a crash must not leave a hole under the final name
                self._verify_new(part)
                part.replace(self._path)
        return self._hashes.sha256

    def _verify_old(self, recorded_sha256: str | None) -> None:
        with self._path.open("rb") as file:
            size_bytes = self._hash_all(file)
        is_known = recorded_sha256 in {None, self._hashes.sha256}
        if not (
            size_bytes == self._file.size_bytes and is_known and self._hashes.is_as_the_source_says
        ):
            raise FetchError(
                f"{self._path} is not what {self._file.origin} is: move it away, or choose "
                "another folder."
            )

    def _complete(self, out: BinaryIO) -> None:
        """Append what is missing, trying again as long as something comes."""
        out.seek(0)
        if self._hash_all(out) > self._file.size_bytes:
            out.truncate(0)
            out.seek(0)
            self._hashes = _Hashes(self._file)
        tries = 0
        while (start := out.tell()) < self._file.size_bytes:
            try:
                self._append(out, start)
            except ConnectionLostError:
                tries = 0 if out.tell() > start else tries + 1
                if tries == _TRIES_WITHOUT_PROGRESS:
                    raise
                self._wait(2.0**tries)

    def _append(self, out: BinaryIO, start: int) -> None:
        with closing(self._file.read_from(start)) as chunks:
            for chunk in chunks:
                wanted = chunk[: self._file.size_bytes - out.tell()]
                out.write(wanted)
                self._hashes.update(wanted)
                self._tell(out.tell())
                if out.tell() == self._file.size_bytes:
                    return
        raise ConnectionLostError(
            f"The connection to {self._file.origin} ends too early: run the command again; it goes "
            "on where it stopped."
        )

    def _verify_new(self, part: Path) -> None:
        if not self._hashes.is_as_the_source_says:
            part.unlink()
            raise FetchError(
                f"{self._file.origin} arrived damaged (its checksum is wrong) and was deleted: "
                "run the command again."
            )
        try:
            self._file.refuse_other(self._hashes.sha256)
        except FetchError:
            part.unlink()
            raise

    def _hash_all(self, file: BinaryIO) -> int:
        while chunk := file.read(CHUNK_BYTES):
            self._hashes.update(chunk)
            self._tell(file.tell())
        return file.tell()

    def _tell(self, done_bytes: int) -> None:
        self._show(
            Progress(
                name=self._file.name,
                done_bytes=done_bytes,
                size_bytes=self._file.size_bytes,
                total_bytes=self._total_bytes,
            )
        )


def _part_path(path: Path, file: RemoteFile) -> Path:
    return path.with_name(f"{path.name}.{file.version}.part")


@contextmanager
def _only_one(file: BinaryIO, path: Path) -> Generator[None]:
    """Keep a second fetch from writing to the same file; the lock ends with the file."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FetchError(f"{path} is being fetched already, by another process.") from None
    yield


def _check_room(files: list[RemoteFile], folder: Path) -> None:
    needed = sum(file.size_bytes - _present_bytes(folder, file) for file in files)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise FetchError(
            f"{folder} needs {_size(needed)} more, but only {_size(free)} are free there: make "
            "room, or choose another folder."
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 10**9 else f"{count / 1e6:.1f} MB"


def _present_bytes(folder: Path, file: RemoteFile) -> int:
    path = folder / file.name
    part = _part_path(path, file)
    there = path if path.exists() else part
    return min(there.stat().st_size, file.size_bytes) if there.exists() else 0


def _read_record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        return dict(cast("dict[str, Any]", record["files"]))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError) as error:
        raise FetchError(f"{folder / RECORD_FILE} is damaged: delete it.") from error


def _write_record(folder: Path, source: str, files: dict[str, Any]) -> None:
    text = json.dumps({"files": files, "source": source}, indent=2, sort_keys=True) + "\n"
    new = folder / f"{RECORD_FILE}.new"
    new.write_text(text, encoding="utf-8")
    new.replace(folder / RECORD_FILE)


@contextmanager
def _disk_errors(folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise FetchError(
                f"The disk of {folder} is full: make room and run the command again; it goes on "
                "where it stopped."
            ) from error
        raise FetchError(
            f"{error.filename or folder} cannot be used ({error.strerror or error})."
        ) from error
