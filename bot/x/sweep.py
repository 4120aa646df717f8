"""Once a day: was anything answered twice after all?

A reply can be doubled only where an attempt was found absent by every look and another one was
made. So only these are looked up, among the own posts since then; on most days there are none
and the sweep costs nothing. What it finds is told in the log as an error: the admin decides
which of the two replies goes.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bot.x.ids import oldest_possible_id
from bot.x.replies import is_reply_to

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from bot.store.x_records import XRecords
    from bot.x.looks import Looks

# Twice the usual interval: what is found absent just before a sweep may show up after it.
BACK: Final = timedelta(days=2)

_log = logging.getLogger(__name__)


async def sweep(records: XRecords, looks: Looks, *, now: datetime) -> int:
    """Look for mentions that have two replies; returns how many there are."""
    doubtful = await records.attempts.absent_since(now - BACK)
    if not doubtful:
        return 0
    first_attempt_at = min(started_at for _, started_at in doubtful)
    posts = await looks.own_posts_since(oldest_possible_id(first_attempt_at))
    double_count = 0
    for root_id in {root_id for root_id, _ in doubtful}:
        mention = await records.mentions.mention(root_id)
        replies = [post["id"] for post in posts if mention and is_reply_to(mention, post)]
        if len(replies) > 1:
            double_count += 1
            _log.error("x mention answered twice root_id=%d reply_ids=%s", root_id, replies)
    return double_count


async def sweep_forever(
    records: XRecords,
    looks: Looks,
    *,
    interval_s: float,
    clock: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """Sweep for ever, the first time ``interval_s`` from now."""
    while True:
        await sleep(interval_s)
        try:
            await sweep(records, looks, now=clock())
        except Exception:  # noqa: BLE001 (one step of a background task that must go on)
            _log.exception("x sweep failed")
