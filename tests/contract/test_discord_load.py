"""Two hundred people on Discord at once, and the whole bot in a process of its own.

Everybody asks, waits for their pictures, and asks again. Discord's own clock says how long
each acknowledgement took; the engine is scripted, so that the bot is what is measured.
``LOAD_S`` chooses how long new requests are made (``make soak`` takes a minute, and there
the 99th percentile has to stay below half a second); what was measured is printed.
"""

from __future__ import annotations

import asyncio
import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.support.discord_life import Life
from tests.support.discord_scene import ACK_WITHIN_S
from tests.support.discord_server import DiscordServer

if TYPE_CHECKING:
    from pathlib import Path

LOAD_S = float(os.environ.get("LOAD_S", "5"))
PEOPLE = 200
PICTURES = 2
PAUSE_S = 0.1  # before each of about five events of one drawing
ENTER_WITHIN_S = 2.0
PATIENCE_S = 120.0
SOAK_FROM_S = 60.0
SOAK_P99_S = 0.5


@dataclass(slots=True)
class Crowd:
    """What the people saw."""

    server: DiscordServer
    ack_s: list[float] = field(default_factory=list[float])
    answer_s: list[float] = field(default_factory=list[float])
    served_counts: list[int] = field(default_factory=list[int])

    async def come(self) -> None:
        """Everybody comes within two seconds and stays until the load is over."""
        async with asyncio.TaskGroup() as people:
            for number in range(PEOPLE):
                people.create_task(self._ask_again_and_again(number), name=f"person {number}")

    async def _ask_again_and_again(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        ends_at_s = loop.time() + LOAD_S
        await asyncio.sleep(ENTER_WITHIN_S * number / PEOPLE)
        served_count = 0
        while not served_count or loop.time() < ends_at_s:
            begun_at_s = loop.time()
            interaction = await self.server.start_slash(
                "imagine", {"prompt": "a cube", "pictures": PICTURES}, user_id=str(10_000 + number)
            )
            await interaction.pictures(PATIENCE_S)
            assert interaction.ack_after_s is not None
            self.ack_s.append(interaction.ack_after_s)
            self.answer_s.append(loop.time() - begun_at_s)
            served_count += 1
        self.served_counts.append(served_count)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


@pytest.mark.alone
@pytest.mark.timeout(300 + 2 * LOAD_S)
async def test_two_hundred_people_at_once_are_all_acknowledged_in_time_and_served(
    tmp_path: Path,
) -> None:
    async with DiscordServer() as server:
        server.rest.checks_bodies = False  # this machine is Discord as well: let it be quick
        variables = {**server.variables(), "daily_pictures": "0", "engine_slots": "32"}
        life = Life(tmp_path, variables, PAUSE_S)
        life.begin()
        crowd = Crowd(server)
        await crowd.come()
        assert await life.stop() == 0

    ack_p50, ack_p99 = (1000 * percentile(crowd.ack_s, share) for share in (0.5, 0.99))
    print(  # noqa: T201 - see above
        f"{PEOPLE} people, {LOAD_S:.0f} s: {len(crowd.ack_s)} requests, acknowledged after "
        f"{ack_p50:.0f} ms (p50), {ack_p99:.0f} ms (p99), {1000 * max(crowd.ack_s):.0f} ms (max); "
        f"pictures after {percentile(crowd.answer_s, 0.5):.1f} s (p50), "
        f"{max(crowd.answer_s):.1f} s (max); "
        f"{min(crowd.served_counts)} to {max(crowd.served_counts)} requests a person"
    )
    assert len(crowd.served_counts) == PEOPLE
    assert max(crowd.ack_s) <= ACK_WITHIN_S
    assert server.violations == []
    if LOAD_S >= SOAK_FROM_S:
        assert ack_p99 < 1000 * SOAK_P99_S
        assert 2 * min(crowd.served_counts) >= max(crowd.served_counts)  # nobody starves
