"""Random histories of the X adapter: people, bad days, deaths of the process.

One history runs the product's own code (adapter, intake, outbox, gates, SQL) against an X in
memory, in a loop whose time jumps. Around every transaction, every call to X and every change
of a job lies a *point*; at the point that the plan names, the process dies: nothing of it runs
any more. Then the next process starts on the same database.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import select

from bot.store import Store
from bot.store.tables import cursors
from bot.store.x_states import OPEN, MentionState
from bot.store.x_tables import x_attempts, x_mentions, x_people
from bot.x.adapter import XAdapter
from bot.x.config import XConfig
from bot.x.outbox import MAX_ALT_TEXT_TRIES
from engine.api import DrawingFailedError, EngineBusyError
from tests.support.virtual_time import VirtualLoop, run_virtually
from tests.support.x_desk import Desk, Ledger
from tests.support.x_memory import MemoryApi
from tests.support.x_world import (
    CREATE,
    DELETE,
    LOOKUP,
    ME,
    MENTIONS,
    METADATA,
    OWN_POSTS,
    SEARCH,
    UPLOAD,
    Fault,
    XWorld,
    late,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.store.database import Database
    from tests.support.inline_database import InlineDatabase
    from tests.support.x_posts import StoredPost

_STILL_OPEN = select(x_mentions.c.root_id).where(x_mentions.c.state.in_(sorted(OPEN)))
NEVER = 1 << 60
MIDNIGHT = datetime(2026, 6, 10, tzinfo=UTC)
LOOK_EVERY_S = 45.0
HORIZON_S = 80 * 3600.0
# What people write; none of it may come back in a reply.
WORDS = "a zebra {n} for #friends, see https://example.com/{n} or $TSLA"
SECRETS = ("zebra", "friends", "example", "TSLA")
AUTHORS = ("ada", "bob", "eve")


@dataclass(frozen=True, slots=True)
class Event:
    """What a person does at a time; ``which`` says to which earlier post."""

    at_s: int
    kind: str
    which: int


@dataclass(frozen=True, slots=True)
class BadCall:
    """The next call of this kind goes wrong from that time on."""

    at_s: int
    call: str
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A history before it happens.

    Attributes:
        deaths: At which point each process dies; the one after the last lives on.
        down_s: For how long there is no process after a death.
        errors: What the next drawings end with: "busy" or "failed".
    """

    events: Sequence[Event]
    bad_calls: Sequence[BadCall] = ()
    deaths: Sequence[int] = ()
    down_s: int = 30
    errors: Sequence[str] = ()
    mention_lag_s: int = 0
    own_lag_s: int = 0
    page_size: int = 100
    reachable_count: int = 800
    has_stuck_tokens: bool = False
    uses_new_names: bool = False
    forbids_duplicates: bool = False
    daily_usd: float = 0.0
    posts_per_15_min: int = 100
    starts_s_before_midnight: int = 600


@dataclass(slots=True)
class Tally:
    """What many histories came to.

    "not wanted" are mentions that their own author took back or forbade to answer, or that
    were made before the bot first looked; "given up" after three attempts in doubt or a day
    without money.
    """

    counts: Counter[str] = field(default_factory=Counter[str])

    def __str__(self) -> str:
        names = (
            *("histories", "mentions", "answered", "not wanted", "given up", "doubles", "lost"),
            *("faults", "deaths"),
        )
        return ", ".join(f"{name} {self.counts[name]:,}" for name in names)


class Fuse:
    """Counts the points that a process passes, and lets it die at one of them."""

    def __init__(self, burns_at: int) -> None:
        self._left_count = burns_at
        self.is_burned = asyncio.Event()

    def burn(self) -> None:
        """Let the process die now."""
        self._left_count = 0
        self.is_burned.set()

    async def point(self) -> None:
        self._left_count -= 1
        if self._left_count > 0:
            await asyncio.sleep(0)  # whatever else is ready goes first
            return
        if self.is_burned.is_set():
            raise asyncio.CancelledError  # what runs on while the body is carried away
        self.is_burned.set()
        await asyncio.Event().wait()


class FusedDatabase:
    """A database with a point before and after each transaction."""

    def __init__(self, database: InlineDatabase, fuse: Fuse) -> None:
        self._database = database
        self._fuse = fuse
        self.url = database.url

    async def read(self, use_case: Any) -> Any:
        return await self._passing(self._database.read(use_case))

    async def write(self, use_case: Any) -> Any:
        return await self._passing(self._database.write(use_case))

    async def _passing(self, transaction: Any) -> Any:
        try:
            await self._fuse.point()
        except BaseException:
            transaction.close()
            raise
        result = await transaction
        await self._fuse.point()
        return result


