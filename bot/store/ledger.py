"""The accounts as one transaction sees them: locked, read, changed in memory, written back.

Whoever changes an account locks the bot's own row first. So changes come one after the
other, in this process and in others, what was read stays true until it is written, and two
transactions never wait for each other's rows.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select

from bot.jobs import JobState, Scope
from bot.store import lines, quotas
from bot.store.inserts import insert_into
from bot.store.rows import (
    BOT_ACCOUNT,
    AccountId,
    Holder,
    account_id,
    accounts_of,
    holder_of,
    holder_values,
    line_of,
    new_holder,
)
from bot.store.tables import HAS_WAITING, accounts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sqlalchemy import Row
    from sqlalchemy.dialects import postgresql, sqlite
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.jobs import Person, Platform, Submission
    from bot.store.quotas import Rules


class Ledger:
    """Accounts in the hands of one transaction; ``open`` it first, ``write`` it last."""

    def __init__(self, connection: AsyncConnection, bot: Holder) -> None:
        self._connection = connection
        self._holders: dict[AccountId, Holder] = {bot.id: bot}
        self._changed: set[AccountId] = set()

    @classmethod
    async def open(cls, connection: AsyncConnection) -> Ledger:
        """Keep everybody else from changing accounts until the transaction ends."""
        return cls(connection, holder_of((await connection.execute(_LOCK_BOT)).one()))

    @classmethod
    async def peek(cls, connection: AsyncConnection) -> Ledger:
        """Look at accounts that are not going to be changed."""
        return cls(connection, holder_of((await connection.execute(_BOT)).one()))

    @property
    def open_count(self) -> int:
        """Jobs of everybody whose pictures are still to come."""
        return self._holders[BOT_ACCOUNT].account.open_count

    @property
    def open_picture_count(self) -> int:
        """Pictures of everybody that are still to come."""
        return self._holders[BOT_ACCOUNT].account.open_picture_count

    async def load(self, ids: Iterable[AccountId]) -> None:
        """Read these accounts, so that ``holder`` knows them."""
        missing = set(ids) - self._holders.keys()
        if missing:
            for row in await self._connection.execute(HOLDERS, {"ids": list(missing)}):
                self._holders[AccountId(row.id)] = holder_of(row)

    def holder(self, id_: AccountId, platform: str, now: datetime) -> Holder:
        """The account as it is now; a new one if it never was written."""
        return self._holders.get(id_) or new_holder(id_, platform, now)

    def put(self, holder: Holder) -> None:
        """Change an account, to be written later."""
        self._holders[holder.id] = holder
        self._changed.add(holder.id)

    async def write(self) -> None:
        """Write all that was changed."""
        if not self._changed:
            return
        values = [holder_values(self._holders[id_]) for id_ in sorted(self._changed)]
        await self._connection.execute(_upsert(self._connection.dialect.name), values)
        self._changed.clear()

    # ------------------------------------------------------------------ what happens to jobs

    def take(self, submission: Submission, rules: Rules, now: datetime, *, is_to_wait: bool) -> int:
        """Take the pictures of a new job from all its accounts and return its turn.

        Raises:
            OverQuotaError: A limit does not cover them; nothing was changed.
        """
        person, community = submission.person, submission.community
        limits = self.limits(person, community, submission.tiers, rules, now)
        taken: list[Holder] = []
        for scope, id_ in accounts_of(person, community).items():
            before = self.holder(id_, _platform_of(scope, person.platform), now)
            count = submission.request.picture_count
            account = quotas.take(before.account, limits[scope], count, now, scope)
            taken.append(replace(before, account=account))
        turn = self._turn(person, community, now)
        for holder in taken:
            self.put(holder)
        if is_to_wait:
            self._join(person, community, now)
        return turn

    def limits(
        self,
        person: Person,
        community: str | None,
        tiers: Collection[str],
        rules: Rules,
        now: datetime,
    ) -> dict[Scope, quotas.Limits]:
        """What holds for somebody here and now: by rules, roles and grants."""
        own = self.holder(
            account_id(Scope.PERSON, person.platform, person.id), person.platform, now
        ).tier
        place = None
        if community is not None:
            id_ = account_id(Scope.COMMUNITY, person.platform, community)
            place = self.holder(id_, person.platform, now).tier
        names = {*tiers} if own is None else {*tiers, own}
        return dict(rules.limits(person_tiers=names, community_tier=place))

    async def close(self, job_row: Row[Any], *, kept_count: int) -> None:
        """End an open job that keeps so many of its pictures; give the others back."""
        ids = _accounts_of_row(job_row)
        await self.load(ids.values())
        for id_ in ids.values():
            holder = self._holders[id_]
            account = quotas.close(
                holder.account,
                picture_count=job_row.picture_count,
                back_count=job_row.held_count - kept_count,
                paid_on=job_row.quota_day,
            )
            self.put(replace(holder, account=account))
        if is_waiting(job_row):
            line = self._holders[AccountId(job_row.line)]
            self.put(replace(line, line=lines.left(line.line)))

    def serve(self, line_id: AccountId, *, turn: int, picture_count: int) -> None:
        """Let a job leave its line to be drawn."""
        holder, bot = self._holders[line_id], self._holders[BOT_ACCOUNT]
        self.put(replace(bot, line=replace(bot.line, due=max(bot.line.due, holder.line.due))))
        line = lines.served(holder.line, turn=turn, picture_count=picture_count)
        self.put(replace(holder, line=line))

    async def next_line(self, platforms: Collection[Platform]) -> Holder | None:
        """The line whose turn it is, if anybody waits."""
        due: list[Holder] = []
        for platform in platforms:
            row = (await self._connection.execute(NEXT_LINE, {"platform": platform})).first()
            if row is not None:
                due.append(holder_of(row))
        first = min(due, key=lambda holder: (holder.line.due, holder.id), default=None)
        if first is not None:
            self._holders[first.id] = first
        return first

    def _turn(self, person: Person, community: str | None, now: datetime) -> int:
        """How far behind the others of its line the next job of somebody stands."""
        own = account_id(Scope.PERSON, person.platform, person.id)
        under_way = self.holder(own, person.platform, now).account.open_picture_count
        line = self.holder(line_of(person, community), person.platform, now).line
        return lines.turn_of(line, under_way)

    def _join(self, person: Person, community: str | None, now: datetime) -> None:
        holder = self.holder(line_of(person, community), person.platform, now)
        served_until = self._holders[BOT_ACCOUNT].line.due
        self.put(replace(holder, line=lines.joined(holder.line, served_until)))


@cache
def _upsert(dialect: str) -> sqlite.Insert | postgresql.Insert:
    """Write a row whether it is there already or not. Slow to build, so it is built once."""
    insert = insert_into(dialect, accounts)
    columns = {c.name: insert.excluded[c.name] for c in accounts.c if c.name != "id"}
    return insert.on_conflict_do_update(index_elements=["id"], set_=columns)


def is_waiting(job_row: Row[Any]) -> bool:
    """Whether the job waits in its line."""
    return job_row.state == JobState.ACCEPTED and job_row.worker is None


# What is asked for every job is put together once.
_BOT: Final = select(accounts).where(accounts.c.id == BOT_ACCOUNT)
_LOCK_BOT: Final = _BOT.with_for_update()
HOLDERS: Final = select(accounts).where(accounts.c.id.in_(bindparam("ids", expanding=True)))
"""The rows of the accounts ``ids``."""
NEXT_LINE: Final = (
    select(accounts)
    .where(accounts.c.platform == bindparam("platform"), HAS_WAITING)
    .order_by(accounts.c.due, accounts.c.id)
    .limit(1)
)
"""The line of the platform ``platform`` that is due first."""


def _accounts_of_row(job_row: Row[Any]) -> dict[Scope, AccountId]:
    ids = {
        Scope.PERSON: account_id(Scope.PERSON, job_row.platform, job_row.person_id),
        Scope.BOT: BOT_ACCOUNT,
    }
    if job_row.community is not None:
        ids[Scope.COMMUNITY] = account_id(Scope.COMMUNITY, job_row.platform, job_row.community)
    return ids


def _platform_of(scope: Scope, platform: Platform) -> str:
    return "" if scope is Scope.BOT else platform
