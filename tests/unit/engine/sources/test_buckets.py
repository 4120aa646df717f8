"""Checkpoints in storage that fsspec reads: here its memory and the local disk."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, NoReturn

import fsspec  # pyright: ignore[reportMissingTypeStubs]
import pytest

from engine.fetch import fetch
from engine.sources import buckets, released
from engine.sources.buckets import bucket_files
from engine.sources.files import FILES, ConnectionLostError, FetchError
from tests.support.hub_server import FakeHub, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

WHOLE = {
    f"{folder}/{name}": f"{folder} {name}".encode() for folder in FILES for name in FILES[folder]
}


@pytest.fixture
def bucket() -> Generator[Any]:
    """A storage in memory, empty before and after."""
    storage: Any = fsspec.filesystem("memory")
    storage.rm("/", recursive=True) if storage.ls("/") else None
    yield storage
    storage.rm("/", recursive=True) if storage.ls("/") else None


def put(bucket: Any, files: dict[str, bytes], folder: str = "/shelf/mine") -> None:
    for name, content in files.items():
        bucket.pipe_file(f"{folder}/{name}", content)


def fetched(source: str, folder: Path, **more: Any) -> dict[str, bytes]:
    fetch(source, folder, show=lambda _: None, wait=lambda _: None, **more)
    files = (path for path in folder.rglob("*") if path.is_file())
    contents = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    del contents["fetched.json"]
    return contents


def test_a_whole_checkpoint_is_fetched_and_nothing_else(bucket: Any, tmp_path: Path) -> None:
    put(bucket, {**WHOLE, "notes.txt": b"mine", "dalle_bart/optimizer.msgpack": b"large"})

    assert fetched("memory://shelf/mine", tmp_path) == WHOLE


def test_a_folder_of_this_machine_is_a_source_too(tmp_path: Path) -> None:
    for name, content in WHOLE.items():
        path = tmp_path / "there" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    assert fetched(f"file://{tmp_path / 'there'}", tmp_path / "here") == WHOLE


def test_a_file_that_was_begun_is_continued(bucket: Any, tmp_path: Path) -> None:
    put(bucket, WHOLE)
    (file,) = [f for f in bucket_files("memory://shelf/mine") if f.name == "vqgan/config.json"]
    part = tmp_path / f"vqgan/config.json.{file.version}.part"
    part.parent.mkdir()
    part.write_bytes(WHOLE["vqgan/config.json"][:5].upper())

    contents = fetched("memory://shelf/mine", tmp_path)

    assert contents["vqgan/config.json"] == b"VQGAN config.json"


def test_a_dalle_bart_alone_gets_vqgan_and_clip_from_the_hub(bucket: Any, tmp_path: Path) -> None:
    put(bucket, dict.fromkeys(FILES["dalle_bart"], b"mine"))
    vqgan, clip = (part for part in released.RELEASED["mini"] if part.folder != "dalle_bart")
    repos = {part.repo: dict.fromkeys(part.files, b"theirs") for part in (vqgan, clip)}

    with serve(FakeHub(repos)) as hub:
        contents = fetched("memory://shelf/mine", tmp_path, endpoint=hub.url)

    assert contents == {
        name: b"mine" if name.startswith("dalle_bart") else b"theirs" for name in WHOLE
    }


def test_the_word_list_may_be_missing_and_the_model_may_be_split(bucket: Any) -> None:
    files = dict(WHOLE)
    del files["dalle_bart/enwiki-words-frequency.txt"], files["dalle_bart/flax_model.msgpack"]
    split = {
        "dalle_bart/flax_model.msgpack.index.json",
        "dalle_bart/flax_model-00001-of-00002.msgpack",
        "dalle_bart/flax_model-00002-of-00002.msgpack",
    }
    put(bucket, files | dict.fromkeys(split, b"part"))

    assert {f.name for f in bucket_files("memory://shelf/mine")} == files.keys() | split


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("vqgan/config.json", "memory://shelf/mine has no config.json for vqgan."),
        ("clip/tokenizer.json", "memory://shelf/mine has no tokenizer.json for clip."),
    ],
)
def test_what_a_model_lacks_is_told(bucket: Any, missing: str, sentence: str) -> None:
    files = dict(WHOLE)
    del files[missing]
    put(bucket, files)

    with pytest.raises(FetchError) as error:
        bucket_files("memory://shelf/mine")

    assert str(error.value) == sentence


def test_a_checkpoint_without_one_of_the_models_is_told(bucket: Any, tmp_path: Path) -> None:
    put(bucket, {name: c for name, c in WHOLE.items() if not name.startswith("clip")})

    with pytest.raises(FetchError) as error:
        fetched("memory://shelf/mine", tmp_path)

    assert str(error.value) == ("memory://shelf/mine is no checkpoint: it holds nothing for clip.")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("memory://shelf/nothing", "memory://shelf/nothing holds no checkpoint."),
        ("floppy://a", "floppy://a cannot be read (Protocol not known: floppy)."),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_an_address_without_a_checkpoint_is_told(url: str, sentence: str) -> None:
    with pytest.raises(FetchError) as error:
        bucket_files(url)

    assert str(error.value) == sentence


class StorageError(Exception):
    """What some storage's library raises."""


def raiser(error: Exception) -> Callable[..., NoReturn]:
    def fail(*_: Any, **__: Any) -> NoReturn:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (
            ImportError("Please install gcsfs to access Google Storage"),
            FetchError,
            (
                "memory:// needs packages that are not installed: run "
                ".venv/bin/pip install -e '.[buckets]'."
            ),
        ),
        (FileNotFoundError(), FetchError, "memory://shelf/mine is not there."),
        (
            PermissionError(),
            FetchError,
            "memory://shelf/mine may not be read with the credentials of this machine.",
        ),
        (
            TimeoutError("timed out"),
            ConnectionLostError,
            (
                "memory://shelf/mine cannot be read just now (timed out): run the command again; "
                "it goes on where it stopped."
            ),
        ),
        (
            StorageError("no credentials at https://secret/?signature=1 found"),
            FetchError,
            "memory://shelf/mine cannot be read (no credentials at found).",
        ),
    ],
)
def test_each_failure_of_a_bucket_is_one_sentence(
    bucket: Any,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    kind: type[FetchError],
    sentence: str,
) -> None:
    monkeypatch.setattr(type(bucket), "find", raiser(error))

    with pytest.raises(FetchError) as found:
        bucket_files("memory://shelf/mine")

    assert (type(found.value), str(found.value)) == (kind, sentence)


def test_the_checksum_that_google_announces_is_compared() -> None:
    content = b"content"
    info = {
        "size": len(content),
        "md5Hash": base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode(),
    }

    file = buckets._bucket_file(  # pyright: ignore[reportPrivateUsage]  # no Google here
        fsspec.filesystem("memory"), "/a", info, "vqgan/config.json"
    )

    assert file.checksum is not None
    hashed = file.checksum.start(len(content))
    hashed.update(content)
    assert hashed.hexdigest() == file.checksum.hex
