from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.jobs import JobId, Platform
from bot.web.keeping import Keeper
from tests.support.clock import NOON, Clock
from tests.support.factories import person
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from bot.jobs import Person

ADA = person("192.0.2.1", Platform.WEB)


def keep(folder: Path, name: str, *, age: timedelta = timedelta(0)) -> Path:
    """A folder of a job whose files were written that long before noon."""
    kept = folder / name
    kept.mkdir(parents=True)
    (kept / "grid.png").touch()
    then_s = (NOON - age).timestamp()
    for path in (kept / "grid.png", kept):
        os.utime(path, (then_s, then_s))
    return kept


def keeper(folder: Path, *, days: int | None = 30) -> Keeper:
    kept_for = None if days is None else timedelta(days=days)
    return Keeper(folder, kept_for=kept_for, clock=Clock())


async def test_the_files_of_erased_jobs_are_removed_and_no_others(tmp_path: Path) -> None:
    gone, stays = keep(tmp_path, "a"), keep(tmp_path, "b")

    await keeper(tmp_path)(ADA, [JobId("a"), JobId("never-drawn")])

    assert (gone.exists(), stays.exists()) == (False, True)


@pytest.mark.parametrize("who", [person("7"), person("7", Platform.TERMINAL)])
async def test_other_platforms_have_no_files_here(tmp_path: Path, who: Person) -> None:
    stays = keep(tmp_path, "a")

    await keeper(tmp_path)(who, [JobId("a")])

    assert stays.exists()


async def test_old_folders_are_forgotten_and_new_ones_kept(tmp_path: Path) -> None:
    old = keep(tmp_path, "a", age=timedelta(days=31))
    used_again = keep(tmp_path, "b", age=timedelta(days=31))
    new = keep(tmp_path, "c", age=timedelta(days=29))
    (used_again / "01-x4.png").touch()

    assert await keeper(tmp_path).purge(NOON - timedelta(days=30)) == 1
    assert [path.exists() for path in (old, used_again, new)] == [False, True, True]


async def test_a_folder_that_is_not_there_yet_has_nothing_to_forget(tmp_path: Path) -> None:
    assert await keeper(tmp_path / "pictures").purge(NOON) == 0


async def test_it_forgets_now_and_every_day_until_it_is_closed(tmp_path: Path) -> None:
    clock, old = Clock(), keep(tmp_path, "a", age=timedelta(days=31))
    soon_old = keep(tmp_path, "b", age=timedelta(days=28, hours=1))
    slept = asyncio.Semaphore(2)

    async def sleep(seconds: float) -> None:
        await slept.acquire()
        await clock.sleep(seconds)

    running = Keeper(tmp_path, kept_for=timedelta(days=30), clock=clock, sleep=sleep)
    running.start()
    await until(lambda: len(clock.slept_s) == 2 and not soon_old.exists())
    await running.close()

    assert not old.exists()
    assert clock.slept_s == [86_400.0, 86_400.0]


async def test_what_is_kept_for_ever_is_not_looked_at(tmp_path: Path) -> None:
    old = keep(tmp_path, "a", age=timedelta(days=9_999))
    forever = keeper(tmp_path, days=None)

    forever.start()
    await forever.close()

    assert old.exists()
