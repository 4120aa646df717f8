"""DalleBart from a W&B artifact: a stand-in for W&B's list, a real server for the files."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import inspect
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from engine.fetch import fetch
from engine.sources import artifacts, released
from engine.sources.artifacts import wandb_files
from engine.sources.files import FILES, FetchError
from tests.support.hub_server import FakeHub, serve

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

NAME = "dalle-mini/dalle-mini/mega-1-fp16:latest"
CONTENT = {name: f"mega's {name} ".encode() * 500 for name in FILES["dalle_bart"]}


@dataclass
class Entry:
    digest: str
    size: int | None


@dataclass
class File:
    direct_url: str


@dataclass
class Manifest:
    entries: dict[str, Entry]


@dataclass
class Artifact:
    """An artifact whose files lie on the fake hub, under addresses as W&B signs them."""

    url: str
    version: str = "v14"
    content: dict[str, bytes] = field(default_factory=lambda: dict(CONTENT))

    @property
    def manifest(self) -> Manifest:
        return Manifest(
            {
                name: Entry(
                    base64.b64encode(hashlib.md5(c, usedforsecurity=False).digest()).decode(),
                    len(c),
                )
                for name, c in self.content.items()
            }
        )

    def files(self, names: list[str] | None = None) -> list[File]:
        return [File(f"{self.url}/cdn/wandb/bucket/resolve/x/{name}") for name in names or ()]


@dataclass
class Api:
    found: Artifact

    def artifact(self, name: str) -> Artifact:
        if name != NAME:
            raise ValueError(f"artifact '{name}' not found in https://api.wandb.ai")
        return self.found


@pytest.fixture
def hub() -> Generator[FakeHub]:
    parts = [part for part in released.RELEASED["mini"] if part.folder != "dalle_bart"]
    repos = {part.repo: dict.fromkeys(part.files, b"theirs") for part in parts}
    with serve(FakeHub({**repos, "wandb/bucket": CONTENT})) as hub:
        yield hub


@pytest.fixture
def artifact(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    artifact = Artifact(hub.url)
    monkeypatch.setattr(artifacts, "_wandb_api", lambda: Api(artifact))
    return artifact


@pytest.mark.usefixtures("artifact")
def test_dalle_bart_comes_from_the_artifact_and_the_rest_from_the_hub(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.cut_after_bytes["flax_model.msgpack"] = [4_000]

    fetch(f"wandb:{NAME}", tmp_path, show=lambda _: None, endpoint=hub.url, wait=lambda _: None)

    for name, content in CONTENT.items():
        assert (tmp_path / "dalle_bart" / name).read_bytes() == content
    assert (tmp_path / "clip" / "config.json").read_bytes() == b"theirs"
    assert ("flax_model.msgpack", 4_000) in hub.served
    record = json.loads((tmp_path / "fetched.json").read_text())["files"]
    assert record["dalle_bart/config.json"]["origin"] == (
        "config.json of the W&B artifact dalle-mini/dalle-mini/mega-1-fp16:v14"
    )


def test_a_file_that_arrives_damaged_is_deleted(
    hub: FakeHub, artifact: Artifact, tmp_path: Path
) -> None:
    artifact.content["config.json"] = CONTENT["config.json"][:-1] + b"!"

    with pytest.raises(FetchError, match=r"config\.json of the W&B artifact .* arrived damaged"):
        fetch(f"wandb:{NAME}", tmp_path, show=lambda _: None, endpoint=hub.url)

    assert not list((tmp_path / "dalle_bart").iterdir())


def test_an_artifact_that_is_no_dalle_bart_is_told() -> None:
    artifact = Artifact("", content={"model.pt": b"", "config.json": b"{}"})

    with pytest.raises(FetchError) as error:
        wandb_files(NAME, Api(artifact))

    assert str(error.value) == (
        f"The artifact {NAME} has no flax_model.msgpack, tokenizer.json for dalle_bart."
    )


def test_an_artifact_that_is_not_there_is_told_without_addresses() -> None:
    with pytest.raises(FetchError) as error:
        wandb_files("a/b/c:v0", Api(Artifact("")))

    assert str(error.value) == (
        "W&B does not give the artifact a/b/c:v0 (artifact 'a/b/c:v0' not found in): check its "
        "name, and that you ran wandb login."
    )


@pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="wandb is installed")
def test_without_the_extra_the_sentence_names_it() -> None:
    with pytest.raises(FetchError) as error:
        wandb_files(NAME)

    assert str(error.value) == (
        "W&B needs packages that are not installed: run .venv/bin/pip install -e '.[wandb]'."
    )


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_what_is_asked_of_wandb_is_in_its_interface() -> None:
    wandb: Any = importlib.import_module("wandb")
    files: Any = importlib.import_module("wandb.apis.public.files")
    entries: Any = importlib.import_module("wandb.sdk.artifacts.artifact_manifest_entry")

    assert list(inspect.signature(wandb.Api.artifact).parameters)[:2] == ["self", "name"]
    assert "names" in inspect.signature(wandb.Artifact.files).parameters
    assert isinstance(wandb.Artifact.version, property)
    assert isinstance(wandb.Artifact.manifest, property)
    assert "direct_url" in files.File.__doc__
    assert {"digest", "size"} <= entries.ArtifactManifestEntry.model_fields.keys()
