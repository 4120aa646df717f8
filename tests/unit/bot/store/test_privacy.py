"""Export shows all that is kept about somebody, erasure removes what nobody else needs."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select

from bot.jobs import JobId, JobState, Person, Platform, Scope
from bot.store import Limits, Profile, Rules, Store
from bot.store.house import AuditEntry, Block, Grant, Strike, StrikeLimit
from bot.store.house_tables import erasures
from bot.store.privacy import IMPERSONAL, export_queries
from bot.store.retention import RECORDS_KEPT_FOR
from bot.store.tables import metadata, pictures
from bot.store.x_states import Cost, Gap, MentionState, NewMention
from bot.store.x_tables import x_mentions
from engine.api import Picture
from tests.support.clock import NOON
from tests.support.factories import person, submission

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.jobs import Job
    from bot.store.database import Database

BOB = person("bob")
RULES = Rules(person=Limits(daily_count=9))
NEVER = StrikeLimit(count=99, within=timedelta(days=1), block_for=timedelta(days=1))


async def count(database: Database, table: Table) -> int:
    async def use_case(connection: AsyncConnection) -> int:
        return len((await connection.execute(select(table))).all())

    return await database.read(use_case)


async def delivered(store: Store, by: Person | None = None) -> Job:
    wanted = submission(by=by, address={"channel_id": "5", "token": "secret"}, community="guild")
    job = await store.accept(wanted, now=NOON, rules=RULES)
    await store.begin_drawing(job.id)
    await store.begin_delivery(job.id)
    picture = Picture(png=b"", score=1.0, index=0, tokens=(1, 2))
    return await store.settle(job.id, now=NOON, pictures=[picture])


async def live(store: Store, who: Person) -> Job:
    """Leave a trace in every table."""
    job = await delivered(store, who)
    await store.people.set_profile(who, Profile(style="ink"))
    await store.house.block(
        Block(person=who, community="guild", until=None, reason="spam", by="mod", at=NOON)
    )
    strike = Strike(
        person=who, event_id=f"s-{who.id}", community=None, code="gore", prompt_hash="f0", at=NOON
    )
    await store.people.strike(strike, NEVER)
    grant = Grant(platform=who.platform, scope=Scope.PERSON, of=who.id, tier="friend")
    await store.house.grant(grant, by="boss", now=NOON)
    return job


def test_every_table_is_exported_or_holds_nothing_about_anybody() -> None:
    of_x = Person(platform=Platform.X, id="7")

    assert metadata.tables.keys() == export_queries(of_x).keys() | IMPERSONAL.keys()
    assert not export_queries(of_x).keys() & IMPERSONAL.keys()


async def test_an_export_shows_all_and_only_ones_own(store: Store) -> None:
    ada, other = await live(store, person()), await live(store, BOB)
    await store.people.report(other.id, person(), reason="ugly", now=NOON)
    await store.people.report(ada.id, BOB, reason="a secret of bob's", now=NOON)

    exported = await store.privacy.export(person())

    text = json.dumps(exported)
    assert "bob" not in text.replace(json.dumps(exported["reports"]), "")
    assert "secret" not in text
    counts = {name: len(rows) for name, rows in exported.items() if isinstance(rows, list)}
    assert counts == {
        "accounts": 1,
        "audit": 2,
        "blocks": 1,
        "erasures": 0,
        "jobs": 1,
        "pictures": 1,
        "profiles": 1,
        "reports": 1,
        "strikes": 1,
    }
    assert exported["person"] == {"platform": "discord", "id": "ada"}


async def test_what_is_exported_is_what_was_stored(store: Store) -> None:
    job = await delivered(store)

    exported: Any = await store.privacy.export(person())

    (shown,), (picture,) = exported["jobs"], exported["pictures"]
    assert (shown["id"], shown["prompt"], shown["seed"]) == (job.id, "an avocado armchair", 7)
    assert shown["address"] == {"channel_id": "5"}
    assert shown["accepted_at"] == "2026-06-09T12:00:00+00:00"
    assert (picture["rank"], picture["tokens"]) == (1, "AQACAA==")


async def test_an_erasure_leaves_only_what_others_need(store: Store, database: Database) -> None:
    job = await live(store, person())
    await store.people.report(job.id, BOB, reason="ugly", now=NOON)
    theirs = await live(store, BOB)
    await store.people.report(theirs.id, person(), reason="my words", now=NOON)

    assert await store.privacy.erase(person(), by="ada", now=NOON) == 1

    left: Any = await store.privacy.export(person())
    kept = {name for name, rows in left.items() if rows}
    assert kept == {"person", "accounts", "audit", "blocks", "strikes"}
    (account,) = left["accounts"]
    assert (account["used_count"], account["tier"]) == (3, None)
    (report,) = await store.people.reports(is_open=True)
    assert (report.job_id, report.person) == (theirs.id, None)
    assert await store.job(theirs.id) is not None
    assert await count(database, pictures) == 1
    assert await count(database, erasures) == 0


async def test_an_erasure_is_no_way_around_a_limit_or_a_block(store: Store) -> None:
    await live(store, person())

    await store.privacy.erase(person(), by="ada", now=NOON)

    standing = await store.standing(person(), rules=RULES, now=NOON)
    assert standing[Scope.PERSON].daily_left_count == 6
    assert (person(), "guild") in (await store.house.house(NOON)).blocks


async def test_a_job_in_hand_is_erased_by_the_next_purge_once_it_is_over(
    store: Store, database: Database
) -> None:
    job = await store.accept(submission(), now=NOON, worker="bot")
    await store.begin_drawing(job.id)
    await store.begin_delivery(job.id)
    assert await store.privacy.erase(person(), by="ada", now=NOON) == 0
    later = NOON + timedelta(minutes=1)
    since = await store.accept(submission(), now=later)

    await store.purge(finished_before=None, now=later)
    assert (await store.job(job.id) or since).state is JobState.DELIVERING
    await store.settle(job.id, now=later)
    await store.abandon(since.id, now=later)
    await store.purge(finished_before=None, now=later)

    assert await store.job(job.id) is None
    assert await store.job(since.id) is not None
    assert await count(database, erasures) == 0


async def test_whoever_keeps_files_is_told_before_the_jobs_go(store: Store) -> None:
    told: list[tuple[Person, Sequence[JobId], bool]] = []

    async def erase_files(who: Person, job_ids: Sequence[JobId]) -> None:
        told.append((who, job_ids, await store.job(job_ids[0]) is not None))

    store.privacy.on_erase(erase_files)
    job = await delivered(store)

    await store.privacy.erase(person(), by="ada", now=NOON)

    assert told == [(person(), [job.id], True)]


async def test_files_that_cannot_be_removed_keep_the_jobs_to_be_asked_for_again(
    store: Store,
) -> None:
    async def fail(who: Person, job_ids: Sequence[JobId]) -> None:
        raise OSError(f"{who.id}: {len(job_ids)} files are still there")

    store.privacy.on_erase(fail)
    job = await delivered(store)

    with pytest.raises(OSError, match="still there"):
        await store.privacy.erase(person(), by="ada", now=NOON)

    assert await store.job(job.id) is not None


async def test_removed_pictures_are_gone_for_good_and_their_reports_closed(
    store: Store, database: Database
) -> None:
    told: list[tuple[Person, Sequence[JobId]]] = []

    async def erase_files(who: Person, job_ids: Sequence[JobId]) -> None:
        told.append((who, job_ids))

    store.privacy.on_erase(erase_files)
    job, theirs = await delivered(store), await delivered(store, BOB)
    for reporter in (BOB, person("eve")):
        await store.people.report(job.id, reporter, reason="ugly", now=NOON)
    await store.people.report(theirs.id, person(), reason="ugly too", now=NOON)

    assert await store.privacy.remove_pictures(person(), job.id, by="mod", now=NOON) == 1

    assert told == [(person(), [job.id])]
    assert await store.archive.tokens(job.id, 1) is None
    past = await store.archive.past(job.id)
    assert past is not None
    assert (past.job.submission.request.prompt, past.pictures) == ("an avocado armchair", ())
    assert [each.reason for each in await store.people.reports(is_open=True)] == ["ugly too"]
    closed = await store.people.reports(is_open=False)
    assert [(each.closed_by, each.closed_at) for each in closed] == [("mod", NOON)] * 2
    assert await count(database, pictures) == 1
    (entry,) = await store.house.audit(limit=9)
    assert (entry.by, entry.act, entry.subject, entry.detail) == (
        "mod",
        "remove_pictures",
        "person/discord/ada",
        f"1 of job {job.id}",
    )
    assert await store.privacy.remove_pictures(person(), job.id, by="mod", now=NOON) == 0


async def test_files_that_cannot_be_removed_leave_the_pictures_and_the_report_as_they_are(
    store: Store,
) -> None:
    async def fail(who: Person, job_ids: Sequence[JobId]) -> None:
        raise OSError(f"{who.id}: {len(job_ids)} folders are still there")

    store.privacy.on_erase(fail)
    job = await delivered(store)
    await store.people.report(job.id, BOB, reason="ugly", now=NOON)

    with pytest.raises(OSError, match="still there"):
        await store.privacy.remove_pictures(person(), job.id, by="mod", now=NOON)

    assert await store.archive.tokens(job.id, 1) is not None
    assert len(await store.people.reports(is_open=True)) == 1
    assert await store.house.audit(limit=9) == []


async def test_a_thousand_jobs_are_erased_at_once(store: Store, database: Database) -> None:
    job = await delivered(store)
    jobs = metadata.tables["jobs"]

    async def copy(connection: AsyncConnection) -> None:
        row = (await connection.execute(select(jobs).where(jobs.c.id == job.id))).mappings().one()
        copies = [{**row, "id": f"copy-{n}", "event_id": f"copy-{n}"} for n in range(1_000)]
        await connection.execute(insert(jobs), copies)

    await database.write(copy)

    assert await store.privacy.erase(person(), by="ada", now=NOON) == 1_001
    assert await count(database, jobs) == 0


# ------------------------------------------------------------------------------------------- X

ON_X = Person(platform=Platform.X, id="7")
FREE = Cost(call="reply", unit_count=0, unit_micros=0)
LONG_AGO = NOON - timedelta(days=30)


def mention(root_id: int) -> NewMention:
    return NewMention(
        root_id=root_id,
        latest_id=root_id,
        author_id=ON_X.id,
        conversation_id="7",
        answers_id=None,
        prompt="my words",
        command=None,
        ignored_because=None,
    )


async def mentioned(store: Store) -> None:
    """One mention of long ago that no read can reach, and one that was just seen."""
    gap = Gap(lo_id=0, hi_id=1 << 60)
    await store.x.timeline.keep_page([mention(1)], gap, FREE, is_last=True, now=LONG_AGO)
    await store.x.mentions.decide(1, MentionState.IGNORED, now=LONG_AGO)
    gap = Gap(lo_id=1 << 60, hi_id=(1 << 60) + 1)
    new = mention((1 << 60) + 1)
    await store.x.timeline.keep_page([new], gap, FREE, is_last=True, now=NOON)


async def test_of_mentions_on_x_only_ids_remain_that_could_be_read_again(
    store: Store, database: Database
) -> None:
    await mentioned(store)

    await store.privacy.erase(ON_X, by="7", now=NOON)

    exported: Any = await store.privacy.export(ON_X)
    (left,) = exported["x_mentions"]
    assert (left["root_id"], left["prompt"], left["state"]) == ((1 << 60) + 1, "", "opted_out")
    assert await count(database, erasures) == 1


async def test_the_rest_of_x_is_erased_once_nothing_can_read_it_again(
    store: Store, database: Database
) -> None:
    await mentioned(store)
    await store.privacy.erase(ON_X, by="7", now=NOON)
    later = NOON + timedelta(days=9)
    gap = Gap(lo_id=(1 << 60) + 1, hi_id=1 << 61)
    await store.x.timeline.keep_page([mention(1 << 61)], gap, FREE, is_last=True, now=later)

    await store.purge(finished_before=None, now=later)

    exported: Any = await store.privacy.export(ON_X)
    assert [row["root_id"] for row in exported["x_mentions"]] == [1 << 61]
    assert exported["x_mentions"][0]["prompt"] == "my words"
    assert await count(database, erasures) == 0


async def test_a_stop_on_x_survives_an_erasure_and_nothing_else_of_its_person(
    store: Store, database: Database
) -> None:
    await mentioned(store)
    await store.x.people.opt_out((1 << 60) + 1, ON_X.id, now=NOON)

    await store.privacy.erase(ON_X, by="7", now=NOON)

    assert await store.x.people.is_opted_out(ON_X.id)
    exported: Any = await store.privacy.export(ON_X)
    assert len(exported["x_people"]) == 1
    assert await count(database, x_mentions) == 1


# -------------------------------------------------------------------------------- the records


async def test_records_are_kept_for_their_time_and_what_still_holds_for_longer(
    store: Store,
) -> None:
    job = await store.accept(submission(), now=NOON)
    await live(store, BOB)
    await store.people.report(job.id, BOB, reason="closed", now=NOON)
    await store.people.report(job.id, person("eve"), reason="open", now=NOON)
    (first, _) = await store.people.reports(is_open=True)
    await store.people.close_report(first.id, by="mod", now=NOON)
    ended = Block(person=person(), community=None, until=NOON, reason="", by="mod", at=NOON)
    await store.house.block(ended)
    await store.house.note(AuditEntry(act="look", by="mod", at=NOON + timedelta(days=1)))
    end = NOON + RECORDS_KEPT_FOR

    await store.purge(finished_before=None, now=end)
    assert len(await store.people.strikes(limit=9)) == 1
    assert len(await store.people.reports(is_open=False)) == 1

    assert len((await store.house.house(end)).blocks) == 2

    await store.purge(finished_before=None, now=end + timedelta(seconds=1))
    assert await store.people.strikes(limit=9) == []
    assert await store.people.reports(is_open=False) == []
    assert [report.reason for report in await store.people.reports(is_open=True)] == ["open"]
    assert [entry.act for entry in await store.house.audit(limit=9)] == ["look"]
    assert list((await store.house.house(end + timedelta(minutes=1))).blocks) == [(BOB, "guild")]
