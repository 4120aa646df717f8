"""What an open page is told that only the database knows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.jobs import Platform
from bot.store import Store
from bot.studio import Studio
from bot.web import views
from bot.web.album import Album
from bot.web.board import Board
from bot.web.following import FollowingRoutes
from bot.web.gallery import Gallery
from tests.support.clock import NOON, Clock
from tests.support.factories import database_url, person, submission
from tests.support.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.jobs import Job, JobId

SOON_S = 0.01
SOMEBODY = person("192.0.2.1", Platform.WEB)


@dataclass(frozen=True, kw_only=True)
class Following:
    """The routes that show, and what they look at."""

    page: TestClient[web.Request, web.Application]
    store: Store
    board: Board
    album: Album
    pictures_dir: Path

    async def accepted(self) -> Job:
        job = await self.store.accept(submission(by=SOMEBODY), now=NOON)
        self.board.post(job.id, views.accepted(job))
        return job

    async def state(self, job_id: JobId) -> str:
        async with self.page.get(f"/api/jobs/{job_id}") as answer:
            return (await answer.json())["state"]

    async def past_states(self) -> list[Any]:
        return [job["state"] for job in await self.album.history(SOMEBODY, limit=9, before=None)]


@pytest.fixture
async def following(tmp_path: Path) -> AsyncIterator[Following]:
    store = await Store.open(database_url(tmp_path))
    board, pictures_dir = Board(), tmp_path / "pictures"
    studio = Studio(store=store, engine=ScriptedEngine(), clock=Clock())
    album = Album(board, Gallery(pictures_dir), studio)
    app = web.Application()
    app.add_routes(FollowingRoutes(board, album, keep_alive_s=SOON_S).routes())
    async with TestClient(TestServer(app)) as page:
        yield Following(page=page, store=store, board=board, album=album, pictures_dir=pictures_dir)
    await store.close()


def states_of(told: str) -> list[str]:
    lines = [line for line in told.splitlines() if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: "))["state"] for line in lines]


async def test_a_request_that_was_cancelled_beside_this_process_ends_for_whoever_watches(
    following: Following,
) -> None:
    job = await following.accepted()

    async with following.page.get(f"/api/jobs/{job.id}/events") as stream:
        await following.store.cancel(job.id, SOMEBODY, now=NOON)
        assert states_of(await stream.text()) == ["queued", "cancelled"]

    assert await following.state(job.id) == "cancelled"
    assert await following.past_states() == ["cancelled"]


async def test_a_request_that_was_drawn_beside_this_process_ends_for_whoever_watches(
    following: Following,
) -> None:
    job = await following.accepted()

    async with following.page.get(f"/api/jobs/{job.id}/events") as stream:
        await following.store.begin_drawing(job.id)
        await following.store.begin_delivery(job.id)
        await following.store.settle(job.id, now=NOON)
        assert states_of(await stream.text()) == ["queued", "done"]

    assert await following.state(job.id) == "done"
    assert await following.past_states() == ["done"]


async def test_what_an_earlier_version_wrote_of_a_beginning_hides_no_end(
    following: Following,
) -> None:
    job = await following.store.accept(submission(by=SOMEBODY), now=NOON)
    folder = following.pictures_dir / job.id
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps(views.accepted(job)), "utf-8")
    assert await following.state(job.id) == "queued"

    await following.store.give_back(job.id, reason="broke", now=NOON)
    await following.store.abandon(job.id, now=NOON)

    async with following.page.get(f"/api/jobs/{job.id}/events") as stream:
        assert states_of(await stream.text()) == ["failed"]
    assert await following.past_states() == ["failed"]
