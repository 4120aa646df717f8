"""What an open page is told that only the database knows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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
    from pathlib import Path

SOON_S = 0.01


async def test_a_request_that_was_cancelled_beside_this_process_ends_for_whoever_watches(
    tmp_path: Path,
) -> None:
    store = await Store.open(database_url(tmp_path))
    board, somebody = Board(), person("192.0.2.1", Platform.WEB)
    album = Album(
        board,
        Gallery(tmp_path / "pictures"),
        Studio(store=store, engine=ScriptedEngine(), clock=Clock()),
    )
    app = web.Application()
    app.add_routes(FollowingRoutes(board, album, keep_alive_s=SOON_S).routes())
    job = await store.accept(submission(by=somebody), now=NOON)
    board.post(job.id, views.accepted(job))

    async with TestClient(TestServer(app)) as page:
        async with page.get(f"/api/jobs/{job.id}/events") as stream:
            await store.cancel(job.id, somebody, now=NOON)
            told = await stream.text()
        states = [
            json.loads(line.removeprefix("data: "))["state"]
            for line in told.splitlines()
            if line.startswith("data: ")
        ]
        assert states == ["queued", "cancelled"]
        async with page.get(f"/api/jobs/{job.id}") as answer:
            assert (await answer.json())["state"] == "cancelled"
        assert [view["state"] for view in await album.history(somebody, limit=9, before=None)] == [
            "cancelled"
        ]
    await store.close()
