from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from bot import checks
from bot.admin_sentences import in_units
from bot.checks import CheckError
from engine.api import DEMO_CHECKPOINT, CheckpointError, EngineError
from engine.devices import Device
from engine.probe import look_at
from tests.support.bot_process import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (12_345_678, "12.3 MB"),
        (2_700_000_000, "2.7 GB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_sizes_are_told_as_people_do(size_bytes: int, words: str) -> None:
    assert in_units(size_bytes) == words


def test_weights_are_named_with_their_size(tmp_path: Path) -> None:
    told = checks.look_at_weights(DEMO_CHECKPOINT, tmp_path)

    assert told.startswith("the demo model, ")
    assert told.endswith(" MB")
    with pytest.raises(CheckpointError):
        checks.look_at_weights(tmp_path, tmp_path)


def test_a_disk_that_is_nearly_full_is_told(tmp_path: Path) -> None:
    assert checks.look_at_disk(tmp_path, least_bytes=0).endswith(f" free in {tmp_path}")

    with pytest.raises(CheckError) as caught:
        checks.look_at_disk(tmp_path, least_bytes=10**18)
    words = str(caught.value)
    assert words.startswith(f"The folder {tmp_path} has only ")
    assert words.endswith(" left: make room, or set DATA_DIR to a larger disk.")


def test_a_disk_that_is_smaller_than_what_the_limits_allow_is_told(tmp_path: Path) -> None:
    told = checks.look_at_disk(tmp_path, growth_bytes=2_400, least_bytes=0)
    assert told.endswith(f" free in {tmp_path}, of which the database may take 2.4 kB")

    with pytest.raises(CheckError) as caught:
        checks.look_at_disk(tmp_path, growth_bytes=10**18)
    words = str(caught.value)
    assert words.startswith(f"The folder {tmp_path} has ")
    assert words.endswith(
        " left, but the database may grow by 1000000.0 TB: make room, set DATA_DIR to a larger "
        "disk, or lower BOT_DAILY_PICTURES or HISTORY_DAYS."
    )


@pytest.mark.parametrize(
    ("daily_count", "kept_days", "growth_bytes"),
    [(0, 365, None), (1_000, 0, None), (1_000, 10, 24_000_000), (1, 1, 2_400)],
)
def test_a_database_grows_for_as_many_days_as_are_kept(
    tmp_path: Path, daily_count: int, kept_days: int, growth_bytes: int | None
) -> None:
    database = tmp_path / "imagine.db"

    found = checks.growth_of(database, daily_count=daily_count, kept_days=kept_days)

    assert found == growth_bytes


def test_what_a_database_has_taken_already_is_no_growth(tmp_path: Path) -> None:
    database = tmp_path / "imagine.db"
    database.write_bytes(bytes(2_000_000))
    (tmp_path / "imagine.db-wal").write_bytes(bytes(300_000))

    assert checks.growth_of(database, daily_count=1_000, kept_days=1) == 100_000
    assert checks.growth_of(database, daily_count=500, kept_days=1) == 0


@pytest.fixture
async def server() -> AsyncIterator[str]:
    """A server that refuses everything, and tells the time with it, as all do."""
    runner = web.AppRunner(web.Application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_clock_is_compared_with_the_first_server_that_answers(server: str) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"

    assert await checks.look_at_clock([nobody, server], lambda: datetime.now(UTC)) == "right"


@pytest.mark.parametrize(("off_s", "side"), [(3_600, "ahead"), (-3_600, "behind")])
async def test_a_wrong_clock_is_told(server: str, off_s: int, side: str) -> None:
    with pytest.raises(CheckError) as caught:
        await checks.look_at_clock([server], lambda: datetime.now(UTC) + timedelta(seconds=off_s))

    words = str(caught.value)
    assert words.startswith("The clock of this machine is ")
    assert words.endswith(f" s {side}: let it be set by the network (timedatectl set-ntp true).")


async def test_without_anybody_to_ask_the_clock_is_not_compared() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"

    alone = await checks.look_at_clock([], lambda: datetime.now(UTC))
    unreached = await checks.look_at_clock([nobody], lambda: datetime.now(UTC))

    assert alone == "not compared (no platform is set up)"
    assert unreached == "not compared (no platform can be reached)"


async def test_a_device_that_is_not_there_is_told_with_what_jax_says() -> None:
    with pytest.raises(EngineError) as caught:
        await look_at(Device(name="gpu:7"))

    words = str(caught.value)
    assert words.startswith("The device gpu:7 cannot be used (")
    assert words.endswith("set ENGINE_DEVICES to another one, or install JAX for it.")
