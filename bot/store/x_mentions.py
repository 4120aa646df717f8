"""Where each mention on X stands. One use case, one transaction, one method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from bot.store import x_statements as sql
from bot.store.x_states import (
    OPEN,
    MentionState,
)
from bot.store.x_tables import x_mentions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.database import Database
    from bot.store.x_states import MentionRecord, NewMention


class XMentions:
    """Moves mentions that nobody has posted anything for.

    Every method may raise ``StoreError``: the database failed, or a mention was moved that
    is not where the caller believes; the transaction was undone.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def mention(self, root_id: int) -> MentionRecord | None:
        """One mention with its live attempt."""

        async def use_case(connection: AsyncConnection) -> MentionRecord | None:
            return await sql.mention(connection, root_id)

        return await self._database.read(use_case)

    async def in_states(self, states: Iterable[MentionState]) -> list[MentionRecord]:
        """All mentions in these states, oldest first."""

        async def use_case(connection: AsyncConnection) -> list[MentionRecord]:
            rows = await connection.execute(sql.in_states_query(sorted(states)))
            return [sql.record_of(row) for row in rows]

        return await self._database.read(use_case)

    async def next_seen(self, max_under_way: int, *, now: datetime) -> list[MentionRecord]:
        """The mentions to look at next, fair among authors, while there is room for them."""

        async def use_case(connection: AsyncConnection) -> list[MentionRecord]:
            under_way_count = await connection.scalar(sql.UNDER_WAY_COUNT) or 0
            room = max_under_way - under_way_count
            if room <= 0:
                return []
            values = {"now": now, "recent": now - sql.RECENT, "room": room}
            rows = await connection.execute(sql.NEXT_SEEN, values)
            return [sql.record_of(row) for row in rows]

        return await self._database.read(use_case)

    async def decide(
        self,
        root_id: int,
        to: MentionState,
        *,
        now: datetime,
        reason: str | None = None,
        sentence: str | None = None,
        erase_id: int | None = None,
    ) -> None:
        """Move a mention after it was looked at."""

        async def use_case(connection: AsyncConnection) -> None:
            await sql.move(
                connection, root_id, to, now, reason=reason, sentence=sentence, erase_id=erase_id
            )

        await self._database.write(use_case)

    async def begin_drawing(self, root_id: int, *, now: datetime) -> None:
        """Note that the service gets it; does nothing if it is not waiting for that."""

        async def use_case(connection: AsyncConnection) -> None:
            await connection.execute(
                x_mentions.update()
                .where(x_mentions.c.root_id == root_id, x_mentions.c.state == MentionState.SEEN)
                .values(state=MentionState.DRAWING, updated_at=now)
            )

        await self._database.write(use_case)

    async def send_back(
        self, root_id: int, *, not_before: datetime, now: datetime, is_new_round: bool = False
    ) -> None:
        """Put a mention back into the line.

        Args:
            root_id: The mention.
            not_before: When to look at it again.
            now: The present.
            is_new_round: The service has used up its event: the next needs another id.
        """

        async def use_case(connection: AsyncConnection) -> None:
            waiting = [MentionState.SEEN, MentionState.DRAWING]
            await connection.execute(
                x_mentions.update()
                .where(x_mentions.c.root_id == root_id, x_mentions.c.state.in_(waiting))
                .values(
                    state=MentionState.SEEN,
                    updated_at=now,
                    not_before=not_before,
                    round_count=x_mentions.c.round_count + int(is_new_round),
                )
            )

        await self._database.write(use_case)

    async def say(self, root_id: int, sentence: str, *, now: datetime) -> None:
        """Say ``sentence`` instead of pictures; of an attempt in doubt, if it is not out."""

        async def use_case(connection: AsyncConnection) -> None:
            state = (await sql.known_mention(connection, root_id)).state
            if state in {MentionState.SEEN, MentionState.DRAWING}:
                await sql.move(connection, root_id, MentionState.SAYING, now, sentence=sentence)
            elif state in OPEN:
                await connection.execute(
                    x_mentions.update()
                    .where(x_mentions.c.root_id == root_id, x_mentions.c.sentence.is_(None))
                    .values(sentence=sentence, updated_at=now)
                )

        await self._database.write(use_case)

    async def count_in_conversation(self, mention: MentionRecord) -> int:
        """How many mentions of its author in its conversation, up to it, were not ignored."""
        query = (
            select(func.count())
            .select_from(x_mentions)
            .where(
                x_mentions.c.author_id == mention.author_id,
                x_mentions.c.root_id <= mention.root_id,
                x_mentions.c.conversation_id == mention.conversation_id,
                x_mentions.c.state != MentionState.IGNORED,
            )
        )

        async def use_case(connection: AsyncConnection) -> int:
            return await connection.scalar(query) or 0

        return await self._database.read(use_case)

    async def answer_to_erase(self, author_id: str, answers_id: int | None) -> int | None:
        """The reply that an author may mean: the one they reply to, else their newest."""
        by_author = select(x_mentions.c.reply_id, x_mentions.c.root_id).where(
            x_mentions.c.author_id == author_id,
            x_mentions.c.state == MentionState.SENT,
            x_mentions.c.reply_id.is_not(None),
        )

        async def use_case(connection: AsyncConnection) -> int | None:
            rows = (
                await connection.execute(by_author.order_by(x_mentions.c.root_id.desc()).limit(200))
            ).all()
            meant = [row.reply_id for row in rows if answers_id in {row.reply_id, row.root_id}]
            return next(iter([*meant, *(row.reply_id for row in rows)]), None)

        return await self._database.read(use_case)

    async def adopt(self, mention: NewMention, *, is_in_doubt: bool, now: datetime) -> None:
        """Take over a job from before there were these tables; does nothing if it is known.

        Args:
            mention: What the job's address tells.
            is_in_doubt: A reply may be out.
            now: The present.
        """

        async def use_case(connection: AsyncConnection) -> None:
            if not await sql.keep_mention(connection, mention, now):
                return
            await sql.move(connection, mention.root_id, MentionState.DRAWING, now)
            if is_in_doubt:
                known = await sql.known_mention(connection, mention.root_id)
                await sql.insert_attempt(connection, known, "", "", now)
                await sql.move(connection, mention.root_id, MentionState.POSTING, now)

        await self._database.write(use_case)

    async def state_counts(self) -> dict[str, int]:
        """How many mentions are in each state."""
        query = select(x_mentions.c.state, func.count()).group_by(x_mentions.c.state)

        async def use_case(connection: AsyncConnection) -> dict[str, int]:
            rows = await connection.execute(query)
            return {row[0]: row[1] for row in rows}

        return await self._database.read(use_case)
