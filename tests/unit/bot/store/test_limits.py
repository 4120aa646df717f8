"""Limits, tiers and fair order in the database itself, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest

from bot.jobs import (
    JobState,
    OverBurstError,
    OverQuotaError,
    Person,
    Platform,
    RefusedError,
    Scope,
    TooManyJobsError,
)
from bot.store import UNLIMITED, Limits, Rules, Store, Tier
from bot.store.house import Grant
from tests.support.audit import leaks
from tests.support.clock import NOON
from tests.support.factories import person, submission

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.jobs import Job, Submission
    from bot.store.database import Database

DISCORD = [Platform.DISCORD]
SECONDS = count()


async def accept(
    store: Store, wanted: Submission, rules: Rules, now: datetime = NOON, worker: str | None = None
) -> Job:
    return await store.accept(wanted, now=now, rules=rules, worker=worker)


async def grant(store: Store, scope: Scope, of: str, tier: str | None) -> None:
    given = Grant(platform=Platform.DISCORD, scope=scope, of=of, tier=tier)
    await store.house.grant(given, by="admin", now=NOON)


async def refusal(store: Store, wanted: Submission, rules: Rules) -> RefusedError:
    with pytest.raises(RefusedError) as raised:
        await accept(store, wanted, rules)
    return raised.value


async def finish(store: Store, job: Job, delivered_count: int | None = None) -> None:
    await store.begin_drawing(job.id)
    await store.begin_delivery(job.id)
    await store.settle(job.id, now=NOON, delivered_count=delivered_count)


# ---------------------------------------------------------------------------------- the limits


async def test_the_limits_of_a_community_hold_for_all_its_people_together(store: Store) -> None:
    rules = Rules(community=Limits(daily_count=5))
    await accept(store, submission(by=person("ada"), community="guild"), rules)

    error = await refusal(store, submission(by=person("bob"), community="guild"), rules)

    assert isinstance(error, OverQuotaError)
    assert (error.scope, error.allowance_count, error.left_count) == (Scope.COMMUNITY, 5, 2)
    await accept(store, submission(by=person("bob"), community="another"), rules)
    await accept(store, submission(by=person("bob")), rules)


async def test_the_same_id_of_two_platforms_is_two_communities(store: Store) -> None:
    rules = Rules(community=Limits(daily_count=3))

    await accept(store, submission(community="1"), rules)
    await accept(store, submission(by=person(platform=Platform.X), community="1"), rules)


async def test_the_limits_of_the_bot_hold_for_everybody_together(store: Store) -> None:
    rules = Rules(bot=Limits(jobs_count=2))
    await accept(store, submission(by=person("ada")), rules)
    await accept(store, submission(by=person("bob", Platform.X)), rules)

    error = await refusal(store, submission(by=person("eve")), rules)

    assert isinstance(error, TooManyJobsError)
    assert (error.scope, error.allowance_count) == (Scope.BOT, 2)


async def test_who_is_refused_by_one_account_takes_nothing_from_the_others(
    store: Store, database: Database
) -> None:
    rules = Rules(community=Limits(daily_count=4), person=Limits(daily_count=9))
    await accept(store, submission(by=person("ada"), community="guild"), rules)

    await refusal(store, submission(by=person("bob"), community="guild"), rules)

    left = await store.standing(person("bob"), rules=rules, now=NOON, community="guild")
    assert left[Scope.PERSON].daily_left_count == 9
    assert left[Scope.COMMUNITY].daily_left_count == 1
    assert await leaks(database) == []


async def test_a_burst_comes_back_with_time(store: Store) -> None:
    rules = Rules(person=Limits(burst_count=9, refill_s=10.0))
    await accept(store, submission(picture_count=9), rules)

    error = await refusal(store, submission(picture_count=3), rules)

    assert isinstance(error, OverBurstError)
    in_time = NOON + timedelta(seconds=30)
    assert error.reopens_at == in_time
    await accept(store, submission(picture_count=3), rules, now=in_time)


async def test_only_what_was_delivered_is_paid_for(store: Store, database: Database) -> None:
    rules = Rules(person=Limits(daily_count=9, burst_count=9, refill_s=60.0))
    job = await accept(store, submission(picture_count=9), rules)

    await finish(store, job, delivered_count=4)

    left = (await store.standing(person(), rules=rules, now=NOON))[Scope.PERSON]
    assert (left.daily_left_count, left.burst_left_count) == (5, 5)
    assert await leaks(database) == []


async def test_an_open_job_that_ends_makes_room_for_another(store: Store) -> None:
    rules = Rules(person=Limits(jobs_count=1))
    job = await accept(store, submission(), rules)
    assert isinstance(await refusal(store, submission(), rules), TooManyJobsError)

    await finish(store, job)

    await accept(store, submission(), rules)


# ------------------------------------------------------------------------------------ the tiers

TIERED = Rules(
    person=Limits(daily_count=3),
    community=Limits(daily_count=3),
    tiers={"friend": Tier(person=Limits(daily_count=6), community=Limits(daily_count=20))},
)


async def test_a_tier_by_role_counts_where_the_role_is(store: Store) -> None:
    friend = submission(picture_count=6, tiers=frozenset({"friend"}))
    await accept(store, friend, TIERED)

    assert isinstance(await refusal(store, submission(picture_count=1), TIERED), OverQuotaError)


async def test_a_tier_by_grant_stays_until_it_is_taken_away(store: Store) -> None:
    await grant(store, Scope.PERSON, "ada", "friend")
    await accept(store, submission(picture_count=5), TIERED)

    await grant(store, Scope.PERSON, "ada", None)

    assert isinstance(await refusal(store, submission(picture_count=1), TIERED), OverQuotaError)


async def test_a_tier_of_a_community_counts_for_all_who_ask_there(store: Store) -> None:
    await grant(store, Scope.COMMUNITY, "guild", "friend")

    await accept(store, submission(picture_count=6, community="guild"), TIERED)

    left = await store.standing(person(), rules=TIERED, now=NOON, community="guild")
    assert left[Scope.COMMUNITY].daily_left_count == 14


async def test_who_is_unlimited_is_counted_and_never_refused(
    store: Store, database: Database
) -> None:
    rules = Rules(person=Limits(daily_count=1, jobs_count=1), bot=Limits(jobs_count=1))
    await grant(store, Scope.PERSON, "ada", UNLIMITED)

    for _ in range(3):
        await accept(store, submission(picture_count=16), rules)

    left = (await store.standing(person(), rules=rules, now=NOON))[Scope.PERSON]
    assert (left.daily_left_count, left.jobs_left_count) == (None, None)
    assert await leaks(database) == []


# -------------------------------------------------------------------------------- many at once

STRICT = Rules(
    person=Limits(daily_count=7, burst_count=6, refill_s=3_600.0, jobs_count=4),
    community=Limits(daily_count=30, jobs_count=12),
    bot=Limits(daily_count=50, jobs_count=20),
)


async def test_two_hundred_requests_at_once_exceed_no_limit_and_leak_nothing(
    store: Store, database: Database
) -> None:
    wanted = [
        submission(
            by=person(f"p{number % 11}"),
            community=f"g{number % 3}" if number % 4 else None,
            picture_count=1 + number % 3,
        )
        for number in range(200)
    ]

    results = await asyncio.gather(
        *(accept(store, each, STRICT) for each in wanted), return_exceptions=True
    )

    jobs = [result for result in results if not isinstance(result, BaseException)]
    refusals = [result for result in results if isinstance(result, OverQuotaError)]
    assert len(jobs) + len(refusals) == 200
    assert within_limits(jobs) == []
    assert len(jobs) == 20 or sum(count_of(job) for job in jobs) >= 48
    assert await leaks(database) == []


def count_of(job: Job) -> int:
    return job.submission.request.picture_count


def within_limits(jobs: Sequence[Job]) -> list[str]:
    """The accounts that were given more than the strict rules allow."""
    pictures: Counter[str] = Counter()
    open_jobs: Counter[str] = Counter()
    for job in jobs:
        for account in (job.submission.person.id, job.submission.community, "bot"):
            pictures[account or "nowhere"] += count_of(job)
            open_jobs[account or "nowhere"] += 1
    most = {"p": (6, 4), "g": (30, 12), "b": (50, 20), "n": (50, 20)}
    return [
        account
        for account in pictures
        if pictures[account] > most[account[0]][0] or open_jobs[account] > most[account[0]][1]
    ]


async def test_two_hundred_requests_at_once_do_not_exceed_what_a_community_has_set_itself(
    store: Store, database: Database
) -> None:
    narrow = Rules(
        community=Limits(daily_count=500),
        tiers={"friend": Tier(person=Limits(), community=Limits())},
    ).narrowed(daily_count=60, jobs_count=25)
    wanted = [
        submission(
            by=person(f"p{number}"),
            community=f"g{number % 2}",
            picture_count=1 + number % 5,
            tiers=frozenset({"friend"} if number % 3 else ()),
        )
        for number in range(200)
    ]

    results = await asyncio.gather(
        *(accept(store, each, narrow) for each in wanted), return_exceptions=True
    )

    jobs = [result for result in results if not isinstance(result, BaseException)]
    refusals = [result for result in results if isinstance(result, OverQuotaError)]
    assert len(jobs) + len(refusals) == 200
    assert {error.scope for error in refusals} == {Scope.COMMUNITY}
    for community in ("g0", "g1"):
        here = [job for job in jobs if job.submission.community == community]
        assert len(here) <= 25
        assert 56 <= sum(count_of(job) for job in here) <= 60
    assert await leaks(database) == []


async def test_everything_at_once_leaks_nothing(store: Store, database: Database) -> None:
    """Accept, take up, deliver in part, fail and cancel, all at the same time."""

    async def one_life(number: int) -> None:
        who = person(f"p{number % 5}")
        wanted = submission(by=who, community=f"g{number % 2}", picture_count=1 + number % 5)
        job = await accept(store, wanted, Rules(), worker="bot" if number % 3 else None)
        match number % 6:
            case 0:
                await finish(store, job, delivered_count=1)
            case 1:
                await store.give_back(job.id, reason="it broke", now=NOON)
            case 2:
                await store.cancel(job.id, who, now=NOON)
            case 3:
                await store.abandon(job.id, now=NOON)
            case 4:
                await store.begin_drawing(job.id)
                await store.cancel(job.id, who, now=NOON)
            case _:
                await store.take_up(DISCORD, worker="bot", room=3)

    await asyncio.gather(*(one_life(number) for number in range(60)))

    assert await leaks(database) == []


async def test_one_poisonous_request_does_not_spoil_those_accepted_with_it(store: Store) -> None:
    poison = submission(address={"broken": "\ud800"}, event_id="\ud800")
    results = await asyncio.gather(
        *(accept(store, each, Rules()) for each in (submission(), poison, submission())),
        return_exceptions=True,
    )

    assert [isinstance(result, BaseException) for result in results] == [False, True, False]
    assert len(await store.unfinished(DISCORD)) == 2


# -------------------------------------------------------------------------------- the fair order


async def order(store: Store, room: int = 1_000) -> list[str]:
    taken = await store.take_up(DISCORD, worker="bot", room=room)
    return [job.submission.person.id for job in taken]


async def send(store: Store, who: str, community: str | None, jobs: int = 1) -> None:
    for _ in range(jobs):
        wanted = submission(by=person(who), community=community)
        await accept(store, wanted, Rules(), now=NOON + timedelta(seconds=next(SECONDS)))


async def test_a_person_with_many_jobs_lets_others_of_their_community_through(
    store: Store,
) -> None:
    await send(store, "ada", "guild", 4)
    await send(store, "bob", "guild", 2)
    await send(store, "eve", "guild", 1)

    assert await order(store) == ["ada", "bob", "eve", "ada", "bob", "ada", "ada"]


async def test_communities_and_people_without_one_take_turns(
    store: Store, database: Database
) -> None:
    for number in range(4):
        await send(store, f"crowd-{number}", "crowd")
    await send(store, "pair-0", "pair")
    await send(store, "alone", None, 2)

    first_three = await order(store, room=9)
    assert sorted(first_three) == ["alone", "crowd-0", "pair-0"]
    assert sorted(await order(store, room=6)) == ["alone", "crowd-1"]
    assert await order(store) == ["crowd-2", "crowd-3"]
    assert await leaks(database) == []


async def test_a_community_that_was_quiet_saves_up_no_turns(store: Store) -> None:
    for number in range(8):
        await send(store, f"crowd-{number}", "crowd")
    await order(store, room=12)

    await send(store, "late-0", "late")
    await send(store, "late-1", "late")

    assert await order(store, room=12) == ["late-0", "crowd-4", "late-1", "crowd-5"]


async def test_jobs_are_taken_up_once_and_only_for_the_platforms_asked_for(store: Store) -> None:
    await send(store, "ada", None)
    await accept(store, submission(by=person("bob", Platform.X)), Rules())

    assert await order(store) == ["ada"]
    assert await order(store) == []
    assert len(await store.take_up([Platform.X, Platform.WEB], worker="bot", room=9)) == 1


async def test_a_job_that_is_taken_up_at_once_does_not_wait_in_its_line(store: Store) -> None:
    await accept(store, submission(), Rules(), worker="bot")

    assert await order(store) == []
    assert [job.state for job in await store.taken("bot", DISCORD)] == [JobState.ACCEPTED]
    assert await store.taken("another", DISCORD) == []


async def test_as_many_jobs_are_taken_up_as_there_is_room(store: Store) -> None:
    await send(store, "ada", None, 5)

    assert len(await order(store, room=4)) == 2
    assert len(await order(store, room=0)) == 0
    assert len(await order(store, room=3)) == 1


async def test_several_processes_share_what_waits(store: Store, any_database_url: str) -> None:
    await asyncio.gather(*(send(store, f"p{n % 7}", f"g{n % 2}") for n in range(30)))
    other = await Store.open(any_database_url)

    taken = await asyncio.gather(
        *(
            each.take_up(DISCORD, worker=name, room=6)
            for _ in range(10)
            for each, name in ((store, "one"), (other, "two"))
        )
    )

    ids = [job.id for some in taken for job in some]
    assert len(ids) == len(set(ids)) == 30
    await other.close()


# ------------------------------------------------------------------------------------- to cancel


@pytest.mark.parametrize("worker", [None, "bot"])
@pytest.mark.parametrize("is_drawing", [False, True])
async def test_a_job_can_be_cancelled_while_it_waits_or_is_drawn(
    store: Store, database: Database, worker: str | None, *, is_drawing: bool
) -> None:
    rules = Rules(person=Limits(daily_count=9))
    job = await accept(store, submission(picture_count=9), rules, worker=worker)
    if is_drawing:
        await store.begin_drawing(job.id)

    cancelled = await store.cancel(job.id, person(), now=NOON)

    assert cancelled is not None
    assert cancelled.state is JobState.CANCELLED
    assert await store.allowance_left(person(), now=NOON, allowance_count=9) == 9
    assert await order(store) == []
    assert await leaks(database) == []
    assert await store.cancel(job.id, person(), now=NOON) is None


async def test_nobody_cancels_the_job_of_another(store: Store) -> None:
    job = await accept(store, submission(), Rules())

    for other in (person("bob"), Person(platform=Platform.X, id="ada")):
        assert await store.cancel(job.id, other, now=NOON) is None


async def test_what_may_have_arrived_already_cannot_be_cancelled(store: Store) -> None:
    job = await accept(store, submission(), Rules())
    await store.begin_drawing(job.id)
    await store.begin_delivery(job.id)
    await store.begin_drawing(job.id)  # after a restart

    assert await store.cancel(job.id, person(), now=NOON) is None


# ------------------------------------------------------------------------------------ of crashes


async def test_each_time_that_drawing_is_begun_is_counted_until_it_ends(store: Store) -> None:
    job = await accept(store, submission(), Rules())

    counts = [(await store.begin_drawing(job.id)).begun_count for _ in range(3)]
    await store.begin_delivery(job.id)
    again = await store.begin_drawing(job.id)

    assert counts == [0, 1, 2]
    assert again.begun_count == 0


async def test_an_orderly_end_is_no_crash(store: Store) -> None:
    job = await accept(store, submission(), Rules(), worker="one")
    await store.begin_drawing(job.id, "one")

    await store.release("another")
    assert [job.begun_count for job in await store.taken("one", DISCORD)] == [1]
    await store.release("one")
    await store.release("one")

    assert [job.begun_count for job in await store.taken("one", DISCORD)] == [0]
