from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bot.store import Store, StoreError
from bot.store.x_states import Cost
from bot.vitals import Vitals, VitalsReader
from engine.api import EngineError, EngineStats
from tests.support.broken_database import lose_table
from tests.support.clock import NOON, Clock
from tests.support.factories import database_url, person, submission
from tests.support.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class SilentEngine(ScriptedEngine):
    """Never tells how it is doing."""

    async def stats(self) -> EngineStats:
        await asyncio.Event().wait()
        raise AssertionError


class BrokenEngine(ScriptedEngine):
    async def stats(self) -> EngineStats:
        raise EngineError("It broke.")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(database_url(tmp_path))
    yield opened
    await opened.close()


async def not_paused() -> bool:
    return False


async def unknown() -> bool:
    raise StoreError("It is gone.")


def reader(
    store: Store, engine: ScriptedEngine | None = None, *, within_s: float = 20.0
) -> VitalsReader:
    return VitalsReader(
        engine=engine or ScriptedEngine(),
        store=store,
        clock=Clock(),
        is_paused=not_paused,
        platforms=lambda: {"discord": True},
        x_daily_usd=10.0,
        within_s=within_s,
    )


async def test_everything_is_read_at_once(store: Store) -> None:
    await store.accept(submission(picture_count=4), now=NOON, allowance_count=9)
    job = await store.accept(submission(), now=NOON)
    for name in ("bob", "eve"):
        await store.people.report(job.id, person(name), reason="ugly", now=NOON)
    (report, _) = await store.people.reports(is_open=True)
    await store.people.close_report(report.id, by="mod", now=NOON)
    await store.x.money.spend(Cost(call="reply", unit_count=1, unit_micros=16_000), now=NOON)

    vitals = await reader(store).read()

    assert vitals.at == NOON
    assert vitals.engine == EngineStats(slot_count=4)
    assert vitals.loads is not None
    assert [load.picture_count for load in vitals.loads] == [7]
    assert vitals.open_report_count == 1
    assert (vitals.x_spent_usd, vitals.x_daily_usd, vitals.is_paused) == (0.016, 10.0, False)
    assert vitals.obstacles == ()


@pytest.mark.parametrize("engine", [SilentEngine, BrokenEngine])
async def test_an_engine_that_does_not_answer_hides_nothing_else(
    store: Store, engine: type[ScriptedEngine]
) -> None:
    vitals = await reader(store, engine(), within_s=0.2).read()

    assert vitals.engine is None
    assert vitals.obstacles[0] == "engine"
    assert vitals.platforms == {"discord": True}


async def test_a_database_that_fails_hides_nothing_else(store: Store, tmp_path: Path) -> None:
    lose_table(tmp_path / "imagine.db", "jobs")
    broken = VitalsReader(engine=ScriptedEngine(), store=store, clock=Clock(), is_paused=unknown)

    vitals = await broken.read()

    assert vitals.engine == EngineStats(slot_count=4)
    assert (vitals.loads, vitals.is_paused) == (None, None)
    assert vitals.obstacles == ("database",)


async def test_where_x_is_off_nothing_is_known_of_its_money(store: Store) -> None:
    vitals = await VitalsReader(
        engine=ScriptedEngine(), store=store, clock=Clock(), is_paused=not_paused
    ).read()

    assert (vitals.x_spent_usd, vitals.x_daily_usd) == (None, None)


def test_whatever_keeps_a_request_from_being_drawn_is_named() -> None:
    starting = EngineStats(slot_count=0)

    assert Vitals(at=NOON).obstacles == ("engine", "database")
    assert Vitals(
        at=NOON, engine=starting, loads=(), platforms={"discord": True, "x": False}
    ).obstacles == ("engine", "x")
    assert (
        Vitals(at=NOON, engine=EngineStats(slot_count=1), loads=(), is_paused=True).obstacles == ()
    )
