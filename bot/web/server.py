"""The local page: a form, its progress, its pictures. Joins the routes and delivers to them.

``GET /``, ``/jobs/{id}`` and ``/history`` are the page, ``/login`` its door (``login.py``);
``/api/draw`` and what follows it ask for pictures (``drawing.py``); ``/api/jobs/{id}``,
``/api/history`` and ``/pictures`` show them (``following.py``); ``/healthz`` says whether
everything listens. Other pages (``Pages``) are added behind the same door.
"""

from __future__ import annotations

import asyncio
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from aiohttp import web

from bot import sentences
from bot.jobs import DeliveryError
from bot.web import views
from bot.web.album import Album, Archive
from bot.web.answers import error_answers
from bot.web.board import Board
from bot.web.drawing import DrawingRoutes, Sketchbook
from bot.web.following import FollowingRoutes
from bot.web.gallery import Gallery
from bot.web.guard import add_headers, guard
from bot.web.login import Login
from bot.web.port import WebPortError, port_errors, reserve_port
from bot.web.proxies import Proxies
from bot.web.sessions import session_key
from engine.api import Preview

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from bot.jobs import Job, Progress
    from bot.web.config import WebConfig
    from bot.web.drawing import DrawingService
    from bot.web.pages import Pages
    from bot.web.views import View
    from engine.api import Drawn

__all__ = ["WebAdapter", "WebPortError", "WebStudio", "reserve_port"]

T = TypeVar("T")

_STATIC: Final = Path(str(files("bot.web"))) / "static"
_GOODBYE_S: Final = 2.0


class WebStudio(Archive, Sketchbook, Protocol):
    """The part of ``bot.studio`` that the page sees."""


class WebAdapter:
    """The local page and its ``Delivery``.

    Delivering needs no open connection: a job's pictures lie on disk, and whoever opens
    its page finds them.

    Args:
        config: Where things are kept, and what opens the page.
        service: Takes the submissions.
        studio: Knows what was drawn before.
        port: What ``reserve_port`` gave.
        clock: Gives the present (aware, UTC).
        waiting_for: Names the platforms that are on but not reached; none is healthy.
        pages: What else is served here.
    """

    def __init__(
        self,
        config: WebConfig,
        service: DrawingService,
        studio: WebStudio,
        *,
        port: socket.socket,
        clock: Callable[[], datetime],
        waiting_for: Callable[[], list[str]] = list,
        pages: Sequence[Pages] = (),
    ) -> None:
        self._config = config
        self._clock = clock
        self._waiting_for = waiting_for
        self._gallery = Gallery(config.pictures_dir)
        self._board = Board()
        self._album = Album(self._board, self._gallery, studio)
        self._drawing = DrawingRoutes(
            service,
            studio,
            self._board,
            make_room=self._make_room,
            keep_cancelled=self._keep_cancelled,
        )
        self._pages = pages
        self._port = port
        self._runner: web.AppRunner | None = None

    def __repr__(self) -> str:
        return f"<WebAdapter {self.url}>"

    @property
    def url(self) -> str:
        """The address of the page."""
        host, port = self._port.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self) -> None:
        """Serve the page.

        Raises:
            WebPortError: Another program began to listen on the port in the meantime, or the
                key of the sessions can be neither read nor written.
        """
        host, number = self._port.getsockname()[:2]
        with port_errors(host, number):
            key = await asyncio.to_thread(session_key, self._config.key_path)
            self._runner = web.AppRunner(
                self._application(key), access_log=None, shutdown_timeout=_GOODBYE_S
            )
            await self._runner.setup()
            await web.SockSite(self._runner, self._port).start()

    async def stop_listening(self) -> None:
        """Take no new connections; pages that are open still hear the end of their jobs."""
        for site in list(self._runner.sites) if self._runner else []:
            await site.stop()

    async def close(self) -> None:
        """Send all watchers home."""
        self._board.close()
        await self._album.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def show_progress(self, job: Job, event: Progress) -> None:
        """Tell open pages how far the job is."""
        if not isinstance(event, Preview):
            self._board.post(job.id, views.in_progress(job, event))
        elif not job.submission.is_soft:  # nobody has looked at a preview
            self._board.post_preview(job.id, event.picture)

    async def deliver(self, job: Job, drawn: Drawn) -> None:
        """Write the pictures and tell open pages; a second time changes nothing."""
        write = partial(self._gallery.write_done, job, drawn)
        self._board.post(job.id, await self._kept(write))

    async def apologise(self, job: Job, error: Exception) -> None:
        """Write the sentence and tell open pages."""
        sentence = sentences.explain(error, self._clock())
        try:
            await self._kept(partial(self._gallery.write_failed, job, sentence))
        finally:  # whoever watches is told even if it cannot be written
            self._board.post(job.id, views.failed(job, sentence))

    async def postpone(self, job: Job) -> None:
        """Tell open pages; nothing is written, for it is forgotten at the next start."""
        self._board.post(job.id, views.postponed(job))

    async def cancelled(self, job: Job) -> None:
        """Tell open pages, and note it for those that come later."""
        self._board.post(job.id, views.cancelled(job))
        await self._keep_cancelled(job)

    async def _make_room(self, job: Job) -> None:
        await self._kept(partial(self._gallery.make_room, job))

    async def _keep_cancelled(self, job: Job) -> View:
        return await self._kept(partial(self._gallery.write_cancelled, job))

    async def _kept(self, write: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(write)
        except OSError as error:
            folder, reason = str(self._config.pictures_dir), error.strerror or str(error)
            raise DeliveryError(sentences.web_not_kept(folder, reason)) from error

    def _application(self, key: bytes) -> web.Application:
        passwords = self._config.passwords
        login = Login(passwords, key, clock=self._clock)
        at_our_names = guard(is_any_host_ours=passwords.page is not None)
        proxies = Proxies(self._config.trusted_proxies)
        app = web.Application(
            middlewares=[
                proxies.middleware,
                at_our_names,
                error_answers(self._clock),
                login.middleware,
            ]
        )
        app.on_response_prepare.append(add_headers)
        for path in ("/", "/jobs/{job_id}", "/history"):
            app.router.add_get(path, _html("page.html"))
        app.router.add_get("/login", _html("login.html"))
        app.router.add_static("/static", _STATIC)
        app.router.add_get("/healthz", self._healthz)
        app.add_routes(login.routes())
        app.add_routes(self._drawing.routes())
        app.add_routes(FollowingRoutes(self._board, self._album).routes())
        for pages in self._pages:
            pages.add_to(app)
        return app

    async def _healthz(self, _request: web.Request) -> web.Response:
        if waiting_for := self._waiting_for():
            return web.json_response({"status": "waiting", "for": waiting_for}, status=503)
        return web.json_response({"status": "ok"})


def _html(name: str) -> Callable[[web.Request], Awaitable[web.FileResponse]]:
    async def page(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(_STATIC / name)

    return page
