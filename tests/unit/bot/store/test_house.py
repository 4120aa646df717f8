"""Rules, blocks and pauses: who is drawn for, and how fast a decision holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.jobs import (
    BlockedError,
    InvalidRuleError,
    PausedError,
    PlaceRefusedError,
    Platform,
    RefusedError,
    Scope,
)
from bot.store import UNLIMITED, CommunityRules, Store
from bot.store.house import AuditEntry, Block, Grant, House
from bot.store.house_records import LOOK_EVERY
from tests.support.clock import NOON
from tests.support.factories import person, submission

if TYPE_CHECKING:
    from datetime import datetime

    from bot.jobs import Submission
    from bot.store.database import Database

GUILD = (Platform.DISCORD, "guild")


def block(
    name: str = "ada", *, community: str | None = None, until: datetime | None = None
) -> Block:
    return Block(
        person=person(name), community=community, until=until, reason="spam", by="admin", at=NOON
    )


def house(*blocks: Block, is_paused: bool = False, rules: CommunityRules | None = None) -> House:
    return House(
        is_paused=is_paused,
        communities={} if rules is None else {GUILD: rules},
        blocks={(each.person, each.community): each for each in blocks},
    )


def refusal(of: House, wanted: Submission, now: datetime = NOON) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        of.check(wanted, now)
    return caught.value


# ------------------------------------------------------------------------- who is drawn for


def test_nobody_is_refused_where_nothing_was_decided() -> None:
    assert house().check(submission(community="guild"), NOON) == CommunityRules()


def test_a_block_everywhere_holds_in_every_community_and_alone() -> None:
    blocked = house(block())

    for community in (None, "guild"):
        error = refusal(blocked, submission(community=community))
        assert isinstance(error, BlockedError)
        assert (error.until, error.is_everywhere) == (None, True)
    blocked.check(submission(by=person("bob")), NOON)


def test_a_block_in_a_community_holds_only_there() -> None:
    blocked = house(block(community="guild"))

    error = refusal(blocked, submission(community="guild"))

    assert isinstance(error, BlockedError)
    assert not error.is_everywhere
    blocked.check(submission(community="other"), NOON)
    blocked.check(submission(), NOON)


def test_a_block_ends_at_its_moment() -> None:
    blocked = house(block(until=NOON))

    assert isinstance(refusal(blocked, submission(), NOON - timedelta(seconds=1)), BlockedError)
    blocked.check(submission(), NOON)


def test_a_block_of_somebody_of_the_same_name_elsewhere_does_not_count() -> None:
    house(block("7")).check(submission(by=person("7", Platform.X)), NOON)


def test_a_paused_bot_refuses_everybody_and_a_paused_community_those_in_it() -> None:
    everywhere = refusal(house(is_paused=True), submission())
    here = refusal(house(rules=CommunityRules(is_paused=True)), submission(community="guild"))

    assert isinstance(everywhere, PausedError)
    assert everywhere.is_everywhere
    assert isinstance(here, PausedError)
    assert not here.is_everywhere
    house(rules=CommunityRules(is_paused=True)).check(submission(community="other"), NOON)


@pytest.mark.parametrize("channel", [None, "lounge"])
def test_where_channels_are_named_no_other_counts(channel: str | None) -> None:
    named = house(rules=CommunityRules(channels=("art", "bots")))

    error = refusal(named, submission(community="guild", channel=channel))

    assert isinstance(error, PlaceRefusedError)
    assert error.channels == ("art", "bots")
    named.check(submission(community="guild", channel="bots"), NOON)


@pytest.mark.parametrize(
    "decided",
    [
        {"moderation": "harsh"},
        {"role_tiers": {"everyone": UNLIMITED}},
        {"channels": tuple(map(str, range(101)))},
        {"daily_pictures": 0},
        {"jobs_at_once": -1},
        {"jobs_at_once": 2_000_000_000},
    ],
    ids=str,
)
def test_rules_that_cannot_be_are_refused(decided: dict[str, object]) -> None:
    with pytest.raises(InvalidRuleError):
        CommunityRules(**decided)  # pyright: ignore[reportArgumentType] # the wrong ones, too


# ------------------------------------------------------------------------- what is remembered


RULES = CommunityRules(
    channels=("art",),
    role_tiers={"patrons": "friend"},
    moderation="strict",
    language="de",
    is_paused=True,
    daily_pictures=100,
    jobs_at_once=5,
)


async def test_rules_come_back_as_they_were_set_and_can_be_replaced(store: Store) -> None:
    await store.house.set_rules(*GUILD, RULES, by="admin", now=NOON)
    assert (await store.house.house(NOON)).rules_of(*GUILD) == RULES

    await store.house.set_rules(*GUILD, CommunityRules(), by="admin", now=NOON)
    assert (await store.house.house(NOON)).rules_of(*GUILD) == CommunityRules()


async def test_what_is_decided_holds_at_once_in_the_same_process(store: Store) -> None:
    await store.house.house(NOON)

    await store.house.block(block(community="guild", until=NOON + timedelta(days=1)))
    assert (await store.house.house(NOON)).blocks == {
        (person(), "guild"): block(community="guild", until=NOON + timedelta(days=1))
    }

    assert await store.house.unblock(person(), community="guild", by="admin", now=NOON)
    assert (await store.house.house(NOON)).blocks == {}
    assert not await store.house.unblock(person(), community="guild", by="admin", now=NOON)


async def test_what_another_process_decides_holds_a_moment_later(database: Database) -> None:
    here, there = Store(database), Store(database)
    await here.house.house(NOON)

    await there.house.set_paused(True, by="admin", now=NOON)

    assert not (await here.house.house(NOON)).is_paused
    assert (await here.house.house(NOON + LOOK_EVERY)).is_paused
    await there.house.set_paused(False, by="admin", now=NOON)
    assert not (await here.house.house(NOON + 2 * LOOK_EVERY)).is_paused


async def test_a_clock_that_was_set_back_does_not_keep_old_rules(database: Database) -> None:
    here, there = Store(database), Store(database)
    await here.house.house(NOON)
    await there.house.block(block())

    assert (await here.house.house(NOON - timedelta(hours=1))).blocks


async def test_a_later_block_of_the_same_place_replaces_the_earlier(store: Store) -> None:
    await store.house.block(block())
    await store.house.block(block(until=NOON + timedelta(days=1)))
    await store.house.block(block(community="guild"))

    blocks = (await store.house.house(NOON)).blocks
    assert len(blocks) == 2
    assert blocks[person(), None].until == NOON + timedelta(days=1)


async def test_grants_are_told_until_they_are_taken_away(store: Store) -> None:
    mine = Grant(platform=Platform.DISCORD, scope=Scope.PERSON, of="a/b", tier="friend")
    ours = Grant(platform=Platform.DISCORD, scope=Scope.COMMUNITY, of="guild", tier=UNLIMITED)
    for grant in (mine, ours):
        await store.house.grant(grant, by="admin", now=NOON)
    assert await store.house.grants() == [ours, mine]

    taken = Grant(platform=Platform.DISCORD, scope=Scope.COMMUNITY, of="guild", tier=None)
    await store.house.grant(taken, by="admin", now=NOON)
    assert await store.house.grants() == [mine]


DECIDED = (
    "channels=['art'], role_tiers={'patrons': 'friend'}, moderation=strict, language=de, "
    "is_paused=True, daily_pictures=100, jobs_at_once=5"
)


async def test_every_act_is_in_the_audit_log_newest_first_and_by_pages(store: Store) -> None:
    await store.house.set_rules(*GUILD, RULES, by="mod", now=NOON)
    await store.house.block(block(community="guild", until=NOON))
    await store.house.unblock(person(), community="guild", by="mod", now=NOON)
    await store.house.set_paused(True, by="boss", now=NOON)
    await store.house.set_paused(False, by="boss", now=NOON)
    await store.house.note(AuditEntry(act="purge", by="terminal", at=NOON, detail="3 jobs"))

    page = await store.house.audit(limit=4)
    rest = await store.house.audit(limit=4, before=page[-1].id)

    assert [(entry.by, entry.act, entry.subject, entry.detail) for entry in page + rest] == [
        ("terminal", "purge", "bot", "3 jobs"),
        ("boss", "resume", "bot", ""),
        ("boss", "pause", "bot", ""),
        ("mod", "unblock", "person/discord/ada", "community=guild"),
        (
            "admin",
            "block",
            "person/discord/ada",
            "in community guild until 2026-06-09 12:00 UTC: spam",
        ),
        (
            "mod",
            "set_community",
            "community/discord/guild",
            DECIDED,
        ),
    ]
    assert {entry.at for entry in page + rest} == {NOON}


async def test_a_block_for_good_without_a_reason_is_told_without_one(store: Store) -> None:
    await store.house.block(replace(block(), reason=""))

    (entry,) = await store.house.audit(limit=9)
    assert entry.detail == "everywhere for good"
