"""What was delivered: kept with its image tokens, so that it can be drawn again; and purged.

A picture is 256 tokens of 16 bit, 512 bytes, where its PNG would be a hundred times that.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, insert, select, tuple_

from bot.store.quotas import day_of
from bot.store.rows import BOT_ACCOUNT, job_of
from bot.store.tables import FINISHED, accounts, jobs, pictures
from engine.api import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import Row, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.jobs import Job, JobId, Person
    from engine.api import DrawRequest, Picture

PURGED_TOGETHER: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPicture:
    """A picture of the past.

    Attributes:
        rank: From 1, the best.
        index: Which of the request's candidates it is.
        score: CLIP's logit.
        verdict: Whether it may be shown openly, also when it is painted again.
    """

    rank: int
    index: int
    score: float
    verdict: Verdict = Verdict.SAFE


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A job of the past.

    Attributes:
        job: Whatever became of it.
        finished_at: When; ``None`` while it is not finished.
        pictures: What was delivered, best first.
    """

    job: Job
    finished_at: datetime | None
    pictures: tuple[KeptPicture, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTokens:
    """What a delivered picture can be painted from again.

    Attributes:
        request: What its job asked for, with the seed.
        index: Which of the request's candidates it is.
        tokens: Its image tokens.
    """

    request: DrawRequest
    index: int
    tokens: tuple[int, ...]


async def keep(connection: AsyncConnection, job_id: JobId, drawn: Sequence[Picture]) -> None:
    """Keep the pictures of a job, best first."""
    if drawn:
        rows = [
            {
                "job_id": job_id,
                "rank": rank,
                "candidate": picture.index,
                "score": picture.score,
                "tokens": packed(picture.tokens),
                "verdict": picture.verdict,
            }
            for rank, picture in enumerate(drawn, start=1)
        ]
        await connection.execute(insert(pictures), rows)


async def past_of(
    connection: AsyncConnection, person: Person, *, limit: int, before: JobId | None
) -> list[Past]:
    """The newest jobs of somebody, or those that came before one of them."""
    query = history_query(person, limit=limit, before=before)
    return await with_pictures(connection, (await connection.execute(query)).all())


async def with_pictures(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Past]:
    """These rows of jobs, with what was delivered of each."""
    kept: dict[str, list[KeptPicture]] = {row.id: [] for row in rows}
    for row in await connection.execute(pictures_query(list(kept))):
        picture = KeptPicture(
            rank=row.rank, index=row.candidate, score=row.score, verdict=Verdict(row.verdict)
        )
        kept[row.job_id].append(picture)
    return [
        Past(job=job_of(row), finished_at=row.finished_at, pictures=tuple(kept[row.id]))
        for row in rows
    ]


async def tokens_of(connection: AsyncConnection, job_id: JobId, rank: int) -> KeptTokens | None:
    """What a delivered picture can be painted from, while it is kept."""
    query = (
        select(jobs, pictures.c.candidate, pictures.c.tokens)
        .join(pictures, pictures.c.job_id == jobs.c.id)
        .where(jobs.c.id == job_id, pictures.c.rank == rank)
    )
    row = (await connection.execute(query)).first()
    if row is None:
        return None
    request = job_of(row).submission.request
    return KeptTokens(request=request, index=row.candidate, tokens=unpacked(row.tokens))


async def purge_jobs(connection: AsyncConnection, finished_before: datetime) -> int:
    """Forget some of the jobs that were finished before then; return how many."""
    old = purge_query(finished_before)
    return (await connection.execute(delete(jobs).where(jobs.c.id.in_(old)))).rowcount


async def purge_accounts(
    connection: AsyncConnection, now: datetime, *, unused_for: timedelta
) -> int:
    """Forget the accounts of those who have used nothing for long; return how many."""
    unused = delete(accounts).where(
        accounts.c.day < day_of(now - unused_for),
        accounts.c.open_count == 0,
        accounts.c.tier.is_(None),
        accounts.c.id != BOT_ACCOUNT,
    )
    return (await connection.execute(unused)).rowcount


def packed(tokens: Sequence[int]) -> bytes:
    """Sixteen bits for each token, low byte first."""
    return struct.pack(f"<{len(tokens)}H", *tokens)


def unpacked(blob: bytes) -> tuple[int, ...]:
    """The tokens that ``packed`` packed."""
    return struct.unpack(f"<{len(blob) // 2}H", blob)


def history_query(person: Person, *, limit: int, before: JobId | None) -> Select[Any]:
    """The jobs of somebody, newest first."""
    age = tuple_(jobs.c.accepted_at, jobs.c.id)
    query = (
        select(jobs)
        .where(jobs.c.platform == person.platform, jobs.c.person_id == person.id)
        .order_by(jobs.c.accepted_at.desc(), jobs.c.id.desc())
        .limit(limit)
    )
    if before is None:
        return query
    mark = select(jobs.c.accepted_at, jobs.c.id).where(jobs.c.id == before).scalar_subquery()
    return query.where(age < mark)


def pictures_query(job_ids: Sequence[str]) -> Select[*tuple[Any, ...]]:
    """The pictures of these jobs, best first."""
    return (
        select(
            pictures.c.job_id,
            pictures.c.rank,
            pictures.c.candidate,
            pictures.c.score,
            pictures.c.verdict,
        )
        .where(pictures.c.job_id.in_(job_ids))
        .order_by(pictures.c.job_id, pictures.c.rank)
    )


def purge_query(finished_before: datetime) -> Select[Any]:
    """Some of the jobs that were finished before then."""
    return (
        select(jobs.c.id)
        .where(FINISHED, jobs.c.finished_at < finished_before)
        .order_by(jobs.c.finished_at)
        .limit(PURGED_TOGETHER)
    )
