"""Files in repositories of the model hub (huggingface.co, or what ``HF_ENDPOINT`` says).

The hub's own library lists them and brings its client, with proxies and ``HF_TOKEN``; the
bytes are read here, from any place on, because its download of large files does not go on
where it stopped (its Xet path begins again).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from engine.sources.files import (
    Checksum,
    ConnectionLostError,
    FetchError,
    RemoteFile,
    not_installed,
    present,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

TIMEOUT_S: Final = 30.0

_UNAUTHORISED: Final = (401, 403)
_TRY_AGAIN: Final = (408, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubPart:
    """Some files of one repository of the hub.

    Attributes:
        folder: Their folder in a checkpoint.
        revision: A commit, or a branch.
        files: Their names.
        sha256: Beginnings of checksums, by name: a released file that has another is
            refused before it is downloaded.
    """

    folder: str
    repo: str
    revision: str
    files: tuple[str, ...]
    sha256: Mapping[str, str] = field(default_factory=dict[str, str])


def hub_files(part: HubPart, *, endpoint: str | None = None) -> list[RemoteFile]:
    """List files of a repository.

    Raises:
        FetchError: It cannot be reached, or a file is missing or another than it was.
    """
    with _hub_errors(part.repo):
        from huggingface_hub import HfApi  # noqa: PLC0415 # optional, and slow to import

        info = HfApi(endpoint=endpoint).model_info(
            part.repo, revision=part.revision, files_metadata=True, timeout=TIMEOUT_S
        )
    found = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    names = [name for wanted in part.files for name in present(wanted, found)]
    missing = [name for name in names if name not in found]
    if missing:
        raise FetchError(f"{part.repo} on the hub has no {', '.join(missing)} any more.")
    commit = str(info.sha or part.revision)
    return [_hub_file(part, found[name], commit, endpoint) for name in names]


def _hub_file(part: HubPart, sibling: Any, commit: str, endpoint: str | None) -> RemoteFile:
    name, is_large = sibling.rfilename, sibling.lfs is not None
    checksum = (
        Checksum(kind="sha256", hex=sibling.lfs.sha256)
        if is_large
        else Checksum(kind="git", hex=sibling.blob_id)
    )
    file = RemoteFile(
        name=f"{part.folder}/{name}",
        size_bytes=sibling.size,
        origin=f"{part.repo}/{name} at {commit[:8]} on the hub",
        version=checksum.hex[:16],
        checksum=checksum,
        read_from=lambda offset: _hub_bytes(part.repo, name, commit, offset, endpoint),
        pin=part.sha256.get(name, ""),
    )
    if is_large:
        file.refuse_other(checksum.hex)  # before it is downloaded
    return file


def _hub_bytes(
    repo: str, name: str, commit: str, offset: int, endpoint: str | None
) -> Generator[bytes]:
    with _hub_errors(repo):
        from huggingface_hub import hf_hub_url  # noqa: PLC0415 # optional, slow to import
        from huggingface_hub.utils import build_hf_headers  # noqa: PLC0415

        url = hf_hub_url(repo, name, revision=commit, endpoint=endpoint)
        yield from _http_bytes(url, offset, build_hf_headers())


def http_bytes(url: str, offset: int, *, where: str) -> Generator[bytes]:
    """Read any address from ``offset`` on, with the hub's client.

    Raises:
        FetchError: It cannot be read; ``where`` is what the sentence calls it.
    """
    with _hub_errors(where):
        yield from _http_bytes(url, offset, {})


def _http_bytes(url: str, offset: int, headers: Mapping[str, str]) -> Generator[bytes]:
    from huggingface_hub import get_session  # noqa: PLC0415 # optional, slow to import
    from huggingface_hub.utils import hf_raise_for_status  # noqa: PLC0415

    asked = {**headers, "Range": f"bytes={offset}-", "Accept-Encoding": "identity"}
    with get_session().stream(
        "GET", url, headers=asked, timeout=TIMEOUT_S, follow_redirects=True
    ) as response:
        if response.is_error:
            response.read()
        hf_raise_for_status(response)
        ignores_range = response.status_code == 200  # noqa: PLR2004 # not 206: all of it comes
        skip = offset if ignores_range else 0
        for chunk in response.iter_bytes():  # as it comes: nothing is held back and lost
            yield chunk[skip:]
            skip = max(skip - len(chunk), 0)


@contextmanager
def _hub_errors(repo: str) -> Generator[None]:
    """Translate what the hub's library raises."""
    try:
        import httpx2  # noqa: PLC0415 # optional, with the hub's library
        from huggingface_hub import errors  # noqa: PLC0415
    except ImportError as error:
        raise not_installed("The hub", "hub") from error
    try:
        yield
    except errors.GatedRepoError as error:
        raise FetchError(
            f"{repo} on the hub wants its terms accepted: do so at https://huggingface.co/{repo} "
            "and put your token into the environment as HF_TOKEN."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise FetchError(
            f"The hub shows no {repo} to this account: if it is private, put a token that may "
            "read it into the environment as HF_TOKEN."
        ) from error
    except (errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        raise FetchError(f"{repo} on the hub no longer has what is to be fetched.") from error
    except errors.HfHubHTTPError as error:
        raise _refusal(repo, error.response.status_code) from error
    except errors.OfflineModeIsEnabled as error:
        raise FetchError("HF_HUB_OFFLINE is set: unset it to fetch from the hub.") from error
    except (httpx2.HTTPError, ConnectionError) as error:
        raise ConnectionLostError(
            f"The hub cannot be reached ({type(error).__name__}): check the network and run the "
            "command again; it goes on where it stopped."
        ) from error


def _refusal(where: str, status: int) -> FetchError:
    if status in _UNAUTHORISED:
        return FetchError(f"The hub does not give {where} to this account (HTTP {status}).")
    if status in _TRY_AGAIN:
        return ConnectionLostError(
            f"The hub cannot give {where} just now (HTTP {status}): run the command again later; "
            "it goes on where it stopped."
        )
    return FetchError(f"The hub refuses to give {where} (HTTP {status}).")
