"""Fetching a checkpoint from a hub on loopback that misbehaves."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import random
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from engine import fetch as fetching
from engine.api import CheckpointError
from engine.fetch import Progress, fetch
from engine.sources import released
from engine.sources.files import FetchError, RemoteFile
from engine.sources.hub import HubPart
from tests.support.hub_server import COMMIT, FakeHub, serve

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

MODEL = "flax_model.msgpack"
WEIGHTS = random.Random(0).randbytes(256_000)  # noqa: S311 # no part of it is like another
FILES: dict[str, dict[str, bytes]] = {
    "dalle-mini/dalle-mini": {
        "README.md": b"never fetched",
        "config.json": b'{"d_model": 1}',
        MODEL: WEIGHTS,
        "tokenizer.json": b"{}" * 1_000,
        "enwiki-words-frequency.txt": b"the 1\n",
    },
    "dalle-mini/vqgan_imagenet_f16_16384": {"config.json": b"{}", MODEL: b"v" * 5_000},
    "openai/clip-vit-base-patch32": {
        "config.json": b"{}",
        MODEL: b"c" * 5_000,
        "preprocessor_config.json": b"{}",
        "tokenizer.json": b"[]",
    },
}
MINI = "dalle-mini/dalle-mini"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Generator[FakeHub]:
    """The hub, whose small files stand for the released ones: their pins are set to match."""
    content = {repo: dict(files) for repo, files in FILES.items()}

    def pinned(part: HubPart) -> HubPart:
        pins = {n: hashlib.sha256(content[part.repo][n]).hexdigest() for n in part.sha256}
        return HubPart(
            folder=part.folder,
            repo=part.repo,
            revision=part.revision,
            files=part.files,
            sha256=pins,
        )

    parts = {"mini": tuple(map(pinned, released.RELEASED["mini"]))}
    monkeypatch.setattr(released, "RELEASED", parts)
    with serve(FakeHub(content)) as hub:
        yield hub


class Shown(NamedTuple):
    events: list[Progress]
    waits: list[float]


def run(hub: FakeHub, folder: Path, source: str = "mini", stop_at: int | None = None) -> Shown:
    shown = Shown([], [])

    def show(progress: Progress) -> None:
        shown.events.append(progress)
        if stop_at is not None and progress.done_bytes >= stop_at:
            raise KeyboardInterrupt

    fetch(source, folder, show=show, endpoint=hub.url, wait=shown.waits.append)
    return shown


def refusal(hub: FakeHub, folder: Path, source: str = "mini") -> str:
    with pytest.raises(FetchError) as error:
        run(hub, folder, source)
    return str(error.value)


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


WHOLE = {
    "dalle_bart/config.json",
    f"dalle_bart/{MODEL}",
    "dalle_bart/tokenizer.json",
    "dalle_bart/enwiki-words-frequency.txt",
    "vqgan/config.json",
    f"vqgan/{MODEL}",
    "clip/config.json",
    f"clip/{MODEL}",
    "clip/preprocessor_config.json",
    "clip/tokenizer.json",
    "fetched.json",
}


def test_a_released_model_is_fetched_whole_and_nothing_else(hub: FakeHub, tmp_path: Path) -> None:
    shown = run(hub, tmp_path / "mini")

    assert everything_in(tmp_path / "mini") == WHOLE
    assert (tmp_path / "mini" / "dalle_bart" / MODEL).read_bytes() == WEIGHTS
    total = sum(len(c) for files in FILES.values() for n, c in files.items() if n != "README.md")
    assert {event.total_bytes for event in shown.events} == {total}
    assert {e.name for e in shown.events if e.done_bytes == e.size_bytes} == WHOLE - {
        "fetched.json"
    }


def test_the_record_says_where_each_file_came_from(hub: FakeHub, tmp_path: Path) -> None:
    run(hub, tmp_path)

    record = json.loads((tmp_path / "fetched.json").read_text())

    assert record["source"] == "mini"
    assert record["files"].keys() == WHOLE - {"fetched.json"}
    assert record["files"][f"dalle_bart/{MODEL}"] == {
        "bytes": 256_000,
        "origin": f"dalle-mini/dalle-mini/{MODEL} at {COMMIT[:8]} on the hub",
        "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
    }


def test_a_connection_that_is_cut_goes_on_with_a_range(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_after_bytes["tokenizer.json"] = [700]
    hub.cut_after_bytes[MODEL] = [100_000, 0, 50_000]

    shown = run(hub, tmp_path)

    assert [start for name, start in hub.served if name == MODEL][:4] == [
        0,
        100_000,
        100_000,
        150_000,
    ]
    assert ("tokenizer.json", 700) in hub.served
    assert (tmp_path / "dalle_bart" / MODEL).read_bytes() == WEIGHTS
    assert shown.waits == [1.0, 2.0, 1.0, 1.0]


def test_a_fetch_that_was_interrupted_goes_on_where_it_stopped(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.cut_after_bytes[MODEL] = [100_000]
    with pytest.raises(KeyboardInterrupt):
        run(hub, tmp_path, stop_at=65_536)
    part = tmp_path / "dalle_bart" / f"{MODEL}.{hashlib.sha256(WEIGHTS).hexdigest()[:16]}.part"
    kept = part.stat().st_size
    hub.served.clear()

    run(hub, tmp_path)

    assert 65_536 <= kept < len(WEIGHTS)
    assert hub.served[0] == (MODEL, kept)
    assert everything_in(tmp_path) == WHOLE
    assert (tmp_path / "dalle_bart" / MODEL).read_bytes() == WEIGHTS


def test_a_server_that_ignores_ranges_gives_the_same_file(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_after_bytes[MODEL] = [100_000]
    with pytest.raises(KeyboardInterrupt):
        run(hub, tmp_path, stop_at=65_536)
    hub.ignores_range = True

    run(hub, tmp_path)

    assert (tmp_path / "dalle_bart" / MODEL).read_bytes() == WEIGHTS


def test_a_part_of_another_version_is_not_continued(hub: FakeHub, tmp_path: Path) -> None:
    old = tmp_path / "dalle_bart" / f"{MODEL}.0000000000000000.part"
    old.parent.mkdir()
    old.write_bytes(b"x" * 1_000)

    run(hub, tmp_path)

    assert (MODEL, 0) in hub.served
    assert (tmp_path / "dalle_bart" / MODEL).read_bytes() == WEIGHTS


def test_a_part_that_is_longer_than_the_file_is_begun_again(hub: FakeHub, tmp_path: Path) -> None:
    name = f"{MODEL}.{hashlib.sha256(WEIGHTS).hexdigest()[:16]}.part"
    part = tmp_path / "dalle_bart" / name
    part.parent.mkdir()
    part.write_bytes(WEIGHTS + b"more")

    run(hub, tmp_path)

    assert (tmp_path / "dalle_bart" / MODEL).read_bytes() == WEIGHTS


def test_what_is_there_is_verified_and_not_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    run(hub, tmp_path)
    hub.served.clear()

    run(hub, tmp_path)

    assert hub.served == []


def test_a_lost_connection_is_given_up_after_five_tries_without_a_byte(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.cut_after_bytes["tokenizer.json"] = [700, 0, 0, 0, 0, 0]

    sentence = refusal(hub, tmp_path)

    assert sentence == (
        "The hub cannot be reached (RemoteProtocolError): check the network and run the command "
        "again; it goes on where it stopped."
    )
    assert [start for name, start in hub.served if name == "tokenizer.json"] == [0] + [700] * 5


def test_a_wrong_checksum_deletes_the_download(hub: FakeHub, tmp_path: Path) -> None:
    hub.repos[MINI][MODEL] = WEIGHTS[:-1] + b"!"
    hub.announced[MODEL] = WEIGHTS

    sentence = refusal(hub, tmp_path)

    assert sentence == (
        f"dalle-mini/dalle-mini/{MODEL} at {COMMIT[:8]} on the hub arrived damaged (its checksum "
        "is wrong) and was deleted: run the command again."
    )
    assert everything_in(tmp_path) == {"dalle_bart/config.json", "fetched.json"}


def test_a_small_file_is_verified_as_git_does(hub: FakeHub, tmp_path: Path) -> None:
    hub.announced["preprocessor_config.json"] = b"[]"

    assert refusal(hub, tmp_path) == (
        "openai/clip-vit-base-patch32/preprocessor_config.json at 01234567 on the hub arrived "
        "damaged (its checksum is wrong) and was deleted: run the command again."
    )


def test_a_small_released_file_that_the_hub_replaced_is_refused(
    hub: FakeHub, tmp_path: Path
) -> None:
    """The hub's listing has no SHA-256 of it, so that it must be downloaded first."""
    hub.repos[MINI]["config.json"] = b'{"d_model": 2}'
    ours, theirs = (
        hashlib.sha256(files["config.json"]).hexdigest()[:8]
        for files in (FILES[MINI], hub.repos[MINI])
    )

    assert refusal(hub, tmp_path) == (
        "dalle-mini/dalle-mini/config.json at 01234567 on the hub is no longer the released file: "
        f"its checksum begins with {theirs}, not {ours}."
    )
    assert everything_in(tmp_path) == set()


