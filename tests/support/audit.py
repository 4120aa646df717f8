"""Adds up all jobs of a database and compares the sums with what the accounts say."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from bot.jobs import JobState, Person, Platform
from bot.store.jobs import OPEN
from bot.store.rows import AccountId, accounts_of
from bot.store.tables import accounts, jobs

if TYPE_CHECKING:
    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.database import Database


async def leaks(database: Database) -> list[str]:
    """Every account that does not say what the jobs say; empty if quotas add up."""

    async def use_case(connection: AsyncConnection) -> list[str]:
        all_jobs = (await connection.execute(select(jobs))).all()
        all_accounts = (await connection.execute(select(accounts))).all()
        return [leak for account in all_accounts for leak in _leaks_of(account, all_jobs)]

    return await database.read(use_case)


def _leaks_of(account: Row[Any], all_jobs: list[Row[Any]] | Any) -> list[str]:
    own = [job for job in all_jobs if account.id in _payers(job)]
    are_open = [job for job in own if JobState(job.state) in OPEN]
    expected = Counter(
        used_count=sum(job.held_count for job in own if job.quota_day == account.day),
        open_count=len(are_open),
        open_picture_count=sum(job.picture_count for job in are_open),
        waiting_count=sum(
            job.line == account.id and job.state == "accepted" and job.worker is None
            for job in all_jobs
        ),
    )
    return [
        f"{account.id}: {name} is {getattr(account, name)}, but jobs say {count}"
        for name, count in expected.items()
        if getattr(account, name) != count
    ]


def _payers(job: Row[Any]) -> list[AccountId]:
    person = Person(platform=Platform(job.platform), id=job.person_id)
    return list(accounts_of(person, job.community).values())
