"""One reply to one mention, exactly once in effect.

``POST /2/tweets`` has no key that would make a repetition harmless, and a lost answer
(connection reset, time-out, cut-off body, 5xx) says nothing about whether the reply is out.
So an attempt is committed before it leaves the machine. After a lost answer, or a restart
that finds a begun attempt, the account's own posts are searched 20, 80 and 380 seconds
later, because X may show a new post late. Only when it is in none of them, another attempt
is made, with the same bytes; three such attempts are the last. A search that fails is
repeated and never counts as "not there".

What remains: a reply that X shows later than the last look is posted twice.

``Outbox.post`` reads where the mention stands, takes the one step that follows, and reads
again: after a restart it goes on wherever the record says, because it never knew more.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from bot.jobs import UndeliverableError
from bot.store.quotas import reopens_at
from bot.store.x_states import (
    WAITING_TO_POST,
    Attempt,
    Media,
    MentionRecord,
    MentionState,
)
from bot.x.api import (
    MAX_ALT_TEXT_CHARS,
    DeclinedError,
    DeclineReason,
    PausedError,
    UnknownOutcomeError,
)
from bot.x.ids import oldest_possible_id
from bot.x.mentions import UnreadablePostError, newest_version
from bot.x.prices import Call
from bot.x.replies import is_reply_to, reply_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.store.x_records import XRecords
    from bot.store.x_states import Cost
    from bot.x.api import XApi
    from bot.x.config import XConfig
    from bot.x.gates import Gates
    from bot.x.looks import Looks
    from bot.x.replies import Answer

# X keeps an unused picture for a day (``expires_after_secs`` is 86,400).
MEDIA_LIFE: Final = timedelta(hours=23)
MAX_ALT_TEXT_TRIES: Final = 3
BLOCKED_FOR: Final = timedelta(days=7)
NOT_PERMITTED_PAUSE: Final = timedelta(hours=2)

_log = logging.getLogger(__name__)


class Outbox:
    """Posts replies, one attempt at a time and never a second one on suspicion.

    Args:
        api: The port to X.
        config: Prices, delays and limits.
        records: Where each mention stands.
        gates: Hold calls back.
        looks: Searches own posts.
        clock: Gives the present (aware, UTC).
        sleep: ``asyncio.sleep``, or a test's.
    """

    def __init__(
        self,
        api: XApi,
        *,
        config: XConfig,
        records: XRecords,
        gates: Gates,
        looks: Looks,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._api = api
        self._config = config
        self._records = records
        self._gates = gates
        self._looks = looks
        self._clock = clock
        self._sleep = sleep
        self._on_their_way = set[asyncio.Task[None]]()

    async def close(self) -> None:
        """Give a reply that is on its way a moment to arrive: else it would be in doubt."""
        if self._on_their_way:
            await asyncio.wait(self._on_their_way, timeout=self._config.close_grace_s)
        for attempt in self._on_their_way:
            attempt.cancel()
        await asyncio.gather(*self._on_their_way, return_exceptions=True)

    async def post(self, root_id: int, answer: Answer | None) -> None:
        """Return when the reply to a mention is out; wait as long as X asks for it.

        Args:
            root_id: The mention.
            answer: The pictures; ``None`` if its record holds a sentence to say instead.

        Raises:
            UndeliverableError: It will never be; the mention's final state says why.
        """
        while True:
            mention = await self._mention(root_id)
            if mention.state is MentionState.SENT:
                return
            if mention.state is MentionState.POSTING:  # a process ended in the middle of it
                await self._doubt(mention.root_id)
            elif mention.state is MentionState.UNKNOWN:
                await self._look(mention)
            elif mention.state in WAITING_TO_POST:
                await self._attempt(mention, answer)
            else:
                state, reason = mention.state, mention.reason
                _log.warning(
                    "x mention not answered root_id=%d state=%s reason=%s", root_id, state, reason
                )
                raise UndeliverableError(f"{state} {reason or ''}".strip())

    async def erase(self, mention: MentionRecord) -> None:
        """Delete the reply that a mention asks to be deleted."""
        erase_id = mention.erase_id
        if erase_id is None:
            raise LookupError(f"mention {mention.root_id} names no reply to delete")
        try:
            await self._gates.erasures.call(lambda: self._api.erase(erase_id))
        except DeclinedError as error:
            _log.error("x reply not deleted reply_id=%d reason=%s", erase_id, error)
            await self._records.mentions.decide(
                mention.root_id, MentionState.DEAD, now=self._clock(), reason="not_deleted"
            )
        else:
            await self._records.mentions.decide(
                mention.root_id, MentionState.DONE, now=self._clock(), reason="delete"
            )

    # --- one attempt

    async def _attempt(self, mention: MentionRecord, answer: Answer | None) -> None:
        await self._sleep_until(mention.not_before)
        text, media_id = await self._contents(mention, answer)
        await self._gates.posts.call(lambda: self._try(mention.root_id, text, media_id))

    async def _contents(
        self, mention: MentionRecord, answer: Answer | None
    ) -> tuple[str, str | None]:
        """Return the text and the id of the picture: of a sentence, the text alone."""
        if mention.sentence is not None:
            return reply_text(mention.root_id, mention.sentence), None
        if answer is None:
            raise LookupError(f"mention {mention.root_id} has nothing to be answered with")
        media_id = await self._media(mention, answer)
        earlier = await self._records.attempts.earlier_text(mention.root_id)
        return earlier or reply_text(mention.root_id, answer.sentence), media_id

    async def _try(self, root_id: int, text: str, media_id: str | None) -> None:
        """Make an attempt that outlives the cancellation of its caller."""
        attempt = asyncio.create_task(self._make(root_id, text, media_id), name=f"x try {root_id}")
        self._on_their_way.add(attempt)
        attempt.add_done_callback(self._on_their_way.discard)
        await asyncio.shield(attempt)

    async def _make(self, root_id: int, text: str, media_id: str | None) -> None:
        """Commit the attempt, make it, and note its end. Runs while no other reply does."""
        mention = await self._mention(root_id)
        if not await self._is_begun(mention, text):
            return
        try:
            reply_id = await self._api.reply(text, to_id=mention.latest_id, media_id=media_id)
        except UnknownOutcomeError as error:
            _log.warning("x reply in doubt root_id=%d reason=%s", root_id, error)
            await self._doubt(root_id)
        except DeclinedError as error:
            await self._declined(mention, error)
        except PausedError:
            await self._records.attempts.withdraw(root_id, self._refund, now=self._clock())
            raise
        else:
            await self._records.attempts.sent(root_id, reply_id, now=self._clock())

    async def _is_begun(self, mention: MentionRecord, text: str) -> bool:
        now = self._clock()
        begun = await self._records.attempts.begin(
            mention.root_id,
            text,
            self._config.prices.cost(Call.REPLY),
            give_up_at=mention.seen_at + timedelta(seconds=self._config.give_up_after_s),
            limit_micros=self._gates.budget.limit_for_posts_micros,
            now=now,
        )
        if begun.is_over_budget:
            raise PausedError("the day's money is used up", retry_at=reopens_at(now))
        return begun.is_begun

    async def _doubt(self, root_id: int) -> None:
        now = self._clock()
        first_look = now + timedelta(seconds=self._config.look_delays_s[0])
        await self._records.attempts.doubt(root_id, next_look_at=first_look, now=now)

    async def _declined(self, mention: MentionRecord, error: DeclinedError) -> None:
        """Do what the kind of no calls for: try a newer version, wait, or give up."""
        root_id, now = mention.root_id, self._clock()
        _log.info("x reply declined root_id=%d reason=%s", root_id, error.reason)
        if error.reason is DeclineReason.EDITED:
            newest = await self._newest_version(mention)
            if newest != mention.latest_id:
                await self._records.attempts.withdraw(
                    root_id, self._refund, now=now, latest_id=newest
                )
                return
        is_last = mention.try_count + 1 >= self._config.max_tries
        if _is_about_media(error) and mention.media is not None and not is_last:
            await self._records.attempts.keep_media(root_id, None)  # it is uploaded anew
            await self._records.attempts.withdraw(root_id, self._refund, now=now, is_a_try=True)
            return
        if error.reason is DeclineReason.NOT_PERMITTED and not is_last:
            again = now + NOT_PERMITTED_PAUSE
            await self._records.attempts.withdraw(
                root_id, self._refund, now=now, not_before=again, is_a_try=True
            )
            return
        is_blocked = error.reason is DeclineReason.BLOCKED
        await self._records.attempts.reject(
            root_id,
            _final_state(error.reason),
            error.reason,
            self._refund,
            now=now,
            blocked_until=now + BLOCKED_FOR if is_blocked else None,
        )

    async def _newest_version(self, mention: MentionRecord) -> int:
        try:
            post = await self._gates.lookups.call(lambda: self._api.post(mention.latest_id))
            return newest_version(post)
        except (DeclinedError, UnreadablePostError):
            return mention.latest_id

    # --- the picture

    async def _media(self, mention: MentionRecord, answer: Answer) -> str:
        """Upload and describe the picture, unless X has it from an earlier attempt."""
        media = mention.media
        if media is None or media.expires_at <= self._clock():
            media_id = await self._upload(answer.picture)
            expires_at = self._clock() + MEDIA_LIFE
            media = Media(id=media_id, expires_at=expires_at, is_described=False)
            await self._records.attempts.keep_media(mention.root_id, media)
        if not media.is_described:
            await self._describe(mention.root_id, media, answer)
        return media.id

    async def _upload(self, picture: bytes) -> str:
        try:
            return await self._gates.uploads.call(lambda: self._api.upload_picture(picture))
        except DeclinedError as error:
            raise UndeliverableError(f"X does not take the picture: {error}") from error

    async def _describe(self, root_id: int, media: Media, answer: Answer) -> None:
        """Give the picture its words; one without them is better than none."""
        text = answer.alt_text[:MAX_ALT_TEXT_CHARS]
        for _ in range(MAX_ALT_TEXT_TRIES):
            try:
                await self._gates.alt_texts.try_once(
                    lambda: self._api.describe_picture(
                        media.id, text, is_sensitive=answer.is_sensitive
                    )
                )
            except PausedError:
                continue
            except DeclinedError as error:
                _log.warning("x alt text declined root_id=%d reason=%s", root_id, error)
                return
            described = Media(id=media.id, expires_at=media.expires_at, is_described=True)
            await self._records.attempts.keep_media(root_id, described)
            return
        _log.warning("x alt text given up root_id=%d", root_id)

    # --- looking for a reply in doubt

    async def _look(self, mention: MentionRecord) -> None:
        attempt = _live(mention)
        await self._sleep_until(attempt.next_look_at)
        since_id = max(mention.root_id, oldest_possible_id(attempt.started_at))
        posts = await self._looks.own_posts_since(since_id)
        found = [post for post in posts if is_reply_to(mention, post)]
        if found:
            reply_id = min(int(post["id"]) for post in found)
            await self._records.attempts.sent(mention.root_id, reply_id, now=self._clock())
        elif attempt.look_count + 1 < len(self._config.look_delays_s):
            await self._records.attempts.looked(
                mention.root_id, next_look_at=self._next_look(attempt)
            )
        else:
            await self._absent(mention)

    def _next_look(self, attempt: Attempt) -> datetime:
        doubted_at = attempt.doubted_at or self._clock()
        delay_s = self._config.look_delays_s[attempt.look_count + 1]
        return doubted_at + timedelta(seconds=delay_s)

    async def _absent(self, mention: MentionRecord) -> None:
        is_last = mention.try_count + 1 >= self._config.max_tries
        if is_last:
            _log.error("x reply given up in doubt root_id=%d", mention.root_id)
        await self._records.attempts.absent(mention.root_id, is_last_try=is_last, now=self._clock())

    # --- small things

    @property
    def _refund(self) -> Cost:
        return self._config.prices.cost(Call.REPLY, -1)

    async def _mention(self, root_id: int) -> MentionRecord:
        mention = await self._records.mentions.mention(root_id)
        if mention is None:
            raise LookupError(f"no mention {root_id}")
        return mention

    async def _sleep_until(self, moment: datetime | None) -> None:
        while moment is not None and (left := (moment - self._clock()).total_seconds()) > 0:
            await self._sleep(left)


def _live(mention: MentionRecord) -> Attempt:
    if mention.attempt is None:
        raise LookupError(f"mention {mention.root_id} is {mention.state} without an attempt")
    return mention.attempt


def _is_about_media(error: DeclinedError) -> bool:
    return error.reason is DeclineReason.OTHER and "media" in str(error).casefold()


def _final_state(reason: DeclineReason) -> MentionState:
    match reason:
        case DeclineReason.GONE:
            return MentionState.GONE
        case DeclineReason.OTHER:  # a 400 or 413: a mistake of ours
            return MentionState.DEAD
        case _:
            return MentionState.REJECTED
