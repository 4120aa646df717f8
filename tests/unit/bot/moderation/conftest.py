from __future__ import annotations

import pytest

from bot.moderation import Moderator


@pytest.fixture(scope="session")
def moderator() -> Moderator:
    return Moderator()
