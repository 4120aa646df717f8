"""Attempts to post a reply. One use case, one transaction, one method."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import select

from bot.store import x_statements as sql
from bot.store.quotas import day_of
from bot.store.x_states import (
    WAITING_TO_POST,
    AttemptOutcome,
    Media,
    MentionState,
)
from bot.store.x_tables import x_attempts, x_mentions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.database import Database
    from bot.store.x_states import Cost

NO_LIMIT: Final = 0


class Begun(NamedTuple):
    """What became of the wish to begin an attempt.

    Attributes:
        is_begun: The attempt is committed: the reply may be posted.
        is_over_budget: The day's money does not cover it; nothing was changed.
    """

    is_begun: bool
    is_over_budget: bool = False


class XAttempts:
    """Begins attempts and notes how they went on.

    Every method may raise ``StoreError``: the database failed, or a mention was moved that
    is not where the caller believes; the transaction was undone.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(
        self,
        root_id: int,
        text: str,
        cost: Cost,
        *,
        give_up_at: datetime,
        limit_micros: int,
        now: datetime,
    ) -> Begun:
        """Commit that a reply is about to be posted, and what it costs.

        Nothing is begun if the mention does not wait for it, if its author has opted out or
        if it is too late; the state then says so.
        """

        async def use_case(connection: AsyncConnection) -> Begun:
            mention = await sql.known_mention(connection, root_id)
            if mention.state not in WAITING_TO_POST:
                return Begun(is_begun=False)
            known = await sql.person(connection, mention.author_id)
            if known is not None and known.opted_out_at is not None:
                await sql.move(connection, root_id, MentionState.OPTED_OUT, now)
                return Begun(is_begun=False)
            if now >= give_up_at:
                await sql.move(connection, root_id, MentionState.EXPIRED, now)
                return Begun(is_begun=False)
            spent = await sql.spent_micros(connection, day_of(now))
            if limit_micros != NO_LIMIT and spent + cost.micros > limit_micros:
                return Begun(is_begun=False, is_over_budget=True)
            sha256 = hashlib.sha256(text.encode()).hexdigest()
            await sql.insert_attempt(connection, mention, text, sha256, now)
            await sql.move(connection, root_id, MentionState.POSTING, now)
            await sql.spend(connection, cost, day_of(now))
            return Begun(is_begun=True)

        return await self._database.write(use_case)

    async def earlier_text(self, root_id: int) -> str | None:
        """The text of the last attempt that may have gone out: a later one repeats it."""
        query = (
            select(x_attempts.c.text)
            .where(x_attempts.c.root_id == root_id, x_attempts.c.outcome == AttemptOutcome.ABSENT)
            .order_by(x_attempts.c.number.desc())
            .limit(1)
        )

        async def use_case(connection: AsyncConnection) -> str | None:
            return await connection.scalar(query)

        return await self._database.read(use_case)

    async def sent(self, root_id: int, reply_id: int, *, now: datetime) -> None:
        """Note that the reply is out."""

        async def use_case(connection: AsyncConnection) -> None:
            await sql.change_live_attempt(connection, root_id, outcome=AttemptOutcome.SENT)
            await sql.move(connection, root_id, MentionState.SENT, now, reply_id=reply_id)

        await self._database.write(use_case)

    async def doubt(self, root_id: int, *, next_look_at: datetime, now: datetime) -> None:
        """Note that nobody knows whether the reply is out."""

        async def use_case(connection: AsyncConnection) -> None:
            await sql.change_live_attempt(
                connection,
                root_id,
                outcome=AttemptOutcome.UNKNOWN,
                doubted_at=now,
                next_look_at=next_look_at,
            )
            await sql.move(connection, root_id, MentionState.UNKNOWN, now)

        await self._database.write(use_case)

    async def looked(self, root_id: int, *, next_look_at: datetime) -> None:
        """Note a search of the own posts that did not find the reply."""

        async def use_case(connection: AsyncConnection) -> None:
            await sql.change_live_attempt(
                connection,
                root_id,
                look_count=x_attempts.c.look_count + 1,
                next_look_at=next_look_at,
            )

        await self._database.write(use_case)

    async def absent(self, root_id: int, *, is_last_try: bool, now: datetime) -> None:
        """Note that the reply is not out, after the last search; let it be tried again."""

        async def use_case(connection: AsyncConnection) -> None:
            await sql.change_live_attempt(connection, root_id, outcome=AttemptOutcome.ABSENT)
            tried = {"try_count": x_mentions.c.try_count + 1}
            if is_last_try:
                await sql.move(
                    connection, root_id, MentionState.DEAD, now, reason="in_doubt", **tried
                )
            else:
                await sql.back_to_waiting(connection, root_id, now, **tried)

        await self._database.write(use_case)

    async def withdraw(
        self,
        root_id: int,
        cost: Cost,
        *,
        now: datetime,
        not_before: datetime | None = None,
        latest_id: int | None = None,
        is_a_try: bool = False,
    ) -> None:
        """Note that X took nothing and may be asked again.

        Args:
            root_id: The mention.
            cost: What was reserved for the attempt.
            now: The present.
            not_before: When to ask again at the earliest.
            latest_id: The version to reply to from now on.
            is_a_try: Count it towards giving up.
        """

        async def use_case(connection: AsyncConnection) -> None:
            await sql.change_live_attempt(connection, root_id, outcome=AttemptOutcome.REFUSED)
            await sql.spend(connection, cost, day_of(now))
            changes = {} if latest_id is None else {"latest_id": latest_id}
            await sql.back_to_waiting(
                connection,
                root_id,
                now,
                not_before=not_before,
                try_count=x_mentions.c.try_count + int(is_a_try),
                **changes,
            )

        await self._database.write(use_case)

    async def reject(
        self,
        root_id: int,
        to: MentionState,
        reason: str,
        cost: Cost,
        *,
        now: datetime,
        blocked_until: datetime | None = None,
    ) -> None:
        """Note that X will never take a reply to this mention.

        Args:
            root_id: The mention.
            to: Its final state.
            reason: What kind of no it was.
            cost: What was reserved for the attempt, negative.
            now: The present.
            blocked_until: Ignore its author until then.
        """

        async def use_case(connection: AsyncConnection) -> None:
            await sql.change_live_attempt(connection, root_id, outcome=AttemptOutcome.REFUSED)
            await sql.spend(connection, cost, day_of(now))
            await sql.move(connection, root_id, to, now, reason=reason)
            if blocked_until is not None:
                author_id = (await sql.known_mention(connection, root_id)).author_id
                await sql.note_person(connection, author_id, blocked_until=blocked_until)

        await self._database.write(use_case)

    async def keep_media(self, root_id: int, media: Media | None) -> None:
        """Remember the picture that X keeps for the reply."""

        async def use_case(connection: AsyncConnection) -> None:
            await connection.execute(
                x_mentions.update()
                .where(x_mentions.c.root_id == root_id)
                .values(
                    media_id=media and media.id,
                    media_expires_at=media and media.expires_at,
                    is_described=bool(media and media.is_described),
                )
            )

        await self._database.write(use_case)

    async def absent_since(self, moment: datetime) -> list[tuple[int, datetime]]:
        """Attempts begun since ``moment`` that no look found: mention and beginning of each."""
        query = select(x_attempts.c.root_id, x_attempts.c.started_at).where(
            x_attempts.c.started_at >= moment, x_attempts.c.outcome == AttemptOutcome.ABSENT
        )

        async def use_case(connection: AsyncConnection) -> list[tuple[int, datetime]]:
            rows = await connection.execute(query)
            return [(row.root_id, row.started_at) for row in rows]

        return await self._database.read(use_case)

    async def times(self, *, since: datetime) -> list[datetime]:
        """When attempts were begun, oldest first."""
        query = (
            select(x_attempts.c.started_at)
            .where(x_attempts.c.started_at >= since)
            .order_by(x_attempts.c.started_at)
        )

        async def use_case(connection: AsyncConnection) -> Sequence[datetime]:
            return (await connection.scalars(query)).all()

        return list(await self._database.read(use_case))
