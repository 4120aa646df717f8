from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.store import Store
from bot.x.api import CredentialsError, PausedError
from bot.x.config import XConfig
from bot.x.gates import Gates, PostWindows
from bot.x.prices import Call, Prices
from tests.support.clock import NOON, Clock
from tests.support.inline_database import InlineDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from bot.store.database import Database

CONFIG = XConfig(api_key="", api_secret="", access_token="", access_token_secret="")
LIMITS = ((timedelta(minutes=15), 2), (timedelta(hours=3), 3))


@pytest.fixture
def store() -> Iterator[Store]:
    database = InlineDatabase()
    yield Store(cast("Database", database))
    database.close()


def gates(store: Store, clock: Clock) -> Gates:
    config = replace(CONFIG, daily_usd=0.4)
    return Gates(config, store.x, store, clock=clock, sleep=clock.sleep)


def failing(*errors: PausedError) -> Callable[[], asyncio.Future[str]]:
    """An action that raises each of ``errors``, then works."""
    left = list(errors)

    def act() -> asyncio.Future[str]:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if left:
            future.set_exception(left.pop(0))
        else:
            future.set_result("done")
        return future

    return act


def paused(minutes: int, *, is_growing: bool = False, is_for_all: bool = False) -> PausedError:
    return PausedError(
        "later",
        retry_at=NOON + timedelta(minutes=minutes),
        is_growing=is_growing,
        is_for_all=is_for_all,
    )


async def test_a_call_is_repeated_as_soon_as_x_allows_it(store: Store) -> None:
    clock = Clock()

    assert await gates(store, clock).mentions.call(failing(paused(7))) == "done"
    assert clock.now == NOON + timedelta(minutes=7)


async def test_pauses_that_x_did_not_name_grow_up_to_an_hour(store: Store) -> None:
    clock = Clock()
    left_count = 4

    async def act() -> None:
        nonlocal left_count
        left_count -= 1
        if left_count >= 0:
            again = clock() + timedelta(minutes=15)
            raise PausedError("limit", retry_at=again, is_growing=True)

    await gates(store, clock).posts.call(act)

    assert clock.slept_s == [15 * 60, 30 * 60, 60 * 60, 60 * 60]


async def test_no_credit_closes_all_gates_and_a_rate_limit_only_one(store: Store) -> None:
    clock = Clock()
    all_gates = gates(store, clock)
    with pytest.raises(PausedError):
        await all_gates.mentions.try_once(failing(paused(5)))
    assert await all_gates.posts.is_open()
    with pytest.raises(PausedError):
        await all_gates.mentions.try_once(failing(paused(9, is_for_all=True)))

    assert not await all_gates.posts.is_open()


async def test_only_moments_that_x_named_survive_a_restart(store: Store) -> None:
    clock = Clock()
    before = gates(store, clock)
    with pytest.raises(PausedError):
        await before.posts.try_once(failing(paused(5)))
    with pytest.raises(PausedError):
        await before.mentions.try_once(
            failing(CredentialsError("wrong", retry_at=NOON + timedelta(hours=1)))
        )

    after = gates(store, clock)

    assert not await after.posts.is_open()
    assert await after.mentions.is_open()


async def test_calls_of_one_kind_go_one_at_a_time(store: Store) -> None:
    gate = gates(store, Clock()).uploads
    under_way, most = 0, 0

    async def act() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    await asyncio.gather(*(gate.call(act) for _ in range(5)))

    assert most == 1


async def test_what_a_call_costs_is_noted_before_it_is_made(store: Store) -> None:
    gate = gates(store, Clock()).alt_texts

    with pytest.raises(PausedError):
        await gate.try_once(failing(paused(5)))

    assert await store.x.money.spent_micros(NOON.date()) == Prices().alt_text


async def test_without_money_for_it_a_call_waits_for_midnight(store: Store) -> None:
    clock = Clock()
    await store.x.money.spend(
        Prices().cost(Call.REPLY, 10), now=NOON
    )  # 0.30 of 0.40 is the reserve

    await gates(store, clock).erasures.call(failing())

    assert clock.now == NOON + timedelta(hours=12)


@given(st.lists(st.integers(0, 3_000), max_size=40))
def test_no_span_ever_holds_more_posts_than_its_limit(waits_s: list[int]) -> None:
    windows, now = PostWindows(LIMITS), NOON
    made: list[datetime] = []
    for wait_s in waits_s:
        now = max(now + timedelta(seconds=wait_s), windows.open_at(now))
        now = windows.open_at(now)
        windows.note(now)
        made.append(now)

    for span, limit_count in LIMITS:
        for first, last in zip(made, made[limit_count:], strict=False):
            assert last - first >= span


def test_windows_know_the_posts_of_an_earlier_process() -> None:
    earlier = [NOON - timedelta(minutes=20), NOON - timedelta(minutes=1)]

    windows = PostWindows(LIMITS, earlier)
    assert windows.open_at(NOON) == NOON
    windows.note(NOON)
    assert windows.open_at(NOON) == NOON - timedelta(minutes=20) + timedelta(hours=3)
