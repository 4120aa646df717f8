"""What is kept about people besides their jobs: choices, reports, strikes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.jobs import JobId, Platform
from bot.store import Profile
from bot.store.house import Block, Report, Strike, StrikeLimit, StrikeTally, Struck
from tests.support.clock import NOON
from tests.support.factories import person, submission

if TYPE_CHECKING:
    from datetime import datetime

    from bot.store import Store

ALL_CHOSEN = Profile(picture_count=4, style="ink", language="de", may_dm=True, spoiler=True)
THREE_A_WEEK = StrikeLimit(count=3, within=timedelta(days=7), block_for=timedelta(days=30))


def strike(event_id: str, at: datetime = NOON, code: str = "gore") -> Strike:
    return Strike(
        person=person(), event_id=event_id, community="guild", code=code, prompt_hash="f00", at=at
    )


async def test_choices_come_back_and_are_nobody_elses(store: Store) -> None:
    await store.people.set_profile(person(), Profile(style="oil"))
    await store.people.set_profile(person(), ALL_CHOSEN)

    assert await store.people.profile(person()) == ALL_CHOSEN
    assert await store.people.profile(person("ada", Platform.X)) == Profile()


async def test_everybodys_word_about_a_job_counts_once(store: Store) -> None:
    job = await store.accept(submission(community="guild"), now=NOON)
    bob, eve = person("bob"), person("eve")

    first = await store.people.report(job.id, bob, reason="ugly", now=NOON)
    again = await store.people.report(job.id, bob, reason="very ugly", now=NOON)
    other = await store.people.report(job.id, eve, reason="mine", now=NOON)

    assert (first, again, other) == (True, False, True)
    reports = await store.people.reports(is_open=True)
    assert [(report.person, report.reason) for report in reports] == [(bob, "ugly"), (eve, "mine")]
    assert {(report.owner, report.community) for report in reports} == {(person(), "guild")}


async def test_a_report_about_no_job_is_none(store: Store) -> None:
    said = await store.people.report(JobId("gone"), person(), reason="", now=NOON)

    assert said is None
    assert await store.people.reports(is_open=True) == []


async def test_a_report_is_closed_once_and_found_in_its_community(store: Store) -> None:
    job = await store.accept(submission(community="guild"), now=NOON)
    await store.people.report(job.id, person("bob"), reason="ugly", now=NOON)
    (report,) = await store.people.reports(is_open=True, community="guild")

    assert await store.people.close_report(report.id, by="mod", now=NOON)
    assert not await store.people.close_report(report.id, by="boss", now=NOON)

    assert await store.people.reports(is_open=True) == []
    assert await store.people.reports(is_open=False, community="other") == []
    assert await store.people.reports(is_open=False) == [
        Report(
            id=report.id,
            job_id=job.id,
            person=person("bob"),
            owner=person(),
            community="guild",
            reason="ugly",
            at=NOON,
            closed_at=NOON,
            closed_by="mod",
        )
    ]
    (entry,) = await store.house.audit(limit=9)
    assert (entry.by, entry.act, entry.detail) == (
        "mod",
        "close_report",
        f"report {report.id} about job {job.id}",
    )


async def test_the_last_strike_of_several_blocks_everywhere_for_a_while(store: Store) -> None:
    await store.house.house(NOON)
    told = [await store.people.strike(strike(f"e{n}"), THREE_A_WEEK) for n in range(3)]

    until = NOON + timedelta(days=30)
    assert told == [
        Struck(is_new=True),
        Struck(is_new=True),
        Struck(is_new=True, blocked_until=until),
    ]
    assert list((await store.house.house(NOON)).blocks.values()) == [
        Block(
            person=person(),
            community=None,
            until=until,
            reason="3 strikes, the last for gore",
            by="moderation",
            at=NOON,
        )
    ]
    assert [entry.act for entry in await store.house.audit(limit=9)] == ["block"]


async def test_one_event_is_one_strike_however_often_it_comes(store: Store) -> None:
    told = await asyncio.gather(
        *(store.people.strike(strike("e1"), THREE_A_WEEK) for _ in range(5))
    )

    assert sorted(struck.is_new for struck in told) == [False] * 4 + [True]
    assert await store.people.strikes(person(), limit=9) == [strike("e1")]


async def test_the_strike_that_blocked_blocks_once_however_often_it_comes(store: Store) -> None:
    told = [await store.people.strike(strike(f"e{n}"), THREE_A_WEEK) for n in (0, 1, 2, 2)]

    assert [struck.blocked_until is None for struck in told] == [True, True, False, True]
    assert told[-1] == Struck(is_new=False)
    assert len(await store.house.audit(limit=9)) == 1


async def test_strikes_of_long_ago_do_not_count(store: Store) -> None:
    for n in range(3):
        at = NOON + timedelta(days=7 * n)
        struck = await store.people.strike(strike(f"e{n}", at), THREE_A_WEEK)
        assert struck == Struck(is_new=True)


async def test_strikes_do_not_shorten_a_block(store: Store) -> None:
    forever = Block(person=person(), community=None, until=None, reason="spam", by="boss", at=NOON)
    await store.house.block(forever)

    for n in range(3):
        await store.people.strike(strike(f"e{n}"), THREE_A_WEEK)

    assert list((await store.house.house(NOON)).blocks.values()) == [forever]


async def test_strikes_are_told_newest_first_of_everybody_or_somebody(store: Store) -> None:
    await store.people.strike(strike("e1"), THREE_A_WEEK)
    await store.people.strike(strike("e2", code="hate"), THREE_A_WEEK)

    assert [each.code for each in await store.people.strikes(limit=9)] == ["hate", "gore"]
    assert [each.code for each in await store.people.strikes(limit=1)] == ["hate"]
    assert await store.people.strikes(person("bob"), limit=9) == []


async def test_strikes_are_added_up_for_each_person_the_last_struck_first(store: Store) -> None:
    later = NOON + timedelta(hours=1)
    eve, namesake = person("eve"), person("ada", Platform.X)
    for n, (who, code, at) in enumerate(
        [
            (person(), "hate", NOON),
            (eve, "gore", NOON),
            (namesake, "terror", NOON - timedelta(hours=1)),
            (person(), "gore", later),
            (person(), "hate", later),
        ]
    ):
        struck = replace(strike(f"e{n}", at, code=code), person=who)
        await store.people.strike(struck, replace(THREE_A_WEEK, count=99))

    tallies = await store.people.struck_people(limit=9)

    assert tallies == [
        StrikeTally(person=person(), strike_count=3, last_at=later, codes=("gore", "hate")),
        StrikeTally(person=eve, strike_count=1, last_at=NOON, codes=("gore",)),
        StrikeTally(
            person=namesake, strike_count=1, last_at=NOON - timedelta(hours=1), codes=("terror",)
        ),
    ]
    assert await store.people.struck_people(limit=1) == tallies[:1]


async def test_a_report_is_found_by_its_id(store: Store) -> None:
    job = await store.accept(submission(), now=NOON)
    await store.people.report(job.id, person("bob"), reason="ugly", now=NOON)
    (report,) = await store.people.reports(is_open=True)

    assert await store.people.report_of(report.id) == report
    assert await store.people.report_of(report.id + 1) is None
