"""Answers without pictures: one sentence, at most one per person and UTC day.

More than that would be spam by X's rules. A refusal that was decided on is kept in the
store until it is posted, so a restart in between neither loses nor repeats it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bot.jobs import DeliveryError
from bot.x.delivery import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.jobs import Cursors
    from bot.x.delivery import Poster
    from bot.x.mentions import Mention
    from bot.x.tasks import Tasks

PENDING_NAME = "x.refusals"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    to_id: str
    root_id: str
    sentence: str
    expires_at: str

    def as_reply(self) -> Reply:
        return Reply(
            to_id=self.to_id,
            root_id=self.root_id,
            sentence=self.sentence,
            expires_at=datetime.fromisoformat(self.expires_at),
        )

    def as_json(self) -> dict[str, str]:
        return {
            "to_id": self.to_id,
            "root_id": self.root_id,
            "sentence": self.sentence,
            "expires_at": self.expires_at,
        }


class Refusals:
    """Decides whether a refusal is said at all, and sees to it that it is said once.

    Args:
        cursors: Keeps who was told today, and what is still to be posted.
        poster: Posts.
        tasks: Owns the postings in the background: polling must not wait for them.
        clock: Gives the present (aware, UTC).
    """

    def __init__(
        self, cursors: Cursors, poster: Poster, tasks: Tasks, *, clock: Callable[[], datetime]
    ) -> None:
        self._cursors = cursors
        self._poster = poster
        self._tasks = tasks
        self._clock = clock
        self._pending: dict[str, _Refusal] = {}
        self._writing = asyncio.Lock()

    async def resume(self) -> None:
        """Carry on with what was not posted when the process ended."""
        stored: list[dict[str, str]] = json.loads(
            await self._cursors.read_cursor(PENDING_NAME) or "[]"
        )
        for fields in stored:
            self._begin(_Refusal(**fields), may_be_out=True)

    async def has_answered(self, mention: Mention) -> bool:
        """Say whether this mention was refused before, perhaps by an earlier process."""
        _, _, root_id = (await self._last(mention.author_id)).partition(" ")
        return mention.root_id in self._pending or root_id == mention.root_id

    async def refuse(self, mention: Mention, sentence: str, *, expires_at: datetime) -> None:
        """Reply with ``sentence``, unless the person was told something today already."""
        today = f"{self._clock():%Y-%m-%d}"
        if (await self._last(mention.author_id)).startswith(today):
            return
        refusal = _Refusal(
            to_id=mention.id,
            root_id=mention.root_id,
            sentence=sentence,
            expires_at=expires_at.isoformat(),
        )
        self._pending[mention.root_id] = refusal
        await self._keep_pending()
        # Second, so that a crash in between repeats a refusal that is found on the timeline
        # instead of losing it.
        await self._cursors.write_cursor(
            _told_name(mention.author_id), f"{today} {mention.root_id}"
        )
        self._begin(refusal, may_be_out=False)

    async def _last(self, author_id: str) -> str:
        return await self._cursors.read_cursor(_told_name(author_id)) or ""

    def _begin(self, refusal: _Refusal, *, may_be_out: bool) -> None:
        self._pending[refusal.root_id] = refusal
        self._tasks.start(
            self._say(refusal, may_be_out=may_be_out), name=f"x refusal {refusal.root_id}"
        )

    async def _say(self, refusal: _Refusal, *, may_be_out: bool) -> None:
        try:
            await self._poster.post_once(refusal.as_reply(), may_be_out=may_be_out)
        except DeliveryError as error:  # there is nobody left to tell
            _log.warning("x refusal lost root_id=%s reason=%s", refusal.root_id, error)
        del self._pending[refusal.root_id]
        await self._keep_pending()

    async def _keep_pending(self) -> None:
        async with self._writing:  # two writes at once could end in the wrong order
            pending = [refusal.as_json() for refusal in self._pending.values()]
            await self._cursors.write_cursor(PENDING_NAME, json.dumps(pending))


def _told_name(author_id: str) -> str:
    return f"x.told.{author_id}"
