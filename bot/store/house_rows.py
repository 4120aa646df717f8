"""Rules, blocks, profiles, reports, strikes and the audit log as rows, and back."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from datetime import UTC
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from bot.jobs import JobId, Person, Platform, Scope
from bot.store.house import (
    Act,
    AuditEntry,
    Block,
    CommunityRules,
    House,
    Profile,
    Report,
    Strike,
)
from bot.store.house_tables import audit, blocks, communities
from bot.store.inserts import insert_into
from bot.store.rows import account_id
from bot.store.tables import cursors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Row, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

PAUSED = "house.paused"
REVISION = "house.revision"

_EVERYWHERE = ""


async def upsert(connection: AsyncConnection, table: Table, values: Mapping[str, Any]) -> None:
    """Write a row, in place of the one with the same primary key if there is one."""
    keys = [column.name for column in table.primary_key]
    others = {name: value for name, value in values.items() if name not in keys}
    wanted = insert_into(connection.dialect.name, table).values(**values)
    await connection.execute(wanted.on_conflict_do_update(index_elements=keys, set_=others))


async def note(connection: AsyncConnection, entry: AuditEntry) -> None:
    """Write a line of the audit log; the database numbers it."""
    values = asdict(entry)
    del values["id"]
    await connection.execute(insert(audit).values(**values))


async def block(connection: AsyncConnection, new: Block) -> None:
    """Write a block and its line of the audit log."""
    until = (
        "for good" if new.until is None else f"until {new.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    )
    where = "everywhere" if new.community is None else f"in community {new.community}"
    await upsert(connection, blocks, block_values(new))
    subject = account_id(Scope.PERSON, new.person.platform, new.person.id)
    detail = f"{where} {until}{f': {new.reason}' if new.reason else ''}"
    entry = AuditEntry(act=Act.BLOCK, by=new.by, at=new.at, subject=subject, detail=detail)
    await note(connection, entry)


async def block_at_least(connection: AsyncConnection, new: Block) -> None:
    """Write a block unless one of the same place lasts longer."""
    key = block_key(new.person, new.community)
    query = select(blocks).where(*(blocks.c[name] == value for name, value in key.items()))
    row = (await connection.execute(query)).first()
    is_longer = row is not None and (
        row.until is None or (new.until is not None and row.until >= new.until)
    )
    if not is_longer:
        await block(connection, new)


async def renew(connection: AsyncConnection) -> None:
    """Let every process learn that the rules have changed."""
    await upsert(connection, cursors, {"name": REVISION, "value": secrets.token_hex(8)})


async def read_house(connection: AsyncConnection) -> House:
    """All rules and blocks; blocks that have ended are among them and hold nobody back."""
    rules = (await connection.execute(select(communities))).all()
    held = [block_of(row) for row in await connection.execute(select(blocks))]
    paused = await connection.scalar(select(cursors.c.value).where(cursors.c.name == PAUSED))
    return House(
        is_paused=bool(paused),
        communities={(Platform(row.platform), row.community): rules_of(row) for row in rules},
        blocks={(block.person, block.community): block for block in held},
    )


def is_of(table: Table, person: Person) -> ColumnElement[bool]:
    """The rows of a table that are about somebody."""
    return (table.c.platform == person.platform) & (table.c.person_id == person.id)


def rules_values(platform: Platform, community: str, rules: CommunityRules) -> dict[str, Any]:
    """The columns of a row of ``communities``."""
    return {
        "platform": platform,
        "community": community,
        "channels": list(rules.channels),
        "role_tiers": dict(rules.role_tiers),
        "moderation": rules.moderation,
        "language": rules.language,
        "is_paused": rules.is_paused,
        "daily_pictures": rules.daily_pictures,
        "jobs_at_once": rules.jobs_at_once,
    }


def rules_of(row: Row[Any]) -> CommunityRules:
    """The rules in a row of ``communities``."""
    return CommunityRules(
        channels=tuple(row.channels),
        role_tiers=row.role_tiers,
        moderation=row.moderation,
        language=row.language,
        is_paused=row.is_paused,
        daily_pictures=row.daily_pictures,
        jobs_at_once=row.jobs_at_once,
    )


def block_values(block: Block) -> dict[str, Any]:
    """The columns of a row of ``blocks``."""
    return {
        **block_key(block.person, block.community),
        "until": block.until,
        "reason": block.reason,
        "by": block.by,
        "at": block.at,
    }


def block_key(person: Person, community: str | None) -> dict[str, str]:
    """Who is blocked, and where."""
    return {
        "platform": person.platform,
        "person_id": person.id,
        "community": _EVERYWHERE if community is None else community,
    }


def block_of(row: Row[Any]) -> Block:
    """The block in a row of ``blocks``."""
    return Block(
        person=person_of(row),
        community=row.community or None,
        until=row.until,
        reason=row.reason,
        by=row.by,
        at=row.at,
    )


def profile_values(person: Person, profile: Profile) -> dict[str, Any]:
    """The columns of a row of ``profiles``."""
    return {
        "platform": person.platform,
        "person_id": person.id,
        "picture_count": profile.picture_count,
        "style": profile.style,
        "language": profile.language,
        "may_dm": profile.may_dm,
        "spoiler": profile.spoiler,
    }


def profile_of(row: Row[Any]) -> Profile:
    """The profile in a row of ``profiles``."""
    return Profile(
        picture_count=row.picture_count,
        style=row.style,
        language=row.language,
        may_dm=row.may_dm,
        spoiler=row.spoiler,
    )


def report_of(row: Row[Any]) -> Report:
    """The report in a row of ``reports``."""
    return Report(
        id=row.id,
        job_id=JobId(row.job_id),
        person=None if row.person_id is None else person_of(row),
        owner=Person(platform=Platform(row.owner_platform), id=row.owner_id),
        community=row.community,
        reason=row.reason,
        at=row.at,
        closed_at=row.closed_at,
        closed_by=row.closed_by,
    )


def strike_values(strike: Strike) -> dict[str, Any]:
    """The columns of a row of ``strikes``."""
    return {
        "platform": strike.person.platform,
        "person_id": strike.person.id,
        "event_id": strike.event_id,
        "community": strike.community,
        "code": strike.code,
        "prompt_hash": strike.prompt_hash,
        "at": strike.at,
    }


def strike_of(row: Row[Any]) -> Strike:
    """The strike in a row of ``strikes``."""
    return Strike(
        person=person_of(row),
        event_id=row.event_id,
        community=row.community,
        code=row.code,
        prompt_hash=row.prompt_hash,
        at=row.at,
    )


def audit_of(row: Row[Any]) -> AuditEntry:
    """The line of the audit log in a row of ``audit``."""
    return AuditEntry(
        id=row.id, at=row.at, by=row.by, act=row.act, subject=row.subject, detail=row.detail
    )


def person_of(row: Row[Any]) -> Person:
    """The person that a row is about."""
    return Person(platform=Platform(row.platform), id=row.person_id)
