"""The stopwatch that other tests rely on."""

from __future__ import annotations

import asyncio
import time

from tests.support.ticking import LongestBlock


async def test_a_block_by_computing_is_seen() -> None:
    async with LongestBlock() as longest:
        until_s = time.thread_time() + 0.1
        while time.thread_time() < until_s:
            pass

    assert longest.ms > 90


async def test_a_block_by_waiting_is_seen() -> None:
    async with LongestBlock() as longest:
        time.sleep(0.1)  # noqa: ASYNC251 - it is what the stopwatch is for

    assert longest.ms > 90


async def test_waiting_as_one_should_is_no_block() -> None:
    async with LongestBlock() as longest:
        await asyncio.sleep(0.1)

    assert longest.ms < 50
    assert longest.tick_count > 5
