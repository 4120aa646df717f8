"""What may be asked of pictures that were drawn: again, bigger, others like it, gone wrong.

A picture is kept as its image tokens, from which it is painted again whenever it is wanted;
no file is needed. Nothing here asks who is allowed to: a picture that somebody sees is there
for everybody who sees it, and what concerns only its owner is for adapters to guard.
"""

from __future__ import annotations

import math
from dataclasses import replace
from random import SystemRandom
from typing import TYPE_CHECKING, Final

from bot.clock import utc_now
from bot.jobs import UnknownPictureError
from bot.observer import Observers
from bot.store.archive import QueueView
from engine.api import MAX_SEED

if TYPE_CHECKING:
    from collections.abc import Collection

    from bot.clock import Clock
    from bot.jobs import JobId, Person
    from bot.observer import Observer
    from bot.store import Past, Store
    from bot.store.history import KeptTokens
    from engine.api import DrawRequest, Engine

# Of the tokens of a picture, so many differ in another one of the same words (an early demo
# model, 4 prompts, 6 pictures of each): 69 % with nothing kept, 40 % with a quarter, 33 % with
# three eighths, 22 % with a half. Three eighths keep half of the likeness and leave half of the
# surprise; what stands in the middle of a picture, mostly its subject, is drawn anew.
KEPT_PART: Final = 3 / 8
MAX_REASON_CHARS: Final = 500

__all__ = ["QueueView", "Studio"]

_random = SystemRandom()


class Studio:
    """Pictures of the past, and requests that go on with them.

    Every method may raise ``StoreError``: the database failed.

    Args:
        store: Where pictures are kept.
        engine: Paints them again.
        observer: Hears of reports.
        clock: Tells the present.
    """

    def __init__(
        self,
        *,
        store: Store,
        engine: Engine,
        observer: Observer | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._engine = engine
        self._observer: Observer = observer or Observers()
        self._clock = clock

    async def past(self, job_id: JobId) -> Past | None:
        """A job with what was delivered of it, while that is kept."""
        return await self._store.archive.past(job_id)

    async def pasts(self, job_ids: Collection[JobId]) -> dict[JobId, Past]:
        """Several jobs at once, by id; those that are not kept (any more) are missing."""
        return await self._store.archive.pasts(job_ids)

    async def history(
        self, person: Person, *, limit: int = 20, before: JobId | None = None
    ) -> list[Past]:
        """The newest jobs of somebody, newest first; or those older than the job ``before``."""
        return await self._store.archive.history(person, limit=limit, before=before)

    async def picture(self, job_id: JobId, rank: int) -> bytes:
        """Paint a delivered picture again, as a PNG; rank 1 is the best.

        Raises:
            UnknownPictureError: It is not kept.
            EngineError: The engine cannot paint it.
        """
        kept = await self._kept(job_id, rank)
        return await self._engine.render(kept.request, kept.index, kept.tokens)

    async def upscaled(self, job_id: JobId, rank: int) -> bytes:
        """The same picture four times as wide and high.

        Raises:
            UnknownPictureError: It is not kept.
            EngineError: The engine cannot paint it.
        """
        return await self._engine.upscale(await self.picture(job_id, rank))

    async def variation(self, job_id: JobId, rank: int, *, picture_count: int) -> DrawRequest:
        """Ask for pictures that begin like a delivered one and go on in their own ways.

        The upper rows of its image tokens are kept and the others drawn with a new seed:
        a token sees everything before it, so what is drawn below fits what was kept.

        Raises:
            UnknownPictureError: It is not kept.
            InvalidRequestError: So many pictures cannot be drawn.
        """
        kept = await self._kept(job_id, rank)
        return replace(
            kept.request,
            picture_count=picture_count,
            seed=new_seed(),
            keep=upper_part(kept.tokens),
        )

    async def redraw(self, job_id: JobId, *, picture_count: int | None = None) -> DrawRequest:
        """Ask for other pictures of the same words, with the same options and a new seed.

        Raises:
            UnknownPictureError: There is no such job (any more).
            InvalidRequestError: So many pictures cannot be drawn.
        """
        job = await self._store.job(job_id)
        if job is None:
            raise UnknownPictureError
        request = job.submission.request
        count = request.picture_count if picture_count is None else picture_count
        return replace(request, seed=new_seed(), picture_count=count)

    async def report(self, job_id: JobId, person: Person, *, reason: str) -> None:
        """Tell the admins that somebody finds fault with the pictures of a job.

        Everybody's word counts once for each job: a second one changes nothing.

        Raises:
            UnknownPictureError: There is no such job (any more).
        """
        words = " ".join(reason.split())[:MAX_REASON_CHARS]
        is_new = await self._store.people.report(job_id, person, reason=words, now=self._clock())
        if is_new is None:
            raise UnknownPictureError
        if is_new:
            self._observer.reported(person.platform)

    async def queue(self, person: Person) -> QueueView:
        """Who waits just now, and what of somebody's own."""
        return await self._store.archive.queue(person)

    async def _kept(self, job_id: JobId, rank: int) -> KeptTokens:
        kept = await self._store.archive.tokens(job_id, rank)
        if kept is None:
            raise UnknownPictureError
        return kept


def upper_part(tokens: tuple[int, ...]) -> tuple[int, ...]:
    """The tokens of the upper rows of a square picture, as many as ``KEPT_PART`` says.

    Of 256 tokens, 16 rows of 16, these are 6 rows, 96 tokens.
    """
    side = math.isqrt(len(tokens))
    return tokens[: side * max(1, round(side * KEPT_PART))]


def new_seed() -> int:
    """A seed that nobody chose."""
    return _random.randint(0, MAX_SEED)
