"""The SQL of the X tables and their rows as records. Each runs in its caller's transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, and_, bindparam, case, delete, func, insert, or_, select, update

from bot.store.errors import StoreError
from bot.store.statements import insert_if_new
from bot.store.tables import cursors
from bot.store.x_states import (
    OPEN,
    UNDER_WAY,
    WAITING_TO_POST,
    Attempt,
    Gap,
    Media,
    MentionRecord,
    MentionState,
    sources_of,
)
from bot.store.x_tables import IS_LIVE, x_attempts, x_gaps, x_mentions, x_people, x_spend

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from sqlalchemy import Row, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.x_states import Cost, NewMention

CURSOR = "x.mentions"
FLOOR = "x.floor"

_LIVE_ATTEMPT = and_(x_attempts.c.root_id == x_mentions.c.root_id, IS_LIVE)
_WITH_ATTEMPT = select(
    x_mentions, *(column.label(f"attempt_{column.name}") for column in x_attempts.c)
).select_from(x_mentions.outerjoin(x_attempts, _LIVE_ATTEMPT))


# What is asked again and again is put together once.
CURSORS = select(cursors).where(cursors.c.name.in_([CURSOR, FLOOR]))
FIRST_GAP = select(x_gaps).order_by(x_gaps.c.hi_id).limit(1)
MENTION = _WITH_ATTEMPT.where(x_mentions.c.root_id == bindparam("root_id"))
UNDER_WAY_COUNT = select(func.count()).where(x_mentions.c.state.in_(sorted(UNDER_WAY)))
# Authors take turns: an author's first mention in an hour comes before anyone's second.
RECENT = timedelta(hours=1)
_served = x_mentions.alias("served")
_SERVED_COUNT = (
    select(func.count())
    .where(
        _served.c.author_id == x_mentions.c.author_id,
        _served.c.state.not_in([MentionState.SEEN, MentionState.IGNORED]),
        _served.c.updated_at > bindparam("recent"),
    )
    .correlate(x_mentions)
    .scalar_subquery()
)
_PLACE = func.row_number().over(partition_by=x_mentions.c.author_id, order_by=x_mentions.c.root_id)
NEXT_SEEN = (
    _WITH_ATTEMPT.where(
        x_mentions.c.state == MentionState.SEEN,
        or_(x_mentions.c.not_before.is_(None), x_mentions.c.not_before <= bindparam("now")),
    )
    .order_by(_PLACE + _SERVED_COUNT, x_mentions.c.root_id)
    .limit(bindparam("room", type_=Integer))
)
_PERSON = select(x_people).where(x_people.c.author_id == bindparam("author_id"))
_SPENT = select(func.sum(x_spend.c.micros)).where(x_spend.c.day == bindparam("day"))


class IllegalMentionMoveError(StoreError):
    """A mention is not in a state from which it may go there, or there is no such mention."""

    def __init__(self, root_id: int, to: MentionState) -> None:
        super().__init__(f"Mention {root_id} cannot become {to} from where it is.")


async def move(
    connection: AsyncConnection, root_id: int, to: MentionState, now: datetime, **values: Any
) -> None:
    """Move a mention if ``LEGAL_MOVES`` lets it. A final state forgets its words.

    Raises:
        IllegalMentionMoveError: It may not go there, or there is no such mention.
    """
    if to not in OPEN:
        values |= {"prompt": "", "sentence": None}
    moved = await connection.execute(
        update(x_mentions)
        .where(x_mentions.c.root_id == root_id, x_mentions.c.state.in_(sources_of(to)))
        .values(state=to, updated_at=now, **values)
    )
    if moved.rowcount != 1:
        raise IllegalMentionMoveError(root_id, to)


async def back_to_waiting(
    connection: AsyncConnection, root_id: int, now: datetime, **values: Any
) -> None:
    """Let it be posted again: what it waits with tells the state."""
    said = await connection.scalar(
        select(x_mentions.c.sentence).where(x_mentions.c.root_id == root_id)
    )
    to = MentionState.DRAWING if said is None else MentionState.SAYING
    await move(connection, root_id, to, now, **values)


async def keep_mention(connection: AsyncConnection, new: NewMention, now: datetime) -> bool:
    """Store a mention; of one that is known, note a newer version. Whether it was new."""
    state = MentionState.SEEN if new.ignored_because is None else MentionState.IGNORED
    row = {
        "root_id": new.root_id,
        "latest_id": new.latest_id,
        "author_id": new.author_id,
        "conversation_id": new.conversation_id,
        "answers_id": new.answers_id,
        "state": state,
        "reason": new.ignored_because,
        "prompt": new.prompt if state is MentionState.SEEN else "",
        "command": new.command,
        "try_count": 0,
        "round_count": 0,
        "is_described": False,
        "seen_at": now,
        "updated_at": now,
    }
    if await insert_if_new(connection, x_mentions, row):
        return True
    await _note_version(connection, new)
    return False


async def _note_version(connection: AsyncConnection, new: NewMention) -> None:
    """The newest version is replied to; its words count as long as nobody has read them."""
    is_newer = and_(x_mentions.c.root_id == new.root_id, x_mentions.c.latest_id < new.latest_id)
    is_unread = x_mentions.c.state == MentionState.SEEN
    await connection.execute(
        update(x_mentions)
        .where(is_newer, x_mentions.c.state.in_(sorted(OPEN)))
        .values(
            latest_id=new.latest_id,
            prompt=case((is_unread, new.prompt), else_=x_mentions.c.prompt),
            command=case((is_unread, new.command), else_=x_mentions.c.command),
        )
    )


async def keep_gap(connection: AsyncConnection, gap: Gap) -> None:
    """Open a gap or move it on."""
    values = {
        "lo_id": gap.lo_id,
        "next_until_id": gap.next_until_id,
        "read_count": gap.read_count,
        "is_search": gap.is_search,
    }
    if not await insert_if_new(connection, x_gaps, {"hi_id": gap.hi_id, **values}):
        await connection.execute(update(x_gaps).where(x_gaps.c.hi_id == gap.hi_id).values(values))


async def close_gap(connection: AsyncConnection, gap: Gap) -> None:
    """End a walk: everything up to its newest id is stored."""
    await connection.execute(delete(x_gaps).where(x_gaps.c.hi_id == gap.hi_id))
    cursor = await connection.scalar(select(cursors.c.value).where(cursors.c.name == CURSOR))
    if cursor is None or int(cursor) < gap.hi_id:
        await set_cursor(connection, CURSOR, gap.hi_id)


async def set_cursor(connection: AsyncConnection, name: str, value: int) -> None:
    """Write a number among the cursors."""
    row = {"name": name, "value": str(value)}
    if not await insert_if_new(connection, cursors, row):
        await connection.execute(
            update(cursors).where(cursors.c.name == name).values(value=str(value))
        )


async def first_gap(connection: AsyncConnection) -> Gap | None:
    """What an earlier walk left."""
    row = (await connection.execute(FIRST_GAP)).first()
    if row is None:
        return None
    return Gap(
        lo_id=row.lo_id,
        hi_id=row.hi_id,
        next_until_id=row.next_until_id,
        read_count=row.read_count,
        is_search=row.is_search,
    )


async def spend(connection: AsyncConnection, cost: Cost, day: date) -> None:
    """Note what a call costs; negative units take back what was not billed."""
    key = {"day": day, "call": cost.call}
    values = {"unit_count": cost.unit_count, "micros": cost.micros}
    if not await insert_if_new(connection, x_spend, {**key, **values}):
        await connection.execute(
            update(x_spend)
            .where(x_spend.c.day == day, x_spend.c.call == cost.call)
            .values({name: x_spend.c[name] + value for name, value in values.items()})
        )


async def spent_micros(connection: AsyncConnection, day: date) -> int:
    """What a day has cost so far."""
    return int(await connection.scalar(_SPENT, {"day": day}) or 0)


async def note_person(connection: AsyncConnection, author_id: str, **values: Any) -> None:
    """Remember something about an author."""
    if not await insert_if_new(connection, x_people, {"author_id": author_id, **values}):
        await connection.execute(
            update(x_people).where(x_people.c.author_id == author_id).values(**values)
        )


async def person(connection: AsyncConnection, author_id: str) -> Row[Any] | None:
    """What is remembered about an author."""
    return (await connection.execute(_PERSON, {"author_id": author_id})).first()


async def drop_waiting(connection: AsyncConnection, author_id: str, now: datetime) -> None:
    """Let nothing of an author be answered any more, unless it is on its way already."""
    waiting = [MentionState.SEEN, *sorted(WAITING_TO_POST)]
    await connection.execute(
        update(x_mentions)
        .where(x_mentions.c.author_id == author_id, x_mentions.c.state.in_(waiting))
        .values(state=MentionState.OPTED_OUT, updated_at=now, prompt="", sentence=None)
    )


async def mention(connection: AsyncConnection, root_id: int) -> MentionRecord | None:
    """One mention with its live attempt."""
    row = (await connection.execute(MENTION, {"root_id": root_id})).first()
    return None if row is None else record_of(row)


async def known_mention(connection: AsyncConnection, root_id: int) -> MentionRecord:
    """One mention with its live attempt.

    Raises:
        LookupError: There is none.
    """
    record = await mention(connection, root_id)
    if record is None:
        raise LookupError(f"no mention {root_id}")
    return record


async def insert_attempt(
    connection: AsyncConnection, mention: MentionRecord, text: str, sha256: str, now: datetime
) -> None:
    """Begin the next attempt; the unique index refuses a second live one."""
    last = await connection.scalar(
        select(func.max(x_attempts.c.number)).where(x_attempts.c.root_id == mention.root_id)
    )
    await connection.execute(
        insert(x_attempts).values(
            root_id=mention.root_id,
            number=(last or 0) + 1,
            target_id=mention.latest_id,
            text=text,
            body_sha256=sha256,
            started_at=now,
            look_count=0,
        )
    )


async def change_live_attempt(connection: AsyncConnection, root_id: int, **values: Any) -> None:
    """Note how the attempt that is under way went on."""
    await connection.execute(
        update(x_attempts).where(x_attempts.c.root_id == root_id, IS_LIVE).values(**values)
    )


def in_states_query(states: Sequence[MentionState]) -> Select[Any]:
    """Mentions in these states, oldest first."""
    return _WITH_ATTEMPT.where(x_mentions.c.state.in_(states)).order_by(x_mentions.c.root_id)


def record_of(row: Row[Any]) -> MentionRecord:
    """The mention that a row of ``_WITH_ATTEMPT`` holds."""
    return MentionRecord(
        root_id=row.root_id,
        latest_id=row.latest_id,
        author_id=row.author_id,
        conversation_id=row.conversation_id,
        answers_id=row.answers_id,
        state=MentionState(row.state),
        reason=row.reason,
        prompt=row.prompt,
        command=row.command,
        sentence=row.sentence,
        erase_id=row.erase_id,
        try_count=row.try_count,
        round_count=row.round_count,
        not_before=row.not_before,
        media=_media_of(row),
        reply_id=row.reply_id,
        seen_at=row.seen_at,
        attempt=_attempt_of(row),
    )


def _media_of(row: Row[Any]) -> Media | None:
    if row.media_id is None:
        return None
    return Media(id=row.media_id, expires_at=row.media_expires_at, is_described=row.is_described)


def _attempt_of(row: Row[Any]) -> Attempt | None:
    if row.attempt_number is None:
        return None
    return Attempt(
        number=row.attempt_number,
        target_id=row.attempt_target_id,
        text=row.attempt_text,
        started_at=row.attempt_started_at,
        look_count=row.attempt_look_count,
        doubted_at=row.attempt_doubted_at,
        next_look_at=row.attempt_next_look_at,
    )
