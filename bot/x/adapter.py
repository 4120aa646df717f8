"""Joins the parts, starts and stops them, and implements ``Delivery``. Decides nothing."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from bot import sentences
from bot.clock import utc_now
from bot.jobs import DeliveryError, UndeliverableError
from bot.store.x_states import OPEN, NewMention
from bot.tasks import Tasks
from bot.x.api import (
    MAX_ALT_TEXT_CHARS,
    Account,
    CredentialsError,
    DeclinedError,
    PausedError,
    XApiError,
)
from bot.x.client import TweepyApi
from bot.x.gates import Gates
from bot.x.intake import NOT_NOW, Intake
from bot.x.looks import Looks
from bot.x.mentions import UnreadablePostError
from bot.x.outbox import Outbox
from bot.x.pictures import for_timeline
from bot.x.polling import MentionPoll
from bot.x.replies import Answer
from bot.x.sweep import sweep_forever
from bot.x.walks import IncompleteWalkError
from engine.api import EngineBusyError, Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from bot.jobs import Cursors, Job, Progress, Submitter
    from bot.store.x_records import XRecords
    from bot.x.api import XApi
    from bot.x.config import XConfig
    from bot.x.polling import Polled
    from engine.api import Drawn

    Connect = Callable[[], XApi]
    Through = Callable[[Callable[[], Awaitable[Account]]], Awaitable[Account]]

_ACCOUNT = "x.account"

_log = logging.getLogger(__name__)


class XKeysError(Exception):
    """X does not accept the keys. ``str(error)`` is a sentence for the admin."""


class _Login(NamedTuple):
    """What came of showing X the keys; ``me`` is ``None`` while X cannot be reached."""

    api: XApi
    gates: Gates
    me: Account | None


class XAdapter:
    """Listens to mentions of the bot's account and delivers their pictures.

    Deliveries asked for before ``start`` wait until the account is known.

    Args:
        config: Keys, address, pace and money.
        service: Takes the submissions.
        cursors: The store, for small things that survive a restart.
        records: Its tables of mentions.
        clock: Gives the present (aware, UTC).
        sleep: ``asyncio.sleep``, or a test's that moves ``clock``.
        connect: Opens the port to X; tweepy's, or a test's.
    """

    def __init__(
        self,
        config: XConfig,
        service: Submitter,
        cursors: Cursors,
        records: XRecords,
        *,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        connect: Connect | None = None,
    ) -> None:
        self._config = config
        self._cursors = cursors
        self._records = records
        self._clock = clock
        self._sleep = sleep
        self._connect = connect or (lambda: TweepyApi(config, clock=clock))
        self._intake = Intake(
            config=config,
            records=records,
            service=service,
            say=self._start_saying,
            erase=self._start_erasing,
            clock=clock,
        )
        self._api: XApi | None = None
        self._login: _Login | None = None
        self._outbox: Outbox | None = None
        self._tasks = Tasks()
        self._postings: dict[int, asyncio.Task[None]] = {}
        self._erasing_ids: set[int] = set()
        self._has_work = asyncio.Event()
        self._is_resumed = False
        self._is_ready = asyncio.Event()
        self._is_listening = False
        self._is_closed = False

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "ready" if self._outbox else "not started"
        return f"<XAdapter {state}, {len(self._postings)} replies under way>"

    @property
    def is_connected(self) -> bool:
        """Whether X has accepted the keys."""
        return self._outbox is not None

    @property
    def is_listening(self) -> bool:
        """Whether mentions have been read: those from now on are answered."""
        return self._is_listening and not self._is_closed

    async def log_in(self) -> None:
        """Check the keys, so that wrong ones are told early; nothing is listened to yet.

        Raises:
            XKeysError: X does not accept the keys.
            StoreError: The database failed.
        """
        self._login = await self._show_keys()

    async def start(self) -> None:
        """Check the keys, unless ``log_in`` did, and begin to listen.

        If X cannot be reached just now, the check is repeated in the background: the other
        platforms must not wait for it.

        Raises:
            XKeysError: X does not accept the keys.
            StoreError: The database failed.
        """
        api, gates, me = self._login or await self._show_keys()
        if me is None:
            self._tasks.start(self._connect_later(api, gates), name="x connect")
        else:
            self._listen(api, gates, me)

    async def close(self) -> None:
        """Stop listening and posting. What was not posted is for the next start."""
        self._is_closed = True
        self._is_ready.set()
        await self._tasks.close()
        postings = tuple(self._postings.values())
        for posting in postings:
            posting.cancel()
        await asyncio.gather(*postings, return_exceptions=True)
        if self._outbox is not None:
            await self._outbox.close()
        if self._api is not None:
            await self._api.close()

    # --- listening

    async def _show_keys(self) -> _Login:
        post_times = await self._records.attempts.times(since=self._clock() - timedelta(hours=3))
        gates = Gates(
            self._config,
            self._records,
            self._cursors,
            clock=self._clock,
            sleep=self._sleep,
            post_times=post_times,
        )
        self._api = api = self._connect()
        try:
            return _Login(api, gates, await self._who_am_i(api, gates))
        except (CredentialsError, DeclinedError) as error:
            await api.close()
            raise XKeysError(sentences.x_keys_refused(str(error))) from error
        except PausedError as error:
            _log.warning("x not reached yet reason=%s", error)
            return _Login(api, gates, None)

    async def _who_am_i(self, api: XApi, gates: Gates) -> Account:
        """Ask whose keys these are; if X may not be asked, believe its last answer."""
        if not await gates.account.is_open():
            stored = await self._cursors.read_cursor(_ACCOUNT)
            if stored is None:
                raise PausedError("X may not be asked yet", retry_at=self._clock())
            account_id, _, username = stored.partition(" ")
            return Account(id=account_id, username=username)
        return await self._asked(api, gates.account.try_once)

    async def _asked(self, api: XApi, gate: Through) -> Account:
        me = await gate(api.who_am_i)
        await self._cursors.write_cursor(_ACCOUNT, f"{me.id} {me.username}")
        return me

    async def _connect_later(self, api: XApi, gates: Gates) -> None:
        self._listen(api, gates, await self._asked(api, gates.account.call))

    def _listen(self, api: XApi, gates: Gates, me: Account) -> None:
        looks = Looks(
            api,
            account_id=me.id,
            gate=gates.looks,
            records=self._records,
            prices=self._config.prices,
            clock=self._clock,
        )
        self._outbox = Outbox(
            api,
            config=self._config,
            records=self._records,
            gates=gates,
            looks=looks,
            clock=self._clock,
            sleep=self._sleep,
        )
        poll = MentionPoll(
            api,
            me=me,
            config=self._config,
            records=self._records,
            gates=gates,
            clock=self._clock,
        )
        self._is_ready.set()
        self._has_work.set()
        self._tasks.start(self._work_forever(), name="x work")
        self._tasks.start(self._poll_forever(poll), name="x mentions")
        if self._config.sweep_interval_s:
            self._tasks.start(self._sweeping(looks), name="x sweep")
        _log.info("x listening account_id=%s", me.id)

    async def _sweeping(self, looks: Looks) -> None:
        await sweep_forever(
            self._records,
            looks,
            interval_s=self._config.sweep_interval_s,
            clock=self._clock,
            sleep=self._sleep,
        )

    async def _poll_forever(self, poll: MentionPoll) -> None:
        while True:
            polled = await self._polled(poll)
            self._is_listening |= polled is not None
            self._has_work.set()
            await self._sleep(poll.interval_s(polled))

    async def _polled(self, poll: MentionPoll) -> Polled | None:
        """Poll once; after any failure the next poll reads the same mentions again."""
        try:
            return await poll.poll_once()
        except UnreadablePostError as error:
            _log.error(
                "x answers nothing because posts arrive without a field missing_field=%s", error
            )
        except (XApiError, IncompleteWalkError) as error:
            _log.warning("x poll declined reason=%s", error)
        except Exception:  # noqa: BLE001 (one step of a background task that must go on)
            _log.exception("x poll failed")
        return None

    async def _work_forever(self) -> None:
        """Look at stored mentions whenever there may be some and room for them."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            try:
                if not self._is_resumed:
                    await self._intake.resume()
                    self._is_resumed = True
                await self._intake.take_up()
            except NOT_NOW as error:
                self._is_resumed = False  # something may have been left half-way
                _log.info("x mentions wait reason=%s", type(error).__name__)
            except Exception:  # noqa: BLE001 (as above)
                self._is_resumed = False
                _log.exception("x mentions wait")

    # --- sentences and deletions, which no job stands behind

    def _start_saying(self, root_id: int) -> None:
        self._tasks.start(self._say(root_id), name=f"x say {root_id}")

    async def _say(self, root_id: int) -> None:
        try:
            await self._post(root_id, None)
        except DeliveryError as error:  # there is nobody left to tell
            _log.info("x sentence not said root_id=%d reason=%s", root_id, error)

    def _start_erasing(self, root_id: int) -> None:
        if root_id not in self._erasing_ids:
            self._erasing_ids.add(root_id)
            self._tasks.start(self._erase(root_id), name=f"x erase {root_id}")

    async def _erase(self, root_id: int) -> None:
        try:
            mention = await self._records.mentions.mention(root_id)
            if mention is not None and self._outbox is not None:
                await self._outbox.erase(mention)
                self._has_work.set()
        finally:
            self._erasing_ids.discard(root_id)

    # --- from the service to the reply

    async def show_progress(self, job: Job, event: Progress) -> None:
        """Do nothing, not even for a preview: on X every word is a post of its own."""

    async def deliver(self, job: Job, drawn: Drawn) -> None:
        """Reply to the mention with the grid of pictures.

        Raises:
            DeliveryError: The bot is closing; the next start finds out what became of it.
            UndeliverableError: X will not take it.
        """
        root_id = await self._adopted(job)
        await self._records.mentions.begin_drawing(root_id, now=self._clock())
        picture_count = len(drawn.pictures)
        prompt = job.submission.request.prompt
        answer = Answer(
            picture=for_timeline(drawn.grid_png),
            alt_text=sentences.x_alt_text(prompt, picture_count, limit_chars=MAX_ALT_TEXT_CHARS),
            sentence=sentences.x_answer(picture_count),
            is_sensitive=job.submission.is_soft or drawn.verdict is not Verdict.SAFE,
        )
        await self._post(root_id, answer)

    async def apologise(self, job: Job, error: Exception) -> None:
        """Reply to the mention with a sentence, unless pictures arrived there after all.

        If the engine had no room, say nothing and let the mention wait for its next turn.

        Raises:
            DeliveryError: The bot is closing; the next start says it.
            UndeliverableError: X will not take it.
        """
        root_id = await self._adopted(job)
        if isinstance(error, EngineBusyError):
            await self._send_back(root_id, error)
            return
        mention = await self._records.mentions.mention(root_id)
        if mention is None or mention.state not in OPEN:
            return
        await self._records.mentions.say(root_id, self._intake.explain(error), now=self._clock())
        await self._post(root_id, None)

    async def postpone(self, job: Job) -> None:
        """Say nothing: one reply to a mention is all that X allows, and it will come."""

    async def cancelled(self, job: Job) -> None:
        """Say nothing: nobody waits at X for being told that an admin gave their mention up."""

    async def _send_back(self, root_id: int, error: EngineBusyError) -> None:
        now = self._clock()
        not_before = now + timedelta(seconds=error.retry_after_s)
        await self._records.mentions.send_back(
            root_id, not_before=not_before, now=now, is_new_round=True
        )
        self._tasks.start(self._wake_in(error.retry_after_s), name=f"x wake {root_id}")

    async def _wake_in(self, seconds: float) -> None:
        await self._sleep(seconds)
        self._has_work.set()

    async def _adopted(self, job: Job) -> int:
        """Return the mention of a job; one from before there were records gets its own."""
        address = job.submission.address
        root_id = int(str(address["root_id"]))
        if await self._records.mentions.mention(root_id) is None:
            new = NewMention(
                root_id=root_id,
                latest_id=int(str(address["mention_id"])),
                author_id=job.submission.person.id,
                conversation_id=str(root_id),
                answers_id=None,
                prompt=job.submission.request.prompt,
                command=None,
                ignored_because=None,
            )
            is_in_doubt = job.attempt_count > 0
            await self._records.mentions.adopt(new, is_in_doubt=is_in_doubt, now=self._clock())
        return root_id

    async def _post(self, root_id: int, answer: Answer | None) -> None:
        """Post in a task of our own, one for each mention, so that ``close`` can end it."""
        await self._is_ready.wait()
        if self._is_closed or self._outbox is None:
            raise DeliveryError("the bot is closing")
        posting = self._postings.get(root_id)
        if posting is None:
            work = self._outbox.post(root_id, answer)
            posting = asyncio.create_task(work, name=f"x post {root_id}")
            self._postings[root_id] = posting
            posting.add_done_callback(lambda done: self._end_posting(root_id, done))
        await asyncio.wait({posting})
        if posting.cancelled():
            raise DeliveryError("the bot is closing")
        posting.result()

    def _end_posting(self, root_id: int, posting: asyncio.Task[None]) -> None:
        del self._postings[root_id]
        error = None if posting.cancelled() else posting.exception()
        if error is None or isinstance(error, UndeliverableError):
            self._has_work.set()
            return
        self._is_resumed = False  # the work that follows the next poll takes it up again
        _log.error("x post failed root_id=%d", root_id, exc_info=error)
