"""The documents say what is so: tables that exist, links that lead, settings that are read."""

from __future__ import annotations

import re

import pytest

from bot.settings import Settings
from bot.store.store import Store
from bot.store.tables import metadata
from tests.support.shown_commands import DOCUMENTS, ROOT


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_the_document_on_privacy_names_every_table_once() -> None:
    named = re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", text_of("docs/privacy.md"), re.MULTILINE)

    assert Store, "its import brings all tables"
    assert sorted(named) == sorted(metadata.tables)


def test_the_document_on_privacy_names_every_file_that_the_bot_writes() -> None:
    named = set(re.findall(r"`([\w.-]+/?)`", text_of("docs/privacy.md")))
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "bot").rglob("*.py"))
    written = set(re.findall(r"data_dir / [\"']([\w.-]+)[\"']", sources))

    assert written >= {"imagine.db", "pictures", "minutes.json", "compiled"}
    assert {name for name in written if not {name, f"{name}/"} & named} == set()


def anchor(heading: str) -> str:
    """What a heading is called in a link.

    Example: ``## What is not drawn`` is ``what-is-not-drawn``.
    """
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files_and_headings_that_exist(name: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text_of(name)):
        file, _, heading = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
            assert heading in map(anchor, headings), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_programs_of_the_project_that_the_documents_name_exist(name: str) -> None:
    for path in re.findall(
        r"`((?:bot|engine|tests|deploy|docs|migrations)/[\w./-]+)`", text_of(name)
    ):
        assert (ROOT / path).exists(), path


def test_the_phrases_of_the_log_that_are_explained_are_logged() -> None:
    section = text_of("docs/operations.md").partition("### The log")[2].partition("\n## ")[0]
    phrases = re.findall(
        r"`([^`]+)`", "\n".join(re.findall(r"^\| (`.+?) \|", section, re.MULTILINE))
    )
    sources = [*(ROOT / "bot").rglob("*.py"), *(ROOT / "engine").glob("*.py")]
    logged = "\n".join(path.read_text("utf-8") for path in sources)

    assert len(phrases) > 10
    for phrase in phrases:
        assert f'"{phrase}' in logged, phrase


def test_the_example_of_the_log_is_what_the_formatter_writes() -> None:
    block = text_of("docs/operations.md").partition("### The log")[2].split("```")[1]
    for line in block.strip().splitlines():
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (INFO|WARNING|ERROR) [\w.]+ [a-z ]+( \w+=\S+)+", line
        )


def test_the_sizing_table_says_what_the_readme_measured() -> None:
    """Whoever measures anew changes both."""
    rows = re.findall(r"^\| 2 cores .+$", text_of("docs/operations.md"), re.MULTILINE)
    measured = text_of("README.md").partition("\n## How fast")[2].partition("\n## ")[0]

    assert len(rows) == 2
    for row in rows:
        *_, one, nine, load, _ = [cell.strip() for cell in row.split("|")]
        for told in (one.removesuffix(" s"), nine.removesuffix(" s"), load):
            assert re.search(rf"[| (]{re.escape(told)}[ )|]", measured), (
                f"docs/operations.md says {told}, README.md (How fast) does not"
            )


def test_settings_that_the_documents_name_exist() -> None:
    known = {field.upper() for field in Settings.model_fields}
    for name in DOCUMENTS:
        prefixes = r"(?:WEB|ENGINE|HISTORY|DATA|DATABASE|WORKER|LOG|X|DISCORD|BOT|DAILY)_[A-Z_]+"
        for variable in re.findall(rf"\b{prefixes}\b", text_of(name)):
            assert variable in known, f"{name}: {variable}"
