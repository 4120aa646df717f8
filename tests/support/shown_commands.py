"""The commands that the documents show, and which test runs each of them.

A command is a line of a ``sh`` block, or words between backticks that begin with a program.
Each must be in one of three places: in ``@runs(…)`` of a story that runs it as it stands; in
``RUN_BY``, which names another test that runs it; in ``NOT_HERE``, with the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Test = TypeVar("Test", bound=Callable[..., object])

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = (
    *("README.md", "CONTRIBUTING.md"),
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
)

# With these, words between backticks are a command.
_PROGRAMS: Final = frozenset(
    (
        *("imagine", "make", "python", "pip", "ssh", "git", "curl", "sqlite3", "docker", "wandb"),
        *("systemctl", "systemd-run", "journalctl", "pg_dump", "pg_restore", "chown"),
    )
)
_BLOCK: Final = re.compile(r"^[ ]*```sh\n(.*?)^[ ]*```", re.DOTALL | re.MULTILINE)
_ANY_BLOCK: Final = re.compile(r"^[ ]*```.*?^[ ]*```", re.DOTALL | re.MULTILINE)

# By another test, which is as good.
RUN_BY: Final = {
    '.venv/bin/imagine draw "a green cube" --pictures 9 -o cube.png': (
        "tests.e2e.test_terminal_story:test_a_sentence_becomes_files_and_the_allowance_holds"
    ),
    "imagine draw PROMPT": (
        "tests.e2e.test_terminal_story:test_a_sentence_becomes_files_and_the_allowance_holds"
    ),
    "imagine draw": (
        "tests.e2e.test_terminal_story:test_a_sentence_becomes_files_and_the_allowance_holds"
    ),
    "imagine migrate": "tests.unit.bot.test_cli:test_migrate_makes_the_database",
}

_LONG: Final = "takes hours, or minutes on an idle machine"
_WHOLE: Final = "would run the tests, this one too, again"
_SERVICE: Final = "needs a machine that systemd has started"
_DOCKER: Final = "needs a Docker daemon, and base images from its registry"
_ACCOUNT: Final = "needs an account elsewhere, and the network"
_NETWORK: Final = "downloads packages"

# Not here; tests/unit/test_shown_commands.py checks of them what can be checked.
NOT_HERE: Final = {
    "make bench": _LONG,
    "make bench-moderation": _NETWORK,
    "make soak": _LONG,
    "make train": _LONG,
    "make eval-demo": _LONG,
    "make screenshots": "changes the pictures of the documents",
    "make lock": "changes the pins, with the newest packages of the day",
    "make test": _WHOLE,
    "make lint": _WHOLE,
    "make test TESTS=tests/unit": _WHOLE,
    "make test WORKERS=0": _WHOLE,
    ".venv/bin/python -m tests.bench --device gpu --model mega --dtype bfloat16": "needs a GPU",
    ".venv/bin/pip install -e '.[wandb]'": _NETWORK,
    ".venv/bin/pip install -e '.[buckets]'": _NETWORK,
    '.venv/bin/pip install "jax[cuda12]==0.10.2"': _NETWORK,
    ".venv/bin/wandb login": _ACCOUNT,
    "imagine fetch wandb:dalle-mini/dalle-mini/mega-1-fp16:v14": _ACCOUNT,
    "imagine fetch gs://bucket/folder": _ACCOUNT,
    "imagine fetch s3://bucket/folder": _ACCOUNT,
    "ssh -L 8080:127.0.0.1:8080 your-server": "needs another machine",
    "systemctl daemon-reload": _SERVICE,
    "systemctl enable --now imagine-bot": _SERVICE,
    "systemd-run --pipe --wait --collect -p DynamicUser=yes -p User=imagine-bot "
    "-p StateDirectory=imagine-bot -p EnvironmentFile=/etc/imagine-bot.env "
    "-E DATA_DIR=/var/lib/imagine-bot /opt/imagine-bot/.venv/bin/imagine check": _SERVICE,
    "docker compose -f deploy/compose.yaml up -d --build": _DOCKER,
    "docker compose -f deploy/compose.yaml exec bot imagine check": _DOCKER,
    "docker compose -f deploy/compose.yaml exec -T database pg_dump -U imagine --format=custom "
    "imagine > imagine.dump": _DOCKER,
    "chown --reference=/var/lib/imagine-bot/. /var/lib/imagine-bot/imagine.db": _SERVICE,
    "systemctl restart imagine-bot": _SERVICE,
    "journalctl -u imagine-bot -f": _SERVICE,
    "journalctl --vacuum-time=30d": _SERVICE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A command and the document that shows it."""

    document: str
    line: str


def shown() -> list[Shown]:
    """All commands of all documents, in order."""
    return [
        Shown(document=document, line=line)
        for document in DOCUMENTS
        for line in commands_in((ROOT / document).read_text("utf-8"))
    ]


def commands_in(text: str) -> Iterator[str]:
    """The commands that a document shows.

    Example: a block with ``cd a && make run  # now`` shows ``cd a`` and ``make run``.
    """
    for block in _BLOCK.findall(text):
        for line in re.sub(r"\s*\\\n\s*", " ", block).splitlines():
            yield from _parts(line)
    for words in re.findall(r"`([^`]+)`", _ANY_BLOCK.sub("", text)):
        program, _, rest = " ".join(words.split()).partition(" ")
        if rest and (program in _PROGRAMS or program.startswith(".venv/bin/")):
            yield from _parts(f"{program} {rest}")


def settings_in(text: str) -> Iterator[str]:
    """The names of settings that are shown among the commands: lines of ``.env``."""
    for block in _BLOCK.findall(text):
        yield from re.findall(r"^\s*([A-Z_]+)=", block, re.MULTILINE)


def _parts(line: str) -> Iterator[str]:
    if re.match(r"\s*[A-Z_]+=", line):
        return
    without_comment = re.sub(r"(^|\s+)#.*", "", line)
    yield from filter(None, map(str.strip, without_comment.split("&&")))


def runs(*lines: str) -> Callable[[Test], Test]:
    """Say which of the shown commands a test runs, as they stand."""

    def remember(test: Test) -> Test:
        vars(test)["runs"] = lines
        return test

    return remember


def run_by(test: object) -> tuple[str, ...]:
    """What ``@runs`` says of a test."""
    return getattr(test, "runs", ())
