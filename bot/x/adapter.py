"""The X adapter: a mention becomes a ``Submission``, pictures become a reply.

It translates and decides nothing: what is a request stands in ``mentions``, how replies
stay single in ``delivery``, how long to wait in ``pauses``.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from bot import sentences
from bot.clock import utc_now
from bot.jobs import (
    ClosingError,
    DeliveryError,
    DuplicateEventError,
    Person,
    Platform,
    RefusedError,
    Submission,
    UnavailableError,
    UndeliverableError,
)
from bot.x.api import (
    MAX_ALT_TEXT_CHARS,
    MAX_PICTURE_BYTES,
    CredentialsError,
    DeclinedError,
    PausedError,
    XApiError,
)
from bot.x.client import TweepyApi
from bot.x.delivery import Attachment, Poster, Reply
from bot.x.mentions import UnreadablePostError
from bot.x.pauses import Pause
from bot.x.polling import MentionPoll
from bot.x.refusals import Refusals
from bot.x.tasks import Tasks
from engine.api import DrawRequest, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.jobs import Cursors, Job, Submitter
    from bot.x.api import Account, XApi
    from bot.x.config import XConfig
    from bot.x.mentions import Mention
    from engine.api import Drawing, Drawn, Queued

# Reasons to leave mentions where they are: a later look finds them again.
NOT_NOW: Final = (ClosingError, UnavailableError)

_log = logging.getLogger(__name__)


class XKeysError(Exception):
    """X does not accept the keys. ``str(error)`` is a sentence for the admin."""


class XAdapter:
    """Listens to mentions of the bot's account and implements ``Delivery`` for them.

    Deliveries asked for before ``start`` wait until the account is known.

    Args:
        config: Keys, address and pace.
        service: Takes the submissions.
        cursors: The store, for how far mentions were read.
        clock: Gives the present (aware, UTC).
        sleep: ``asyncio.sleep``, or a test's that moves ``clock``.
    """

    def __init__(
        self,
        config: XConfig,
        service: Submitter,
        cursors: Cursors,
        *,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._config = config
        self._service = service
        self._cursors = cursors
        self._clock = clock
        self._sleep = sleep
        self._api: XApi | None = None
        self._poster: Poster | None = None
        self._reading = Pause("mentions", clock=clock, sleep=sleep)
        self._tasks = Tasks()
        self._postings: set[asyncio.Task[None]] = set()
        self._in_doubt_ids: set[str] = set()
        self._is_ready = asyncio.Event()
        self._is_listening = False
        self._is_closed = False

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "ready" if self._poster else "not started"
        return f"<XAdapter {state}, {len(self._postings)} replies under way, {self._reading!r}>"

    @property
    def is_connected(self) -> bool:
        """Whether X has accepted the keys."""
        return self._poster is not None

    @property
    def is_listening(self) -> bool:
        """Whether mentions have been read: those from now on are answered."""
        return self._is_listening and not self._is_closed

    async def start(self) -> None:
        """Check the keys and begin to listen.

        If X cannot be reached just now, the check is repeated in the background: the other
        platforms must not wait for it.

        Raises:
            XKeysError: X does not accept the keys.
        """
        self._api = api = TweepyApi(self._config, clock=self._clock)
        try:
            me = await api.who_am_i()
        except (CredentialsError, DeclinedError) as error:
            await api.close()
            raise XKeysError(sentences.x_keys_refused(str(error))) from error
        except PausedError as error:
            _log.warning("x not reached yet reason=%s", error)
            self._tasks.start(self._connect_later(api), name="x connect")
        else:
            self._listen(api, me)

    async def close(self) -> None:
        """Stop listening and posting. What was not posted is for the next start."""
        self._is_closed = True
        self._is_ready.set()
        for posting in self._postings:
            posting.cancel()
        await self._tasks.close()
        await asyncio.gather(*self._postings, return_exceptions=True)
        if self._api is not None:
            await self._api.close()

    # --- from the mention to the service

    async def _connect_later(self, api: XApi) -> None:
        self._listen(api, await self._reading.call(api.who_am_i))

    def _listen(self, api: XApi, me: Account) -> None:
        self._poster = poster = self._new_poster(api, me)
        refusals = Refusals(self._cursors, poster, self._tasks, clock=self._clock)
        poll = MentionPoll(
            api,
            me=me,
            cursors=self._cursors,
            pause=self._reading,
            take=lambda mention: self._take(mention, refusals),
            not_now=NOT_NOW,
        )
        self._is_ready.set()
        self._tasks.start(self._poll_forever(poll, refusals), name="x mentions")
        _log.info("x listening account_id=%s", me.id)

    def _new_poster(self, api: XApi, me: Account) -> Poster:
        return Poster(
            api,
            account_id=me.id,
            posting=Pause("posts", clock=self._clock, sleep=self._sleep),
            looking=Pause("looks", clock=self._clock, sleep=self._sleep),
            look_delays_s=self._config.look_delays_s,
            clock=self._clock,
            sleep=self._sleep,
        )

    async def _poll_forever(self, poll: MentionPoll, refusals: Refusals) -> None:
        await self._safely(refusals.resume)
        while True:
            self._is_listening |= await self._safely(poll.poll_once)
            await self._sleep(self._config.poll_interval_s)

    async def _safely(self, step: Callable[[], Awaitable[None]]) -> bool:
        """Run one step; after any failure the next poll reads the same mentions again.

        Returns:
            Whether it worked.
        """
        try:
            await step()
        except NOT_NOW as error:
            _log.info("x mentions wait reason=%s", type(error).__name__)
        except UnreadablePostError as error:
            _log.error(
                "x answers nothing because posts arrive without a field missing_field=%s", error
            )
        except XApiError as error:
            _log.warning("x poll declined reason=%s", error)
        except Exception:  # noqa: BLE001 (one step of a background task that must go on)
            _log.exception("x poll failed")
        else:
            return True
        return False

    async def _take(self, mention: Mention, refusals: Refusals) -> None:
        if await refusals.has_answered(mention):
            return
        try:
            await self._service.submit(await self._submission(mention))
        except DuplicateEventError:
            _log.debug("x mention known root_id=%s", mention.root_id)
        except NOT_NOW:
            raise
        except (RefusedError, InvalidRequestError) as error:
            await refusals.refuse(
                mention, self._explain(error), expires_at=self._expiry(self._clock())
            )

    async def _submission(self, mention: Mention) -> Submission:
        person = Person(platform=Platform.X, id=mention.author_id)
        return Submission(
            person=person,
            event_id=mention.root_id,
            request=DrawRequest(
                prompt=mention.prompt, picture_count=await self._picture_count(person)
            ),
            address={
                "mention_id": mention.id,
                "root_id": mention.root_id,
                "author_id": mention.author_id,
            },
        )

    async def _picture_count(self, person: Person) -> int:
        """Nobody can name a number in a mention, so the last of a day get what is left."""
        wanted = self._config.picture_count
        left = await self._service.allowance_left(person)
        return min(wanted, left) if left else wanted

    def _expiry(self, since: datetime) -> datetime:
        return since + timedelta(seconds=self._config.give_up_after_s)

    # --- from the service to the reply

    async def show_progress(self, job: Job, event: Queued | Drawing) -> None:
        """Do nothing: on X every word is a post of its own."""

    async def deliver(self, job: Job, drawn: Drawn) -> None:
        """Reply to the mention with the grid of pictures.

        Raises:
            DeliveryError: It is not known whether the reply arrived.
            UndeliverableError: X will not take it.
        """
        if len(drawn.grid_png) > MAX_PICTURE_BYTES:
            raise UndeliverableError(f"the grid has {len(drawn.grid_png):,} bytes")
        picture_count = len(drawn.pictures)
        alt_text = sentences.x_alt_text(
            job.submission.request.prompt, picture_count, limit_chars=MAX_ALT_TEXT_CHARS
        )
        attachment = Attachment(png=drawn.grid_png, alt_text=alt_text)
        await self._reply(job, sentences.x_answer(picture_count), attachment)

    async def apologise(self, job: Job, error: Exception) -> None:
        """Reply to the mention with a sentence, unless pictures arrived there after all.

        Raises:
            DeliveryError: It is not known whether the reply arrived.
            UndeliverableError: X will not take it.
        """
        await self._reply(job, self._explain(error), None)

    async def postpone(self, job: Job) -> None:
        """Say nothing: one reply to a mention is all that X allows, and it will come."""

    def _explain(self, error: Exception) -> str:
        return sentences.explain(error, self._clock(), when=sentences.x_moment)

    async def _reply(self, job: Job, sentence: str, attachment: Attachment | None) -> None:
        reply = Reply(
            to_id=str(job.submission.address["mention_id"]),
            root_id=str(job.submission.address["root_id"]),
            sentence=sentence,
            expires_at=self._expiry(job.accepted_at),
            attachment=attachment,
        )
        may_be_out = job.attempt_count > 0 or job.id in self._in_doubt_ids
        self._in_doubt_ids.add(job.id)
        try:
            await self._post(reply, may_be_out=may_be_out)
        except UndeliverableError:
            self._in_doubt_ids.discard(job.id)
            raise
        self._in_doubt_ids.discard(job.id)

    async def _post(self, reply: Reply, *, may_be_out: bool) -> None:
        """Post in a task of our own, so that ``close`` can end it."""
        await self._is_ready.wait()
        if self._is_closed or self._poster is None:
            raise DeliveryError("the bot is closing")
        posting = asyncio.create_task(self._poster.post_once(reply, may_be_out=may_be_out))
        self._postings.add(posting)
        try:
            await asyncio.wait({posting})
        finally:
            posting.cancel()  # does nothing to a posting that is done
            self._postings.discard(posting)
        if posting.cancelled():
            raise DeliveryError("the bot is closing")
        posting.result()
