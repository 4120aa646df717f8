"""Who gets past the service's door: rules of the house, the gatekeeper, then the limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.desk import CommunityRules, Desk
from bot.jobs import (
    BlockedError,
    DuplicateEventError,
    ModeratedError,
    OverQuotaError,
    PausedError,
    PlaceRefusedError,
    Platform,
    RefusedError,
    Scope,
    TooManyJobsError,
    UnavailableError,
)
from bot.sentences import explain
from bot.service import Service
from bot.store import UNLIMITED, Limits, Rules, Store, StoreError
from tests.support.clock import NOON, Clock
from tests.support.factories import database_url, person, submission
from tests.support.scripted_delivery import ScriptedDelivery
from tests.support.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.jobs import Submission

GUILD = (Platform.DISCORD, "guild")


class Porter:
    """A gatekeeper that remembers whom it saw, and does what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str | None]] = []
        self.error: Exception | None = None
        self.is_soft = False

    async def admit(self, submission: Submission, *, level: str | None) -> Submission:
        self.seen.append((submission.request.prompt, level))
        if self.error is not None:
            raise self.error
        return replace(submission, is_soft=self.is_soft)


class Door:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = Clock()
        self.porter = Porter()
        self.engine = ScriptedEngine()
        self.service = Service(
            store=store,
            engine=self.engine,
            rules=Rules(community=Limits(daily_count=20, jobs_count=9)),
            gatekeeper=self.porter,
            clock=self.clock,
        )
        self.service.register(Platform.DISCORD, ScriptedDelivery())
        self.desk = Desk(store, clock=self.clock)

    async def refusal(self, wanted: Submission) -> RefusedError:
        with pytest.raises(RefusedError) as caught:
            await self.service.submit(wanted)
        return caught.value


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    door = Door(await Store.open(database_url(tmp_path)))
    yield door
    door.engine.open.set()
    await door.service.close(grace_s=20)
    await door.store.close()


async def test_who_is_blocked_is_told_so_and_until_when(door: Door) -> None:
    end = NOON + timedelta(hours=2)
    await door.desk.block(person(), community=None, until=end, reason="spam", by="boss")

    error = await door.refusal(submission())

    assert isinstance(error, BlockedError)
    assert explain(error, NOON) == (
        "An admin has blocked you from asking this bot for pictures. "
        "That ends at 14:00 UTC, in 2 h."
    )
    assert door.porter.seen == []
    door.clock.advance(timedelta(hours=2))
    await door.service.submit(submission())


async def test_who_is_blocked_in_a_community_may_ask_elsewhere(door: Door) -> None:
    await door.desk.block(person(), community="guild", until=None, reason="", by="mod")

    error = await door.refusal(submission(community="guild"))

    assert explain(error, NOON) == "An admin has blocked you from asking the bot here for pictures."
    await door.service.submit(submission(community="other"))


async def test_a_paused_bot_and_a_paused_community_say_so(door: Door) -> None:
    await door.desk.set_community(*GUILD, CommunityRules(is_paused=True), by="mod")
    here = await door.refusal(submission(community="guild"))
    await door.desk.pause(by="boss")
    everywhere = await door.refusal(submission())

    assert isinstance(everywhere, PausedError)
    assert [explain(error, NOON) for error in (here, everywhere)] == [
        (
            "Drawing is paused here by an admin. Please try again later. "
            "Nothing was taken from your allowance."
        ),
        (
            "Drawing is paused by an admin. Please try again later. "
            "Nothing was taken from your allowance."
        ),
    ]


async def test_what_was_accepted_before_a_pause_is_still_drawn(door: Door) -> None:
    door.engine.open.clear()
    job = await door.service.submit(submission())
    await door.desk.pause(by="boss")

    door.engine.open.set()
    await door.service.close(grace_s=20)

    past = await door.store.archive.past(job.id)
    assert past is not None
    assert len(past.pictures) == 3


async def test_the_wrong_channel_is_refused(door: Door) -> None:
    await door.desk.set_community(*GUILD, CommunityRules(channels=("art",)), by="mod")

    error = await door.refusal(submission(community="guild", channel="lounge"))

    assert isinstance(error, PlaceRefusedError)
    assert explain(error, NOON) == (
        "Pictures may be asked for only in other channels of this place. "
        "Nothing was taken from your allowance."
    )
    job = await door.service.submit(submission(community="guild", channel="art"))
    assert job.submission.channel == "art"


async def test_the_gatekeeper_learns_the_level_of_the_community_and_may_mark_the_words(
    door: Door,
) -> None:
    await door.desk.set_community(*GUILD, CommunityRules(moderation="strict"), by="mod")
    door.porter.is_soft = True

    job = await door.service.submit(submission(prompt="a knife", community="guild"))
    await door.service.submit(submission(prompt="a fork"))

    assert door.porter.seen == [("a knife", "strict"), ("a fork", None)]
    stored = await door.store.job(job.id)
    assert stored is not None
    assert stored.submission.is_soft


async def test_words_that_are_not_drawn_cost_nothing(door: Door) -> None:
    door.porter.error = ModeratedError("gore")

    error = await door.refusal(submission(community="guild"))

    assert isinstance(error, ModeratedError)
    assert error.code == "gore"
    left = await door.service.standing(person(), community="guild")
    assert left[Scope.COMMUNITY].daily_left_count == 20
    assert await door.store.archive.history(person()) == []


async def test_a_strike_that_cannot_be_noted_refuses_as_a_database_that_failed(door: Door) -> None:
    door.porter.error = StoreError("The disk is full.")

    assert isinstance(await door.refusal(submission()), UnavailableError)


async def test_an_event_that_was_accepted_is_not_refused_when_it_comes_again(door: Door) -> None:
    wanted = submission(event_id="once")
    job = await door.service.submit(wanted)
    await door.desk.pause(by="boss")

    error = await door.refusal(wanted)

    assert isinstance(error, DuplicateEventError)
    assert error.job.id == job.id


async def test_a_community_can_narrow_its_limits_and_not_widen_them(door: Door) -> None:
    narrow = CommunityRules(daily_pictures=4, jobs_at_once=1)
    await door.desk.set_community(*GUILD, narrow, by="mod")
    error = await door.refusal(submission(community="guild", picture_count=5))
    assert isinstance(error, OverQuotaError)
    assert (error.scope, error.allowance_count) == (Scope.COMMUNITY, 4)
    standing = await door.service.standing(person(), community="guild")
    assert standing[Scope.COMMUNITY].daily_left_count == 4

    door.engine.open.clear()
    await door.service.submit(submission(community="guild", picture_count=1))
    error = await door.refusal(submission(community="guild", picture_count=1))
    assert isinstance(error, TooManyJobsError)

    wide = CommunityRules(daily_pictures=10_000, jobs_at_once=10_000)
    await door.desk.set_community(*GUILD, wide, by="mod")
    standing = await door.service.standing(person(), community="guild")
    left = standing[Scope.COMMUNITY]
    assert (left.daily_left_count, left.jobs_left_count) == (19, 8)


async def test_what_a_community_has_set_itself_holds_whatever_tier_it_was_granted(
    door: Door,
) -> None:
    await door.desk.grant(Platform.DISCORD, Scope.COMMUNITY, "guild", UNLIMITED, by="boss")
    await door.desk.set_community(*GUILD, CommunityRules(daily_pictures=4), by="mod")

    error = await door.refusal(submission(community="guild", picture_count=5))

    assert isinstance(error, OverQuotaError)
    free = submission(community="guild", picture_count=5, tiers=frozenset({UNLIMITED}))
    await door.service.submit(free)
