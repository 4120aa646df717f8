"""What ``imagine check`` looks at on this machine: weights, disk, clock.

Each look returns a few words, or raises an error whose text is a sentence for the admin.
What concerns a platform is looked at by the platform (``bot.discord.checks``,
``bot.x.checks``), the database by the store.
"""

from __future__ import annotations

import shutil
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import hdrs

from bot import admin_sentences as sentences
from bot import checkpoints
from engine.api import DEMO_CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from bot.clock import Clock

LEAST_FREE_BYTES: Final = 500_000_000
# What a picture takes in a SQLite file with its request and indexes, measured with 600 requests
# from Discord: 2,360 bytes if each asks for one picture, 820 if each asks for nine.
PICTURE_BYTES: Final = 2_400
# Discord's and X's signatures bear minutes; estimates and midnight would be off long before.
MAX_SKEW_S: Final = 60.0
_ANSWER_WITHIN_S: Final = 10.0


class CheckError(Exception):
    """Something on this machine stands in the way. ``str(error)`` is a sentence."""


def look_at_weights(checkpoint: Path, data_dir: Path) -> str:
    """Name the model and its size.

    Raises:
        CheckpointError: Files are missing.
    """
    folder = checkpoints.complete_folder_of(checkpoint, data_dir)
    size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    name = "the demo model" if folder == DEMO_CHECKPOINT else str(checkpoint)
    return f"{name}, {sentences.in_units(size_bytes)}"


def look_at_disk(
    data_dir: Path, *, growth_bytes: int | None = None, least_bytes: int = LEAST_FREE_BYTES
) -> str:
    """Tell how much room the data folder has.

    Args:
        data_dir: The folder.
        growth_bytes: By how much the database in it may still grow; ``None`` is not known.
        least_bytes: What must be free in any case.

    Raises:
        CheckError: It is so little that the database may fail soon, or later.
        OSError: It cannot be asked.
    """
    folder, free_bytes = str(data_dir), shutil.disk_usage(data_dir).free
    if free_bytes < least_bytes:
        raise CheckError(sentences.disk_nearly_full(folder, free_bytes))
    if growth_bytes is not None and free_bytes < growth_bytes + least_bytes:
        raise CheckError(sentences.disk_too_small(folder, free_bytes, growth_bytes=growth_bytes))
    return sentences.disk_has_room(folder, free_bytes, growth_bytes=growth_bytes)


def growth_of(database: Path, *, daily_count: int, kept_days: int) -> int | None:
    """By how many bytes a SQLite database may still grow, until it forgets as much as it takes.

    Args:
        database: Its file, which need not be there yet.
        daily_count: Pictures of everybody in a day; 0 is no limit.
        kept_days: Days that they are kept; 0 is for ever.

    Returns:
        ``None`` where nothing limits it.
    """
    if not daily_count or not kept_days:
        return None
    files = [database.with_name(f"{database.name}{end}") for end in ("", "-wal")]
    taken_bytes = sum(file.stat().st_size for file in files if file.is_file())
    return max(0, daily_count * kept_days * PICTURE_BYTES - taken_bytes)


async def look_at_clock(addresses: Sequence[str], clock: Clock) -> str:
    """Compare this machine's clock with that of the first server that answers.

    Args:
        addresses: Servers of platforms that are set up; without one there is no comparison.
        clock: Tells the present.

    Raises:
        CheckError: It is wrong by more than ``MAX_SKEW_S``.
    """
    for address in addresses:
        told = await _time_at(address)
        if told is not None:
            skew_s = (clock() - told).total_seconds()
            if abs(skew_s) > MAX_SKEW_S:
                raise CheckError(sentences.clock_wrong(skew_s))
            return sentences.CLOCK_RIGHT
    return sentences.CLOCK_NOT_COMPARED if addresses else sentences.CLOCK_ALONE


async def _time_at(address: str) -> datetime | None:
    """What a server says the time is; any answer will do."""
    timeout = aiohttp.ClientTimeout(total=_ANSWER_WITHIN_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(address, allow_redirects=False) as answer,
        ):
            return parsedate_to_datetime(answer.headers[hdrs.DATE])
    except (aiohttp.ClientError, TimeoutError, KeyError, ValueError):
        return None
