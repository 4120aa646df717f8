"""Decides by the words of a submission whether it is drawn, and remembers who asks for harm.

What the words mean is ``bot.moderation``'s to say; here it is joined to platforms, levels and
strikes. Neither the log nor the store gets the words: a hash tells whether they come again.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from bot.clock import Clock, utc_now
from bot.jobs import ModeratedError, Platform
from bot.moderation import Level, TextVerdict, plain
from bot.observer import Observers
from bot.store.house import Strike

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.jobs import Submission
    from bot.moderation import Judgement, Moderator
    from bot.observer import Observer
    from bot.store.house import StrikeLimit, Struck

# At the terminal sits whoever runs the bot: blocking them would help nobody.
NEVER_STRUCK: Final = frozenset({Platform.TERMINAL})
_HASH_BYTES: Final = 8

_log = logging.getLogger(__name__)


class Strikes(Protocol):
    """Where strikes are kept; ``bot.store`` implements it."""

    async def strike(self, strike: Strike, limit: StrikeLimit) -> Struck:
        """Keep a strike, and block its person if it was one too many."""
        ...


class WordGate:
    """Implements ``bot.jobs.Gatekeeper``.

    Args:
        moderator: Knows the rules.
        levels: How strict they are on each platform, where no community has chosen.
        strikes: Keeps who asked for something grave.
        limit: How much of that is too much; ``None`` blocks nobody.
        observer: Hears of judgements and strikes.
        clock: Tells the present.
    """

    def __init__(
        self,
        *,
        moderator: Moderator,
        levels: Mapping[Platform, Level],
        strikes: Strikes,
        limit: StrikeLimit | None,
        observer: Observer | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._moderator = moderator
        self._levels = levels
        self._strikes = strikes
        self._limit = limit
        self._observer: Observer = observer or Observers()
        self._clock = clock

    def __repr__(self) -> str:
        levels = ", ".join(f"{platform} {level}" for platform, level in self._levels.items())
        return f"<WordGate {levels}>"

    async def admit(self, submission: Submission, *, level: str | None) -> Submission:
        """Return the submission, marked ``is_soft`` where its words call for it.

        Its pictures are looked at strictly then, and wherever the level is strict.

        Raises:
            ModeratedError: It is not drawn.
            StoreError: A strike could not be noted.
        """
        chosen = self._levels[submission.person.platform] if level is None else Level(level)
        judgement = self._moderator.judge(submission.request.prompt, level=chosen)
        self._observer.judged(
            submission.person.platform,
            level=chosen,
            verdict=judgement.verdict,
            code=judgement.code,
        )
        match judgement.verdict:
            case TextVerdict.ALLOW:
                return _looked_at_strictly(submission) if chosen is Level.STRICT else submission
            case TextVerdict.SOFT:
                _tell(submission, judgement, chosen)
                return replace(_looked_at_strictly(submission), is_soft=True)
            case TextVerdict.REFUSE:
                _tell(submission, judgement, chosen)
                await self._strike(submission, judgement)
                raise ModeratedError(judgement.code, is_grave=judgement.is_grave)

    async def _strike(self, submission: Submission, judgement: Judgement) -> None:
        person = submission.person
        if self._limit is None or not judgement.is_grave or person.platform in NEVER_STRUCK:
            return
        strike = Strike(
            person=person,
            event_id=submission.event_id,
            community=submission.community,
            code=judgement.code,
            prompt_hash=prompt_hash(submission.request.prompt),
            at=self._clock(),
        )
        struck = await self._strikes.strike(strike, self._limit)
        if not struck.is_new:
            return
        until = struck.blocked_until
        self._observer.struck(person.platform, code=strike.code, is_blocked=until is not None)
        if until is not None:
            _log.warning(
                "person blocked platform=%s person=%s until=%s", person.platform, person.id, until
            )


def prompt_hash(prompt: str) -> str:
    """Tell the same words from others, however they are written, without keeping them."""
    words = " ".join(plain(prompt).split())
    return hashlib.blake2b(words.encode(errors="replace"), digest_size=_HASH_BYTES).hexdigest()


def _looked_at_strictly(submission: Submission) -> Submission:
    return replace(submission, request=replace(submission.request, strict=True))


def _tell(submission: Submission, judgement: Judgement, level: Level) -> None:
    _log.info(
        "prompt moderated platform=%s verdict=%s code=%s level=%s prompt_hash=%s",
        submission.person.platform,
        judgement.verdict,
        judgement.code,
        level,
        prompt_hash(submission.request.prompt),
    )
