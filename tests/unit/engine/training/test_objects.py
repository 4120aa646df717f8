from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from engine.training.objects import Object, load_sprites, sprite_path
from tests.support.sprites import SPRITES, write_stand_ins

if TYPE_CHECKING:
    from pathlib import Path


def test_the_pictures_are_read_with_transparency_and_of_one_size(tmp_path: Path) -> None:
    write_stand_ins(tmp_path / "objects")

    sprites = load_sprites(tmp_path / "objects")

    assert set(sprites) == set(Object)
    assert {(one.mode, one.size) for one in sprites.values()} == {("RGBA", (192, 192))}


def test_what_is_missing_is_fetched_with_npm_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_npm(tmp_path / "bin", archive(tmp_path / "package.tgz"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")

    first = load_sprites(tmp_path / "objects")
    second = load_sprites(tmp_path / "objects")

    assert first.keys() == second.keys() == set(Object)
    assert (
        tmp_path / "bin" / "calls"
    ).read_text() == "pack --silent @lobehub/fluent-emoji-3d@1.1.0\n"
    assert not list((tmp_path / "objects").glob("*.tgz"))


def test_without_npm_a_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(RuntimeError, match=r"install npm \(Debian: apt install npm\)"):
        load_sprites(tmp_path / "objects")


def test_what_npm_says_when_it_fails_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "bin" / "npm", "echo no network >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")

    with pytest.raises(RuntimeError, match=r"^npm could not fetch .*: no network$"):
        load_sprites(tmp_path / "objects")


def archive(path: Path) -> Path:
    """The package as npm hands it over, with a file that nobody asked for."""
    with tarfile.open(path, "w:gz") as packed:
        for one, sprite in SPRITES.items():
            content = io.BytesIO()
            sprite.save(content, "webp")
            name = f"package/assets/{sprite_path(path, one).name}"
            add(packed, name, content.getvalue())
        add(packed, "package/readme.md", b"hello")
    return path


def add(packed: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    packed.addfile(member, io.BytesIO(content))


def write_npm(folder: Path, package: Path) -> None:
    script(folder / "npm", f'echo "$@" >> {folder}/calls; cp {package} a.tgz; echo a.tgz')


def script(path: Path, line: str) -> None:
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)
