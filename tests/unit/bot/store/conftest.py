from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.store import Store
from bot.store.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def database(any_database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(any_database_url)
    yield opened
    await opened.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)