def test_a_released_file_that_the_hub_replaced_is_refused_before_the_download(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.repos[MINI][MODEL] = b"something else" * 1_000
    ours, theirs = (hashlib.sha256(c).hexdigest()[:8] for c in (WEIGHTS, hub.repos[MINI][MODEL]))

    sentence = refusal(hub, tmp_path / "mini")

    assert sentence == (
        f"dalle-mini/dalle-mini/{MODEL} at {COMMIT[:8]} on the hub is no longer the released file: "
        f"its checksum begins with {theirs}, not {ours}."
    )
    assert hub.served == []
    assert not (tmp_path / "mini").exists()


def test_a_file_that_changed_since_the_first_download_is_told_of(
    hub: FakeHub, tmp_path: Path
) -> None:
    run(hub, tmp_path)
    path = tmp_path / "dalle_bart" / MODEL
    path.write_bytes(b"!" + WEIGHTS[1:])

    assert refusal(hub, tmp_path) == (
        f"{path} is not what dalle-mini/dalle-mini/{MODEL} at {COMMIT[:8]} on the hub is: "
        "move it away, or choose another folder."
    )
    assert path.read_bytes()[:1] == b"!"


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (
            401,
            "RepoNotFound",
            (
                "The hub shows no dalle-mini/dalle-mini to this account: if it is private, put a "
                "token that may read it into the environment as HF_TOKEN."
            ),
        ),
        (
            404,
            "RepoNotFound",
            (
                "The hub shows no dalle-mini/dalle-mini to this account: if it is private, put a "
                "token that may read it into the environment as HF_TOKEN."
            ),
        ),
        (
            403,
            "GatedRepo",
            (
                "dalle-mini/dalle-mini on the hub wants its terms accepted: do so at "
                "https://huggingface.co/dalle-mini/dalle-mini and put your token into the "
                "environment as HF_TOKEN."
            ),
        ),
        (403, "", "The hub does not give dalle-mini/dalle-mini to this account (HTTP 403)."),
        (
            404,
            "RevisionNotFound",
            "dalle-mini/dalle-mini on the hub no longer has what is to be fetched.",
        ),
        (
            503,
            "",
            (
                "The hub cannot give dalle-mini/dalle-mini just now (HTTP 503): "
                "run the command again later; it goes on where it stopped."
            ),
        ),
        (418, "", "The hub refuses to give dalle-mini/dalle-mini (HTTP 418)."),
    ],
)
def test_each_refusal_of_the_hub_is_one_sentence(
    hub: FakeHub, tmp_path: Path, status: int, code: str, sentence: str
) -> None:
    hub.status[MINI] = (status, code)

    assert refusal(hub, tmp_path) == sentence


