"""The truth about mentions on X: one use case, one transaction, one method."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import func, select

from bot.store import x_statements as sql
from bot.store.quotas import day_of
from bot.store.x_states import (
    OPEN,
    WAITING_TO_POST,
    AttemptOutcome,
    Media,
    MentionState,
    Reading,
)
from bot.store.x_tables import x_attempts, x_mentions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.database import Database
    from bot.store.x_states import Cost, Gap, MentionRecord, NewMention

NO_LIMIT: Final = 0


class Begun(NamedTuple):
    """What became of the wish to begin an attempt.

    Attributes:
        is_begun: The attempt is committed: the reply may be posted.
        is_over_budget: The day's money does not cover it; nothing was changed.
    """

    is_begun: bool
    is_over_budget: bool = False


class XRecords:
    """Mentions, attempts to answer them, gaps, people and spend, in the store's database.

    Every method may raise ``StoreError``: the database failed, or a mention was moved that
    is not where the caller believes; the transaction was undone.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- reading the timeline

    async def reading(self) -> Reading:
        """How far the mentions were read."""

        async def use_case(connection: AsyncConnection) -> Reading:
            rows = await connection.execute(sql.CURSORS)
            values = {row.name: int(row.value) for row in rows}
            return Reading(
                cursor=values.get(sql.CURSOR),
                floor=values.get(sql.FLOOR, 0),
                gap=await sql.first_gap(connection),
            )

        return await self._database.read(use_case)

    async def begin_reading(self, newest_id: int, cost: Cost, *, now: datetime) -> None:
        """Start after ``newest_id``: what is older is never answered."""

        async def use_case(connection: AsyncConnection) -> None:
            await sql.set_cursor(connection, sql.CURSOR, newest_id)
            await sql.set_cursor(connection, sql.FLOOR, newest_id)
            await sql.spend(connection, cost, day_of(now))

        await self._database.write(use_case)

    async def keep_page(
        self,
        mentions: Iterable[NewMention],
        gap: Gap,
        cost: Cost,
        *,
        is_last: bool,
        now: datetime,
    ) -> int:
        """Store a page together with how far the walk has come.

        Args:
            mentions: What the page holds.
            gap: Where the walk goes on.
            cost: What the page cost.
            is_last: The walk is complete: the gap is closed and the cursor moves to its top.
            now: The present.

        Returns:
            How many mentions were not known before.
        """

        async def use_case(connection: AsyncConnection) -> int:
            new_count = sum([await sql.keep_mention(connection, new, now) for new in mentions])
            await (sql.close_gap if is_last else sql.keep_gap)(connection, gap)
            if cost.unit_count:
                await sql.spend(connection, cost, day_of(now))
            return new_count

        return await self._database.write(use_case)

    # --- looking at mentions

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

    async def say_once_a_day(
        self, root_id: int, author_id: str, sentence: str, *, now: datetime
    ) -> bool:
        """Say ``sentence`` unless its author was told something today; whether it is said."""

        async def use_case(connection: AsyncConnection) -> bool:
            known = await sql.person(connection, author_id)
            if known is not None and known.told_on == day_of(now):
                await sql.move(connection, root_id, MentionState.IGNORED, now, reason="told_today")
                return False
            await sql.note_person(connection, author_id, told_on=day_of(now))
            await sql.move(connection, root_id, MentionState.SAYING, now, sentence=sentence)
            return True

        return await self._database.write(use_case)

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

    # --- people

    async def is_opted_out(self, author_id: str) -> bool:
        """Whether an author said "stop"."""

        async def use_case(connection: AsyncConnection) -> bool:
            known = await sql.person(connection, author_id)
            return known is not None and known.opted_out_at is not None

        return await self._database.read(use_case)

    async def is_blocked(self, author_id: str, *, now: datetime) -> bool:
        """Whether an author had blocked the account not long ago."""

        async def use_case(connection: AsyncConnection) -> bool:
            known = await sql.person(connection, author_id)
            return bool(known and known.blocked_until and known.blocked_until > now)

        return await self._database.read(use_case)

    async def opt_out(self, root_id: int, author_id: str, *, now: datetime) -> None:
        """Obey "stop": nothing of this author that waits is answered, nor anything later."""

        async def use_case(connection: AsyncConnection) -> None:
            await sql.move(connection, root_id, MentionState.DONE, now, reason="stop")
            await sql.note_person(connection, author_id, opted_out_at=now)
            await sql.drop_waiting(connection, author_id, now)

        await self._database.write(use_case)

    async def opt_in(self, root_id: int, author_id: str, *, now: datetime) -> None:
        """Obey "start": take an author's "stop" back."""

        async def use_case(connection: AsyncConnection) -> None:
            await sql.move(connection, root_id, MentionState.DONE, now, reason="start")
            await sql.note_person(connection, author_id, opted_out_at=None)

        await self._database.write(use_case)

    # --- posting

    async def begin_attempt(
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

    async def attempt_times(self, *, since: datetime) -> list[datetime]:
        """When attempts were begun, oldest first."""
        query = (
            select(x_attempts.c.started_at)
            .where(x_attempts.c.started_at >= since)
            .order_by(x_attempts.c.started_at)
        )

        async def use_case(connection: AsyncConnection) -> Sequence[datetime]:
            return (await connection.scalars(query)).all()

        return list(await self._database.read(use_case))

    # --- money

    async def spend(self, cost: Cost, *, now: datetime) -> None:
        """Note what a call costs."""

        async def use_case(connection: AsyncConnection) -> None:
            await sql.spend(connection, cost, day_of(now))

        await self._database.write(use_case)

    async def spent_micros(self, day: date) -> int:
        """What a day has cost so far, in millionths of a dollar."""

        async def use_case(connection: AsyncConnection) -> int:
            return await sql.spent_micros(connection, day)

        return await self._database.read(use_case)

    # --- the past

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
