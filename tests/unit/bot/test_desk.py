"""What admins may do, and what they may not; the store's own tests show that it is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.desk import Block, CommunityRules, Desk, Grant, Profile
from bot.jobs import (
    InvalidRuleError,
    JobId,
    JobState,
    NotCancellableError,
    Platform,
    Scope,
)
from bot.service import Service
from bot.store import UNLIMITED, Store
from tests.support.clock import NOON, Clock
from tests.support.factories import database_url, person, submission
from tests.support.scripted_delivery import ScriptedDelivery
from tests.support.scripted_engine import ScriptedEngine
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from bot.jobs import Person

GUILD = (Platform.DISCORD, "guild")


class Office:
    """A desk beside a running service, or (``beside``) in a process of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = Clock()
        self.engine = ScriptedEngine()
        self.delivery = ScriptedDelivery()
        self.service = Service(store=store, engine=self.engine, clock=self.clock)
        self.service.register(Platform.DISCORD, self.delivery)
        self.desk = Desk(store, clock=self.clock, tiers=["friend"], canceller=self.service)
        self.beside = Desk(store, clock=self.clock)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    office = Office(await Store.open(database_url(tmp_path)))
    await office.service.start()
    yield office
    office.engine.open.set()
    await office.service.close(grace_s=20)
    await office.store.close()


async def acts(desk: Desk) -> list[tuple[str, str, str, str]]:
    return [(line.by, line.act, line.subject, line.detail) for line in await desk.audit()]


async def test_choices_are_everybodys_own(office: Office) -> None:
    await office.desk.set_profile(person(), Profile(picture_count=4))

    assert await office.desk.profile(person()) == Profile(picture_count=4)
    assert await office.desk.profile(person("bob")) == Profile()


async def test_rules_of_a_community_are_told_as_they_were_set(office: Office) -> None:
    rules = CommunityRules(role_tiers={"patrons": "friend"}, daily_pictures=9)
    await office.desk.set_community(*GUILD, rules, by="mod")

    assert await office.desk.community(*GUILD) == rules
    assert await office.desk.communities() == {GUILD: rules}


async def test_a_role_gets_no_tier_that_is_not_there(office: Office) -> None:
    with pytest.raises(InvalidRuleError) as refusal:
        await office.desk.set_community(
            *GUILD, CommunityRules(role_tiers={"all": "king"}), by="mod"
        )

    assert str(refusal.value) == "There is no tier king. Tiers are: friend."
    assert await office.desk.community(*GUILD) == CommunityRules()


async def test_a_tier_is_granted_if_it_is_there(office: Office) -> None:
    await office.desk.grant(Platform.DISCORD, Scope.PERSON, "ada", "friend", by="boss")
    await office.desk.grant(*_community(), UNLIMITED, by="boss")
    with pytest.raises(InvalidRuleError) as refusal:
        await office.beside.grant(Platform.DISCORD, Scope.PERSON, "ada", "friend", by="boss")

    assert str(refusal.value) == (
        "There is no tier friend. Tiers are: none; TIERS in .env defines them."
    )
    assert await office.desk.grants() == [
        Grant(platform=Platform.DISCORD, scope=Scope.COMMUNITY, of="guild", tier=UNLIMITED),
        Grant(platform=Platform.DISCORD, scope=Scope.PERSON, of="ada", tier="friend"),
    ]
    await office.desk.grant(Platform.DISCORD, Scope.PERSON, "ada", None, by="boss")
    assert len(await office.desk.grants()) == 1


def _community() -> tuple[Platform, Scope, str]:
    return Platform.DISCORD, Scope.COMMUNITY, "guild"


async def test_blocks_are_told_newest_first_while_they_hold(office: Office) -> None:
    soon = NOON + timedelta(minutes=1)
    await office.desk.block(person(), community="guild", until=None, reason="spam", by="mod")
    office.clock.advance(timedelta(seconds=1))
    await office.desk.block(person("bob"), community=None, until=soon, reason="", by="boss")

    here = Block(person=person(), community="guild", until=None, reason="spam", by="mod", at=NOON)
    assert [block.person.id for block in await office.desk.all_blocks()] == ["bob", "ada"]
    assert await office.desk.blocks("guild") == [here]
    assert [block.person.id for block in await office.desk.blocks()] == ["bob"]

    office.clock.advance(timedelta(minutes=1))
    assert await office.desk.all_blocks() == [here]
    assert await office.desk.unblock(person(), community="guild", by="mod")
    assert await office.desk.all_blocks() == []


