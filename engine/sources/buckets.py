"""Checkpoints in buckets (``gs://``, ``s3://``) and any other storage that fsspec knows."""

from __future__ import annotations

import base64
import hashlib
import posixpath
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from engine.sources.files import (
    CHUNK_BYTES,
    FILES,
    Checksum,
    ConnectionLostError,
    FetchError,
    RemoteFile,
    not_installed,
    present,
    require,
    short,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

_BLOCK_BYTES: Final = 2**24


def bucket_files(url: str) -> list[RemoteFile]:
    """List a checkpoint in a folder of any kind of storage that fsspec knows.

    Raises:
        FetchError: It cannot be listed, or holds no checkpoint.
    """
    with _bucket_errors(url):
        import fsspec  # noqa: PLC0415 # optional, slow to import # pyright: ignore[reportMissingTypeStubs]

        filesystem, root = fsspec.url_to_fs(url)
        infos: dict[str, Any] = filesystem.find(root, detail=True)
    found = {posixpath.relpath(path, root): path for path in infos}
    alone = "config.json" in found
    wanted = [
        (folder, name, found[place])
        for folder, files in FILES.items()
        for name in _present_in(folder, files, found, alone=alone)
        if (place := name if alone else f"{folder}/{name}") in found
    ]
    for folder in dict.fromkeys(folder for folder, _, _ in wanted):
        require(url, folder, [name for f, name, _ in wanted if f == folder])
    if not wanted:
        raise FetchError(f"{url} holds no checkpoint.")
    return [
        _bucket_file(filesystem, path, infos[path], f"{folder}/{name}")
        for folder, name, path in wanted
    ]


def _present_in(
    folder: str, files: tuple[str, ...], found: Mapping[str, str], *, alone: bool
) -> list[str]:
    if alone and folder != "dalle_bart":
        return []
    prefix = "" if alone else f"{folder}/"
    names = [name.removeprefix(prefix) for name in found if name.startswith(prefix)]
    return [name for wanted in files for name in present(wanted, names)]


def _bucket_file(filesystem: Any, path: str, info: Mapping[str, Any], name: str) -> RemoteFile:
    md5 = info.get("md5Hash")  # Google's; S3's tag is not always a checksum
    return RemoteFile(
        name=name,
        size_bytes=int(info["size"]),
        origin=str(filesystem.unstrip_protocol(path)),
        version=hashlib.sha256(repr(sorted(info.items(), key=str)).encode()).hexdigest()[:16],
        checksum=Checksum(kind="md5", hex=base64.b64decode(md5).hex()) if md5 else None,
        read_from=lambda offset: _bucket_bytes(filesystem, path, offset),
    )


def _bucket_bytes(filesystem: Any, path: str, offset: int) -> Generator[bytes]:
    with (
        _bucket_errors(str(filesystem.unstrip_protocol(path))),
        filesystem.open(path, "rb", block_size=_BLOCK_BYTES) as file,
    ):
        file.seek(offset)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


@contextmanager
def _bucket_errors(url: str) -> Generator[None]:
    try:
        yield
    except FetchError:
        raise
    except ImportError as error:
        raise not_installed(url.split("://", maxsplit=1)[0] + "://", "buckets") from error
    except FileNotFoundError as error:
        raise FetchError(f"{url} is not there.") from error
    except PermissionError as error:
        raise FetchError(f"{url} may not be read with the credentials of this machine.") from error
    except OSError as error:
        raise ConnectionLostError(
            f"{url} cannot be read just now ({short(error)}): run the command again; it goes on "
            "where it stopped."
        ) from error
    except Exception as error:  # every kind of storage has its own
        raise FetchError(f"{url} cannot be read ({short(error)}).") from error
