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


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files_that_exist(name: str) -> None:
    folder = (ROOT / name).parent
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[\w-]+)?\)", text_of(name)):
        assert (folder / target).exists(), target


def test_settings_that_the_documents_name_exist() -> None:
    known = {field.upper() for field in Settings.model_fields}
    for name in DOCUMENTS:
        prefixes = r"(?:WEB|ENGINE|HISTORY|DATA|DATABASE|WORKER|LOG|X|DISCORD|BOT|DAILY)_[A-Z_]+"
        for variable in re.findall(rf"\b{prefixes}\b", text_of(name)):
            assert variable in known, f"{name}: {variable}"
