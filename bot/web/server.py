"""The local page: a form, its progress, its pictures. Serves this machine only.

``GET /`` and ``/jobs/{id}`` are the page; ``POST /api/draw`` asks for pictures;
``/api/jobs/{id}`` tells the state of a job and ``/api/jobs/{id}/events`` follows it;
``/api/allowance`` counts what is left today; ``/healthz`` says whether everything listens.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import uuid
from contextlib import closing, contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from bot import sentences
from bot.jobs import (
    ClosingError,
    DeliveryError,
    DuplicateEventError,
    JobId,
    OverQuotaError,
    Person,
    Platform,
    RefusedError,
    Submission,
    UnavailableError,
)
from bot.web import asked, views
from bot.web.board import Board
from bot.web.gallery import Gallery
from bot.web.guard import add_headers, guard, refusal
from bot.web.login import Login
from bot.web.sessions import session_key
from engine.api import InvalidRequestError, Preview

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from datetime import datetime

    from bot.jobs import Job, Progress, Submitter
    from bot.web.board import Watch
    from bot.web.config import WebConfig
    from bot.web.guard import Handler
    from bot.web.pages import Pages
    from bot.web.views import View
    from engine.api import Drawn

log = logging.getLogger(__name__)

_STATIC: Final = Path(str(files("bot.web"))) / "static"
_KEEP_ALIVE_S: Final = 15.0
_GOODBYE_S: Final = 2.0


class WebPortError(Exception):
    """The page cannot be served where the settings want it; the sentence says why."""


@contextmanager
def reserve_port(host: str, port: int) -> Generator[socket.socket]:
    """Take a port without answering on it yet; free it at the end.

    Raises:
        WebPortError: It is taken or not allowed.
    """
    with _port_errors(host, port):
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        reserved = socket.socket(family, kind)
    with closing(reserved):
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with _port_errors(host, port):
            reserved.bind(address)
        yield reserved


@contextmanager
def _port_errors(host: str, port: int) -> Generator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise WebPortError(sentences.web_port_taken(host, port, reason)) from error


class WebAdapter:
    """The local page and its ``Delivery``.

    Delivering needs no open connection: a job's pictures lie on disk, and whoever opens
    its page finds them.

    Args:
        config: Where the pictures are kept.
        service: Takes the submissions.
        port: What ``reserve_port`` gave.
        clock: Gives the present (aware, UTC).
        waiting_for: Names the platforms that are on but not reached; none is healthy.
        pages: What else is served here.
    """

    def __init__(
        self,
        config: WebConfig,
        service: Submitter,
        *,
        port: socket.socket,
        clock: Callable[[], datetime],
        waiting_for: Callable[[], list[str]] = list,
        pages: Sequence[Pages] = (),
    ) -> None:
        self._config = config
        self._service = service
        self._clock = clock
        self._waiting_for = waiting_for
        self._pages = pages
        self._gallery = Gallery(config.pictures_dir)
        self._board = Board()
        self._port = port
        self._runner = web.AppRunner(
            self._application(), access_log=None, shutdown_timeout=_GOODBYE_S
        )

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
            WebPortError: Another program began to listen on the port in the meantime.
        """
        await self._runner.setup()
        host, number = self._port.getsockname()[:2]
        with _port_errors(host, number):
            await web.SockSite(self._runner, self._port).start()

    async def stop_listening(self) -> None:
        """Take no new connections; pages that are open still hear the end of their jobs."""
        for site in list(self._runner.sites):
            await site.stop()

    async def close(self) -> None:
        """Send all watchers home."""
        self._board.close()
        await self._runner.cleanup()

    async def show_progress(self, job: Job, event: Progress) -> None:
        """Tell open pages how far the job is."""
        if not isinstance(event, Preview):
            self._board.post(job.id, views.in_progress(job, event))

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

    async def _kept(self, write: Callable[[], View]) -> View:
        try:
            return await asyncio.to_thread(write)
        except OSError as error:
            folder, reason = str(self._config.pictures_dir), error.strerror or str(error)
            raise DeliveryError(sentences.web_not_kept(folder, reason)) from error

    def _application(self) -> web.Application:
        passwords = self._config.passwords
        login = Login(passwords, session_key(self._config.key_path), clock=self._clock)
        at_our_names = guard(is_any_host_ours=passwords.page is not None)
        app = web.Application(
            middlewares=[at_our_names, self._sentences_for_errors, login.middleware]
        )
        app.add_routes(login.routes())
        app.on_response_prepare.append(add_headers)
        app.router.add_get("/", _page)
        app.router.add_get("/jobs/{job_id}", _page)
        app.router.add_static("/static", _STATIC)
        app.router.add_get("/pictures/{job_id}/{name}", self._picture)
        app.router.add_post("/api/draw", self._draw)
        app.router.add_get("/api/jobs/{job_id}", self._job)
        app.router.add_get("/api/jobs/{job_id}/events", self._events)
        app.router.add_get("/api/allowance", self._allowance)
        app.router.add_get("/healthz", self._healthz)
        for pages in self._pages:
            pages.add_to(app)
        return app

    @web.middleware
    async def _sentences_for_errors(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPRequestEntityTooLarge:
            return refusal(sentences.WEB_TOO_LONG, 413)
        except web.HTTPException as error:
            return refusal(sentences.WEB_NO_SUCH_PAGE, error.status)
        except ConnectionError:
            raise  # the person has left; nobody reads an answer
        except Exception as error:
            log.exception("request failed", extra={"path": request.path})
            return refusal(sentences.explain(error, self._clock()), 500)

    async def _draw(self, request: web.Request) -> web.Response:
        try:
            wanted = asked.parse(await request.read())
            job = await self._accepted(_submission(request, wanted))
        except (InvalidRequestError, RefusedError) as error:
            return refusal(sentences.explain(error, self._clock()), _status(error))
        try:
            await self._kept(partial(self._gallery.write_accepted, job))
        except DeliveryError as error:  # its delivery will fail too, and give the quota back
            return refusal(str(error), 507)
        return web.json_response({"job_id": job.id, "page": f"/jobs/{job.id}"}, status=202)

    async def _accepted(self, submission: Submission) -> Job:
        """Submit; what was sent before leads to its first job."""
        try:
            return await self._service.submit(submission)
        except DuplicateEventError as error:
            return error.job

    async def _job(self, request: web.Request) -> web.Response:
        view = await self._view(JobId(request.match_info["job_id"]))
        if view is None:
            return refusal(sentences.WEB_NO_SUCH_JOB, 404)
        return web.json_response(view, headers={"Cache-Control": "no-store"})

    async def _view(self, job_id: JobId) -> View | None:
        return self._board.latest(job_id) or await asyncio.to_thread(self._gallery.read, job_id)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        job_id = JobId(request.match_info["job_id"])
        with self._board.watching(job_id) as watch:  # before looking, so that nothing is missed
            view = await self._view(job_id)
            if view is None:
                return refusal(sentences.WEB_NO_SUCH_JOB, 404)
            response = web.StreamResponse(headers=_EVENT_STREAM)
            await response.prepare(request)
            await _follow(response, view, watch)
            return response

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        path = await asyncio.to_thread(self._gallery.picture_path, **request.match_info)
        if path is None:
            return refusal(sentences.WEB_NO_SUCH_JOB, 404)
        return web.FileResponse(path, headers={"Cache-Control": "private, max-age=31536000"})

    async def _allowance(self, request: web.Request) -> web.Response:
        left = await self._service.allowance_left(_person(request))
        return web.json_response({"left": left}, headers={"Cache-Control": "no-store"})

    async def _healthz(self, _request: web.Request) -> web.Response:
        if waiting_for := self._waiting_for():
            return web.json_response({"status": "waiting", "for": waiting_for}, status=503)
        return web.json_response({"status": "ok"})


_EVENT_STREAM: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}


async def _follow(response: web.StreamResponse, view: View | None, watch: Watch) -> None:
    """Send a view and each newer one until the last."""
    while view is not None:
        await response.write(f"data: {json.dumps(view)}\n\n".encode())
        if views.is_final(view):
            return
        view = await _next_view(response, watch)


async def _next_view(response: web.StreamResponse, watch: Watch) -> View | None:
    while True:
        try:
            return await asyncio.wait_for(watch.next(), _KEEP_ALIVE_S)
        except TimeoutError:
            await response.write(b": still here\n\n")  # notices a watcher who has left


async def _page(_request: web.Request) -> web.FileResponse:
    return web.FileResponse(_STATIC / "page.html", headers={"Cache-Control": "no-cache"})


def _submission(request: web.Request, wanted: asked.Asked) -> Submission:
    person = _person(request)
    event_id = f"{person.id}:{wanted.request_id or uuid.uuid4()}"
    return Submission(person=person, event_id=event_id, request=wanted.request)


def _person(request: web.Request) -> Person:
    return Person(platform=Platform.WEB, id=request.remote or "unknown")


def _status(error: Exception) -> int:
    match error:
        case OverQuotaError():
            return 429
        case ClosingError() | UnavailableError():
            return 503
        case _:
            return 400