class History:
    """One plan, lived through. Afterwards ``problems`` says what was wrong."""

    def __init__(self, plan: Plan, database: InlineDatabase, loop: VirtualLoop) -> None:
        self.plan = plan
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self._database = database
        self._clock = loop.present
        self._ledger = Ledger()
        self._ledger.errors.extend(_ERRORS[name]() for name in plan.errors)
        self.world = XWorld(clock=self._clock)
        self.world.mention_lag_s = plan.mention_lag_s
        self.world.own_lag_s = plan.own_lag_s
        self.world.reachable_count = plan.reachable_count
        self.world.has_stuck_tokens = plan.has_stuck_tokens
        self.world.uses_new_names = plan.uses_new_names
        self.world.forbids_duplicates = plan.forbids_duplicates
        self._config = XConfig(
            api_key="",
            api_secret="",
            access_token="",
            access_token_secret="",
            # Who is out of money waits for days.
            poll_interval_s=1800.0 if plan.daily_usd else 60.0,
            daily_usd=plan.daily_usd,
            posts_per_15_min=plan.posts_per_15_min,
            # Deleted posts take up places in X's timeline and are not shown. The product allows
            # for 100 of 800; in a timeline of six, any number may be missing.
            reachable_count=700 if plan.reachable_count == 800 else 0,
        )
        self._asked: list[str] = []

    async def live(self) -> None:
        people = asyncio.create_task(self._live_among_people(), name="people")
        for burns_at in self.plan.deaths:
            await self._process(burns_at, people)
            self._check_stored()
            await asyncio.sleep(self.plan.down_s)
        await self._process(NEVER, people)
        people.cancel()
        self._check_end()
        await self._check_restart_changes_nothing(people)

    # --- people and bad days

    async def _live_among_people(self) -> None:
        doings = [*self.plan.events, *self.plan.bad_calls]
        for doing in sorted(doings, key=lambda doing: doing.at_s):
            left_s = doing.at_s - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, left_s))
            if isinstance(doing, Event):
                self._do(doing)
            else:
                self.world.fail(doing.call, doing.fault)
        await asyncio.sleep(120)
        self.world.end_faults()
        self.world.has_stuck_tokens = False

    def _do(self, event: Event) -> None:
        author = AUTHORS[event.which % len(AUTHORS)]
        words = f"@imagine_bot {WORDS.format(n=len(self._asked))}"
        match event.kind:
            case "mention":
                self._asked.append(self.world.mention(author, words))
            case "burst":
                crowd = [f"crowd{number}" for number in range(6 + 2 * event.which)]
                self._asked += [self.world.mention(name, words) for name in crowd]
            case "tag":
                self.world.tag_in_photo(author, "look at this")
            case "block":
                self.world.blockers.add(author)
            case "protect":
                self.world.protected.add(author)
            case "suspend":
                self.world.suspended.add(author)
            case "stop" | "start" | "help" | "delete":
                self.world.mention(author, f"@imagine_bot {event.kind}")
            case _ if self._asked:
                self._do_to(event.kind, author, self._asked[event.which % len(self._asked)])
            case _:
                pass

    def _do_to(self, kind: str, author: str, earlier: str) -> None:
        """Do something to a mention that was made before."""
        replies = self.world.replies_to(earlier)
        is_there = not self.world.posts[int(earlier)].is_deleted
        match kind:
            case "implicit" if replies and not replies[0].is_deleted:
                self.world.reply(author, "thanks, zebra", to=str(replies[0].id))
            case "retweet":
                self.world.retweet(author, earlier)
            case "show" if replies and not replies[0].is_deleted:
                self.world.quote(author, "look, a zebra", of=str(replies[0].id))
            case "quote" if is_there:
                words = f"@imagine_bot {WORDS.format(n=len(self._asked))}"
                self._asked.append(self.world.quote(author, words, of=earlier))
            case "edit" if is_there:
                self.world.edit(earlier, "@imagine_bot a better zebra")
            case "vanish":
                self.world.delete(earlier)
            case "restrict":
                self.world.posts[int(earlier)].is_restricted = True
            case _:
                pass

    # --- one life of the process

    async def _process(self, burns_at: int, people: asyncio.Task[None]) -> None:
        fuse = Fuse(burns_at)
        database = cast("Database", FusedDatabase(self._database, fuse))
        store = Store(database)
        desk = Desk(self._ledger, clock=self._clock, point=fuse.point)
        adapter = XAdapter(
            self._config,
            desk,
            store,
            store.x,
            clock=self._clock,
            connect=lambda: MemoryApi(self.world, fuse.point, page_size=self.plan.page_size),
        )
        desk.delivery = adapter
        desk.start()
        life = asyncio.create_task(adapter.start(), name="start")
        ended = asyncio.create_task(self._until_all_is_over(people), name="over")
        dead = asyncio.create_task(fuse.is_burned.wait(), name="dead")
        await asyncio.wait({ended, dead}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            ended.result()
        self.counts["deaths"] += fuse.is_burned.is_set()
        await self._carry_away({people}, fuse)
        self._forgive_what_was_not_heard()
        if life.done() and not life.cancelled() and life.exception() is not None:
            self.problems.append(f"the start failed: {life.exception()!r}")

    def _forgive_what_was_not_heard(self) -> None:
        """Who died before noting a rate limit cannot keep it: the next process is not told."""
        noted = {row.name: row.value for row in self._database.rows(select(cursors))}
        for call, until_s in list(self.world.closed_until.items()):
            value = noted.get(f"x.closed.{_GATES[call]}")
            if value is None or datetime.fromisoformat(value).timestamp() < until_s:
                del self.world.closed_until[call]

    async def _carry_away(self, alive: set[asyncio.Task[Any]], fuse: Fuse) -> None:
        """End the process without letting it do anything more."""
        fuse.burn()
        current = asyncio.current_task()
        body = [task for task in asyncio.all_tasks() - alive if task is not current]
        for task in body:
            task.cancel()
        await asyncio.gather(*body, return_exceptions=True)

    async def _until_all_is_over(self, people: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(600.0 if self.plan.daily_usd else LOOK_EVERY_S)
            if people.done() and not self._open_count() and self._is_all_stored():
                return
            if loop.time() > HORIZON_S:
                self.problems.append("I3: something is never over")
                return

    # --- what must hold

    def _mentions(self) -> dict[int, Any]:
        return {row.root_id: row for row in self._database.rows(select(x_mentions))}

    def _cursor(self, name: str) -> int:
        query = select(cursors.c.value).where(cursors.c.name == name)
        rows = self._database.rows(query)
        return int(rows[0].value) if rows else 0

    def _open_count(self) -> int:
        return len(self._database.rows(_STILL_OPEN))

    def _named(self) -> list[StoredPost]:
        """What the bot was to read: the first versions, shown and still there."""
        floor = self._cursor("x.floor")
        return [
            post
            for post in self.world.shown_mentions()
            if post.root_id > floor and not post.is_deleted
        ]

    def _is_all_stored(self) -> bool:
        rows = self._mentions()
        still_hidden = any(post.shown_at > self._clock() for post in self.world.posts.values())
        return not still_hidden and all(post.root_id in rows for post in self._named())

    def _check_stored(self) -> None:
        """I1: everything up to the cursor is in the table."""
        cursor, rows = self._cursor("x.mentions"), self._mentions()
        overlap_id = cursor - (60_000 << 22)
        for post in self._named():
            was_shown = post.shown_at < self._clock() - timedelta(seconds=1)
            if post.id <= overlap_id and was_shown and post.root_id not in rows:
                self.problems.append(f"I1: {post.root_id} is below the cursor and not stored")

    def _check_end(self) -> None:
        self._check_stored()
        self.problems += [f"I2, I6, I7, I8: {what}" for what in self._misdeeds()]
        rows = self._mentions()
        for root_id, row in rows.items():
            if MentionState(row.state) in OPEN:
                self.problems.append(f"I3: {root_id} is {row.state}")
        self._check_opt_outs(rows)
        self._check_spend()
        for post in self.world.bot_posts():
            if any(secret.casefold() in post.text.casefold() for secret in SECRETS):
                self.problems.append(f"I8: {post.text}")
        self._count_answers(rows)

    def _misdeeds(self) -> list[str]:
        """Violations, but for a picture whose words X did not take three times."""
        bad_words = [bad for bad in self.plan.bad_calls if bad.call == METADATA]
        is_excused = len(bad_words) >= MAX_ALT_TEXT_TRIES
        excused = {"a picture without alt text"} if is_excused else set[str]()
        return [what for what in self.world.violations if what not in excused]

    def _check_opt_outs(self, rows: dict[int, Any]) -> None:
        people = self._database.rows(select(x_people).where(x_people.c.opted_out_at.is_not(None)))
        stopped = {row.author_id: row.opted_out_at for row in people}
        for attempt in self._database.rows(select(x_attempts)):
            stopped_at = stopped.get(rows[attempt.root_id].author_id)
            if stopped_at is not None and attempt.started_at > stopped_at:
                self.problems.append(f"I4: {attempt.root_id} was answered after a stop")

    def _check_spend(self) -> None:
        limit = round(self.plan.daily_usd * 1_000_000)
        for day, micros in self.world.spend_micros.items():
            if limit and micros > limit:
                self.problems.append(f"I5: {micros} of {limit} spent on {day}")

    def _count_answers(self, rows: dict[int, Any]) -> None:
        self.counts["histories"] += 1
        self.counts["faults"] += self.world.fault_count
        floor = self._cursor("x.floor")
        for post_id in self._asked:
            root_id = self.world.posts[int(post_id)].root_id
            replies = self.world.replies_to(post_id)
            state = rows[root_id].state if root_id in rows else None
            self.counts["mentions"] += 1
            self.counts["answered"] += len(replies) == 1
            self.counts["doubles"] += max(0, len(replies) - 1)
            if replies:
                continue
            if root_id <= floor or self._may_go_unanswered(root_id, rows.get(root_id)):
                self.counts["not wanted"] += 1
                continue
            if root_id in rows and self._is_given_up(rows[root_id]):
                self.counts["given up"] += 1
                continue
            self.counts["lost"] += 1
            self.problems.append(f"lost: {root_id} is {state}")

    def _is_given_up(self, row: Any) -> bool:
        """It takes three attempts in doubt, or a day in which nothing could be posted."""
        if row.state == MentionState.DEAD:
            return row.try_count >= 3
        is_late = row.state == MentionState.EXPIRED or row.reason == "too_old"
        return is_late and bool(self.plan.daily_usd)

    def _may_go_unanswered(self, root_id: int, row: Any) -> bool:
        """Whether people themselves are the reason that there is no reply."""
        post = next(post for post in self.world.posts.values() if post.root_id == root_id)
        if post.is_deleted or post.author in self.world.protected | self.world.suspended:
            return True
        if row is None:
            return False
        if row.state == MentionState.REJECTED:
            return row.reason in {"blocked", "restricted", "not_permitted", "edited"}
        if row.state == MentionState.IGNORED:
            return row.reason in {"blocked", "told_today", "conversation_cap"}
        return row.state == MentionState.OPTED_OUT

    async def _check_restart_changes_nothing(self, people: asyncio.Task[None]) -> None:
        """I9: a process that starts on a finished database does nothing of its own."""
        before, call_count = self._mentions(), len(self.world.calls)
        await self._process(NEVER, people)
        done = set(self.world.calls[call_count:]) & {CREATE, UPLOAD, METADATA, DELETE}
        if done or self._mentions() != before:
            self.problems.append(f"I9: a restart led to {done or 'other records'}")


_GATES = {
    ME: "account", MENTIONS: "mentions", SEARCH: "search", OWN_POSTS: "looks", LOOKUP: "lookups",
    UPLOAD: "uploads", METADATA: "alt_texts", CREATE: "posts", DELETE: "erasures",
}  # fmt: skip

_ERRORS = {
    "busy": lambda: EngineBusyError(20.0),
    "failed": lambda: DrawingFailedError("It broke."),
}

LOST = [
    *(
        Fault(kind=kind)
        for kind in ("null", "errors", "badjson", "reset", "hang", "slow", "truncated")
    ),
    Fault(kind="html", status=502),
    Fault(kind="answer", status=503),
]
COMMITTED = [Fault(kind=fault.kind, status=fault.status, is_committed=True) for fault in LOST]
LATE = [late(fault, seconds) for fault in LOST[:3] for seconds in (10, 70, 200)]
REFUSED = [
    Fault(kind="answer", status=429, detail="Too Many Requests", reset_in_s=400.0),
    Fault(kind="answer", status=429, detail="Too Many Requests"),
    Fault(kind="answer", status=402, detail="CreditsDepleted"),
    Fault(kind="answer", status=401, detail="Unauthorized"),
    Fault(kind="answer", status=403, detail="User is over daily status update limit."),
    Fault(kind="answer", status=403, detail="You are not permitted to perform this action."),
    Fault(kind="html", status=429),
]
HARMLESS = [*LOST, *REFUSED[:4]]


def live_through(plan: Plan, database: InlineDatabase) -> History:
    """Run one history to its end."""
    logging.disable(logging.CRITICAL)
    begin = MIDNIGHT - timedelta(seconds=plan.starts_s_before_midnight)
    loop = VirtualLoop(begin=begin)
    try:
        database.clear()
        history = History(plan, database, loop)
        run_virtually(loop, history.live())
    finally:
        loop.close()
        logging.disable(logging.NOTSET)
    return history