def test_a_file_that_is_gone_is_named(hub: FakeHub, tmp_path: Path) -> None:
    del hub.repos[MINI]["tokenizer.json"]
    del hub.repos[MINI]["config.json"]

    assert refusal(hub, tmp_path) == (
        "dalle-mini/dalle-mini on the hub has no config.json, tokenizer.json any more."
    )


def test_a_hub_that_cannot_be_reached_is_one_sentence(hub: FakeHub, tmp_path: Path) -> None:
    hub.url = "http://127.0.0.1:9"  # nobody listens at the discard port

    assert refusal(hub, tmp_path) == (
        "The hub cannot be reached (ConnectError): check the network and run the command again; "
        "it goes on where it stopped."
    )


def test_a_model_that_was_split_is_fetched_in_its_parts(hub: FakeHub, tmp_path: Path) -> None:
    clip = hub.repos["openai/clip-vit-base-patch32"]
    del clip[MODEL]
    clip |= {
        f"{MODEL}.index.json": b"{}",
        "flax_model-00001-of-00002.msgpack": b"1" * 2_000,
        "flax_model-00002-of-00002.msgpack": b"2" * 2_000,
    }

    run(hub, tmp_path)

    assert {
        name for name in everything_in(tmp_path) if "flax_model" in name and "clip" in name
    } == {
        f"clip/{MODEL}.index.json",
        "clip/flax_model-00001-of-00002.msgpack",
        "clip/flax_model-00002-of-00002.msgpack",
    }


