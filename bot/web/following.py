"""The routes that show: a job, how it goes on, its pictures, and somebody's history."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from bot import sentences
from bot.jobs import JobId
from bot.web import views
from bot.web.answers import fresh, person_of
from bot.web.guard import refusal

if TYPE_CHECKING:
    from bot.web.album import Album
    from bot.web.board import Board, Watch
    from bot.web.views import View

HISTORY_COUNT: Final = 12
MAX_HISTORY_COUNT: Final = 100
KEEP_ALIVE_S: Final = 15.0
_EVENT_STREAM: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
_KEPT: Final = {"Cache-Control": "private, max-age=31536000, immutable"}
_RECONNECT: Final = b"retry: 2000\n\n"


class FollowingRoutes:
    """Shows what the board and the album know."""

    def __init__(self, board: Board, album: Album, *, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        self._board = board
        self._album = album
        self._keep_alive_s = keep_alive_s

    def routes(self) -> list[web.RouteDef]:
        """Everything that a GET can look at."""
        return [
            web.get("/api/jobs/{job_id}", self._job),
            web.get("/api/jobs/{job_id}/events", self._events),
            web.get("/api/jobs/{job_id}/preview", self._preview),
            web.get("/api/history", self._history),
            web.get("/pictures/{job_id}/{name}", self._picture),
        ]

    async def _job(self, request: web.Request) -> web.Response:
        view = await self._album.view(_job_id(request))
        return _no_such_job() if view is None else fresh(view)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        job_id = _job_id(request)
        with self._board.watching(job_id) as watch:  # before looking, so that nothing is missed
            view = await self._album.view(job_id)
            if view is None:
                return _no_such_job()
            response = web.StreamResponse(headers=_EVENT_STREAM)
            await response.prepare(request)
            await response.write(_RECONNECT)
            await self._follow(response, job_id, view, watch)
            return response

    async def _follow(
        self, response: web.StreamResponse, job_id: JobId, view: View | None, watch: Watch
    ) -> None:
        """Send a view and each newer one until the last."""
        while view is not None:
            await response.write(f"data: {json.dumps(view)}\n\n".encode())
            if views.is_final(view):
                return
            view = await self._next_view(response, job_id, watch)

    async def _next_view(
        self, response: web.StreamResponse, job_id: JobId, watch: Watch
    ) -> View | None:
        while True:
            try:
                return await asyncio.wait_for(watch.next(), self._keep_alive_s)
            except TimeoutError:
                await response.write(b": still here\n\n")  # notices a watcher who has left
            view = await self._album.view(job_id)
            if view is not None and views.is_final(view):
                return view

    async def _preview(self, request: web.Request) -> web.Response:
        webp = self._board.preview(_job_id(request))
        headers = {"Cache-Control": "no-store"}
        if webp is None:  # none yet, or the pictures themselves are there
            return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)
        return web.Response(body=webp, content_type="image/webp", headers=headers)

    async def _history(self, request: web.Request) -> web.Response:
        limit, before = _limit(request.query.get("limit", "")), request.query.get("before")
        found = await self._album.history(
            person_of(request), limit=limit + 1, before=JobId(before) if before else None
        )
        return fresh({"jobs": list(found[:limit]), "has_more": len(found) > limit})

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        found = await self._album.picture(_job_id(request), name)
        kind = "image/webp" if name.endswith(".webp") else "image/png"
        headers = {**_KEPT, "Content-Type": kind}
        if isinstance(found, bytes):
            return web.Response(body=found, headers=headers)
        return web.FileResponse(found, headers=headers)


def _job_id(request: web.Request) -> JobId:
    return JobId(request.match_info["job_id"])


def _limit(text: str) -> int:
    """How many jobs somebody wants to see at once; nonsense is the default."""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_HISTORY_COUNT))
    return min(max(1, int(text)), MAX_HISTORY_COUNT) if is_number else HISTORY_COUNT


def _no_such_job() -> web.Response:
    return refusal(sentences.WEB_NO_SUCH_JOB, HTTPStatus.NOT_FOUND)
