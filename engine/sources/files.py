"""What every source gives: files that are still elsewhere. Also what can go wrong."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from engine.api import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

CHUNK_BYTES: Final = 2**20

MODEL_FILE: Final = "flax_model.msgpack"
INDEX_FILE: Final = "flax_model.msgpack.index.json"
WORDS_FILE: Final = "enwiki-words-frequency.txt"

FILES: Final = {
    "dalle_bart": ("config.json", MODEL_FILE, "tokenizer.json", WORDS_FILE),
    "vqgan": ("config.json", MODEL_FILE),
    "clip": ("config.json", MODEL_FILE, "preprocessor_config.json", "tokenizer.json"),
}
"""What the engine reads of each model; the word list may be missing."""


class FetchError(CheckpointError):
    """A checkpoint cannot be fetched; the sentence says why and what to do."""


class ConnectionLostError(FetchError):
    """The source cannot be reached, or not any more: trying again may help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    r"""What a file's content must give.

    ``git`` is the hub's for files that are not large: SHA-1 of ``blob SIZE\0`` and the
    content.
    """

    kind: str
    hex: str

    def start(self, size_bytes: int) -> Any:
        """Begin to compute it (an object of hashlib's)."""
        if self.kind == "git":
            # not for safety: it is the only checksum that git has
            return hashlib.sha1(b"blob %d\0" % size_bytes, usedforsecurity=False)
        return hashlib.new(self.kind, usedforsecurity=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """One file of a checkpoint, still elsewhere.

    Attributes:
        name: Where it goes in the checkpoint: ``vqgan/config.json``.
        size_bytes: Its size.
        origin: Where it comes from, for sentences and the record.
        version: Text that is another for another content; part of a name on disk.
        checksum: What its content must give, where the source says so.
        pin: The beginning of the SHA-256 that this version of the bot knows it by.
        read_from: Reads it from an offset on, and can be closed early. Raises
            ``FetchError``; ``ConnectionLostError`` if trying again may help.
    """

    name: str
    size_bytes: int
    origin: str
    version: str
    checksum: Checksum | None
    read_from: Callable[[int], Generator[bytes]]
    pin: str = ""

    def refuse_other(self, sha256: str) -> None:
        """Compare a SHA-256 to the pin.

        Raises:
            FetchError: It is another.
        """
        if not sha256.startswith(self.pin):
            raise FetchError(
                f"{self.origin} is no longer the released file: its checksum begins with "
                f"{sha256[:8]}, not {self.pin[:8]}."
            )


def present(name: str, names: Iterable[str]) -> list[str]:
    """A file, or the files that a large model was split into."""
    names = list(names)
    if name != MODEL_FILE or name in names or INDEX_FILE not in names:
        return [name]
    return [INDEX_FILE, *(n for n in sorted(names) if _is_shard(n))]


def _is_shard(name: str) -> bool:
    return name.startswith("flax_model-") and name.endswith(".msgpack") and "/" not in name


def require(where: str, folder: str, names: Iterable[str]) -> None:
    """Check that a model is complete; the word list may be missing.

    Raises:
        FetchError: With the names of what is missing.
    """
    names = set(names)
    missing = [
        name
        for name in FILES[folder]
        if name not in names
        and name != WORDS_FILE
        and not (name == MODEL_FILE and INDEX_FILE in names)
    ]
    if missing:
        raise FetchError(f"{where} has no {', '.join(missing)} for {folder}.")


def not_installed(what: str, extra: str) -> FetchError:
    """The error for an optional extra that is needed and not there."""
    return FetchError(
        f"{what} needs packages that are not installed: run .venv/bin/pip install -e '.[{extra}]'."
    )


def short(error: Exception) -> str:
    """The first line of what a foreign library says, without addresses (they may be signed)."""
    text = (str(error) or type(error).__name__).splitlines()[0]
    return " ".join(word for word in text.split() if "://" not in word)[:200]