def free_bytes(count: int) -> Any:
    return lambda _: shutil._ntuple_diskusage(10**12, 10**12 - count, count)  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownLambdaType, reportUnknownVariableType]  # what disk_usage gives


def test_too_little_room_is_told_before_anything_is_downloaded(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching.shutil, "disk_usage", free_bytes(1_000))

    assert refusal(hub, tmp_path) == (
        f"{tmp_path} needs 0.3 MB more, but only 0.0 MB are free there: make room, or choose "
        "another folder."
    )
    assert hub.served == []


def test_room_is_asked_only_for_what_is_missing(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(hub, tmp_path)
    monkeypatch.setattr(fetching.shutil, "disk_usage", free_bytes(0))

    run(hub, tmp_path)

    (tmp_path / "vqgan" / "config.json").unlink()
    assert "needs 0.0 MB more" in refusal(hub, tmp_path)


def test_two_fetches_do_not_write_to_one_file(hub: FakeHub, tmp_path: Path) -> None:
    (file,) = [
        file
        for file in released.find_files("mini", endpoint=hub.url)
        if file.name == "dalle_bart/config.json"
    ]
    part = tmp_path / "dalle_bart" / f"config.json.{file.version}.part"
    part.parent.mkdir()
    with part.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        assert refusal(hub, tmp_path) == f"{part} is being fetched already, by another process."


def test_a_disk_that_fills_up_is_told(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a write: a full disk cannot be had in a test."""

    def full(_: int) -> Generator[bytes]:
        yield b"1"
        raise OSError(errno.ENOSPC, "No space left on device")

    file = RemoteFile(
        name="vqgan/config.json",
        size_bytes=2,
        origin="somewhere",
        version="v1",
        checksum=None,
        read_from=full,
    )
    monkeypatch.setattr(fetching, "find_files", lambda *_, **__: [file])

    assert refusal(hub, tmp_path) == (
        f"The disk of {tmp_path} is full: make room and run the command again; it goes on where "
        "it stopped."
    )
    assert (tmp_path / "vqgan" / "config.json.v1.part").read_bytes() == b"1"


def test_a_file_in_the_place_of_the_folder_is_told(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "mini").write_text("")

    assert refusal(hub, tmp_path / "mini") == f"{tmp_path / 'mini'} cannot be used (File exists)."


def test_a_damaged_record_is_told(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "fetched.json").write_text("[")

    assert refusal(hub, tmp_path) == f"{tmp_path / 'fetched.json'} is damaged: delete it."


@pytest.mark.parametrize("source", ["maxi", "", "data/mini", "dalle-mini/dalle-mini"])
def test_what_is_no_source_is_told_what_is(hub: FakeHub, tmp_path: Path, source: str) -> None:
    assert refusal(hub, tmp_path, source) == (
        f"{source} is no source: it must be mini, mega, wandb:ENTITY/PROJECT/NAME:VERSION, "
        "gs://BUCKET/FOLDER or s3://BUCKET/FOLDER."
    )


def test_every_failure_is_told_like_one_of_the_checkpoint() -> None:
    assert issubclass(FetchError, CheckpointError)


def remote(content: bytes, size_bytes: int) -> RemoteFile:
    def read_from(offset: int) -> Generator[bytes]:
        yield content[offset:]

    return RemoteFile(
        name="vqgan/config.json",
        size_bytes=size_bytes,
        origin="somewhere",
        version="v1",
        checksum=None,
        read_from=read_from,
    )


def test_a_source_that_ends_too_early_is_asked_for_the_rest_and_given_up(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "find_files", lambda *_, **__: [remote(b"short", 6)])

    assert refusal(hub, tmp_path) == (
        "The connection to somewhere ends too early: run the command again; it goes on where it "
        "stopped."
    )
    assert (tmp_path / "vqgan" / "config.json.v1.part").read_bytes() == b"short"


def test_a_source_that_sends_too_much_is_not_followed(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "find_files", lambda *_, **__: [remote(b"too much", 3)])

    run(hub, tmp_path)

    assert (tmp_path / "vqgan" / "config.json").read_bytes() == b"too"
