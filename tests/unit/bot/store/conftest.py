from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.store import Store
from tests.support.factories import database_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(database_url(tmp_path))
    yield opened
    await opened.close()
