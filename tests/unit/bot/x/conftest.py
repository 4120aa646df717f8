from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.x_line import Line, SteppedTime
from tests.support.x_server import XServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """Everything but the adapter itself; at the end the bot must have behaved well."""
    time = SteppedTime()
    async with XServer(clock=time) as server:
        line = Line(server, time)
        yield line
        line.database.close()
        assert server.world.violations == []
