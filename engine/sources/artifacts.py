"""DalleBart in a W&B artifact, as its authors published it while they trained."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from engine.sources.files import (
    FILES,
    Checksum,
    FetchError,
    RemoteFile,
    not_installed,
    present,
    require,
    short,
)
from engine.sources.hub import http_bytes

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable


class WandbEntry(Protocol):
    """A line of an artifact's manifest; ``digest`` is the base64 of its MD5."""

    digest: Any
    size: int | None


class WandbArtifact(Protocol):
    """The part of ``wandb.Artifact`` that is used here."""

    @property
    def version(self) -> str:
        """``v0``."""
        ...

    @property
    def manifest(self) -> Any:
        """Has ``entries``, from name to ``WandbEntry``."""
        ...

    def files(self, names: list[str] | None = None) -> Iterable[Any]:
        """Files with a ``direct_url`` each, which is valid for a while."""
        ...


class WandbApi(Protocol):
    """The part of ``wandb.Api`` that is used here."""

    def artifact(self, name: str) -> WandbArtifact:
        """Find an artifact by ``ENTITY/PROJECT/NAME:VERSION``."""
        ...


def wandb_files(name: str, api: WandbApi | None = None) -> list[RemoteFile]:
    """List a DalleBart in a W&B artifact.

    Raises:
        FetchError: It cannot be listed, or holds no DalleBart.
    """
    with _wandb_errors(name):
        artifact = (api or _wandb_api()).artifact(name)
        entries: dict[str, WandbEntry] = dict(artifact.manifest.entries)
        version = artifact.version
    names = [n for wanted in FILES["dalle_bart"] for n in present(wanted, entries) if n in entries]
    require(f"The artifact {name}", "dalle_bart", names)
    base = name.rsplit(":", 1)[0]
    return [_wandb_file(artifact, f"{base}:{version}", n, entries[n]) for n in names]


def _wandb_api() -> WandbApi:
    try:
        import wandb  # noqa: PLC0415 # optional # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise not_installed("W&B", "wandb") from error
    return wandb.Api()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # optional


def _wandb_file(
    artifact: WandbArtifact, full_name: str, name: str, entry: WandbEntry
) -> RemoteFile:
    digest = base64.b64decode(entry.digest).hex()
    algorithm = str(getattr(artifact, "digest_algorithm", "md5")).lower()
    return RemoteFile(
        name=f"dalle_bart/{name}",
        size_bytes=entry.size or 0,
        origin=f"{name} of the W&B artifact {full_name}",
        version=digest[:16],
        checksum=Checksum(kind="md5", hex=digest) if "md5" in algorithm else None,
        read_from=lambda offset: _wandb_bytes(artifact, full_name, name, offset),
    )


def _wandb_bytes(
    artifact: WandbArtifact, full_name: str, name: str, offset: int
) -> Generator[bytes]:
    with _wandb_errors(full_name):
        (file,) = artifact.files(names=[name])
        url = str(file.direct_url)
    yield from http_bytes(url, offset, where=f"{name} of {full_name}")


@contextmanager
def _wandb_errors(name: str) -> Generator[None]:
    try:
        yield
    except FetchError:
        raise
    except Exception as error:  # wandb raises a dozen of its own and of its parts' kinds
        raise FetchError(
            f"W&B does not give the artifact {name} ({short(error)}): check its name, and that "
            "you ran wandb login."
        ) from error