async def test_the_bot_is_paused_and_resumed(office: Office) -> None:
    assert not await office.desk.is_paused()
    await office.desk.pause(by="boss")
    assert await office.desk.is_paused()
    await office.desk.resume(by="boss")
    assert not await office.desk.is_paused()


async def test_anybodys_running_job_is_cancelled_and_that_is_on_record(office: Office) -> None:
    office.engine.open.clear()
    job = await office.service.submit(submission())
    await until(lambda: len(office.engine.requests) == 1)

    cancelled = await office.desk.cancel(job.id, by="boss")

    assert cancelled.state is JobState.CANCELLED
    assert office.delivery.given_up == [cancelled]
    await until(lambda: repr(office.service) == "<Service 0 jobs running>")
    assert await acts(office.desk) == [("boss", "cancel", "person/discord/ada", f"job {job.id}")]


async def test_a_command_beside_the_bot_cancels_through_the_store(office: Office) -> None:
    waiting = await office.store.accept(submission(), now=NOON)

    assert (await office.beside.cancel(waiting.id, by="boss")).state is JobState.CANCELLED

    for gone in (waiting.id, JobId("nobody")):
        with pytest.raises(NotCancellableError):
            await office.beside.cancel(gone, by="boss")
    assert len(await acts(office.desk)) == 1


async def test_reports_and_strikes_reach_the_desk(office: Office) -> None:
    job = await office.store.accept(submission(community="guild"), now=NOON)
    await office.store.people.report(job.id, person("bob"), reason="ugly", now=NOON)

    (report,) = await office.desk.reports(community="guild")

    assert await office.desk.close_report(report.id, by="mod")
    assert await office.desk.reports() == []
    assert await office.desk.strikes() == []


async def test_stats_of_a_community_are_those_of_the_store(office: Office) -> None:
    await office.store.accept(submission(community="guild"), now=NOON)

    stats = await office.desk.community_stats(*GUILD, since=NOON)

    assert (stats.request_count, stats.people_count) == (1, 1)


async def test_an_export_by_an_admin_is_on_record_and_ones_own_is_not(office: Office) -> None:
    await office.store.accept(submission(), now=NOON)

    assert await office.desk.export(person()) == await office.desk.export(person(), by=None)
    assert await acts(office.desk) == []
    await office.desk.export(person(), by="boss")
    assert await acts(office.desk) == [("boss", "export", "person/discord/ada", "")]


async def test_an_erasure_cancels_what_is_drawn_and_removes_it(office: Office) -> None:
    office.engine.open.clear()
    job = await office.service.submit(submission())
    await until(lambda: len(office.engine.requests) == 1)

    assert await office.desk.erase(person(), by="ada") == 1

    assert await office.store.job(job.id) is None
    await until(lambda: repr(office.service) == "<Service 0 jobs running>")
    assert office.delivery.attempts == []


async def test_an_erasure_leaves_what_is_just_being_delivered_to_the_purge(
    office: Office,
) -> None:
    office.delivery.open.clear()
    job = await office.service.submit(submission())
    await until(lambda: len(office.delivery.attempts) == 1)
    assert await office.desk.erase(person(), by="ada") == 0

    office.delivery.open.set()
    await until(lambda: repr(office.service) == "<Service 0 jobs running>")
    assert len(office.delivery.delivered) == 1
    await office.store.purge(finished_before=None, now=NOON)

    assert await office.store.job(job.id) is None


async def test_whoever_keeps_files_hears_of_an_erasure(office: Office) -> None:
    told: list[tuple[Person, list[JobId]]] = []

    async def erase_files(who: Person, job_ids: Sequence[JobId]) -> None:
        told.append((who, list(job_ids)))

    office.desk.on_erase(erase_files)
    job = await office.store.accept(submission(), now=NOON)

    await office.desk.erase(person(), by="ada")

    assert told == [(person(), [job.id])]


async def test_acts_that_are_done_elsewhere_can_be_noted(office: Office) -> None:
    await office.desk.note("purge", by="terminal", detail="3 jobs")

    assert await acts(office.desk) == [("terminal", "purge", "bot", "3 jobs")]
    assert await office.desk.audit(before=1) == []
