"""Waiting for something that happens in the background."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(condition: Callable[[], bool], *, limit_s: float = 20.0) -> None:
    """Look again and again, briefly yielding, until ``condition`` holds.

    Raises:
        TimeoutError: It did not within ``limit_s``.
    """
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - any condition: nothing to subscribe to
            await asyncio.sleep(0.002)
