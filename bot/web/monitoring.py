"""``/metrics`` for Prometheus, and ``/readyz`` for whoever sends work here.

``/healthz`` says whether this process should be left alone or looked at; ``/readyz`` whether
a request made now would be drawn: engine, database and every platform that is on. A paused
bot is ready: it answers people, with the pause.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from aiohttp import hdrs, web

from bot.metrics import CONTENT_TYPE
from bot.web.login import LoginNeededError, may_monitor

if TYPE_CHECKING:
    from bot.metrics import Metrics
    from bot.vitals import Vitals


class Watching(Protocol):
    """The part of ``bot.monitor`` that the page sees."""

    @property
    def metrics(self) -> Metrics:
        """What became of requests."""
        ...

    async def look(self) -> Vitals:
        """How everything is now."""
        ...


class MonitoringPages:
    """Routes for machines. Without a password they answer this machine only."""

    def __init__(self, monitor: Watching) -> None:
        self._monitor = monitor

    def __repr__(self) -> str:
        return "<MonitoringPages>"

    def add_to(self, application: web.Application) -> None:
        """Add the routes."""
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/readyz", self._readyz)

    async def _metrics(self, request: web.Request) -> web.Response:
        if not may_monitor(request):
            raise LoginNeededError
        text = self._monitor.metrics.render(await self._monitor.look())
        return web.Response(body=text, headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})

    async def _readyz(self, _request: web.Request) -> web.Response:
        obstacles = (await self._monitor.look()).obstacles
        if obstacles:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            return web.json_response({"status": "waiting", "for": list(obstacles)}, status=status)
        return web.json_response({"status": "ok"})
