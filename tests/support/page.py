"""The local page over real HTTP, with the real service, store and studio and no model."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp import web

from bot.jobs import ModeratedError, Platform
from bot.service import Service
from bot.store import Store
from bot.studio import Studio
from bot.web.config import WebConfig
from bot.web.login import may_monitor, require_admin
from bot.web.server import WebAdapter, reserve_port
from bot.web.sessions import Passwords
from tests.support.clock import Clock
from tests.support.factories import database_url
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from bot.jobs import Submission
    from bot.web.pages import Pages
    from tests.support.scripted_engine import ScriptedEngine

OPEN: Final = Passwords()


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page that is served, and the way to it."""

    http: aiohttp.ClientSession
    engine: ScriptedEngine
    clock: Clock
    adapter: WebAdapter
    service: Service
    store: Store
    pictures_dir: Path

    async def ask(self, **wanted: object) -> tuple[int, dict[str, Any]]:
        return await self.post("/api/draw", **wanted)

    async def post(self, path: str, **body: object) -> tuple[int, dict[str, Any]]:
        async with self.http.post(path, json=body) as answer:
            return answer.status, await answer.json()

    async def views(self, job_id: str) -> list[dict[str, Any]]:
        async with self.http.get(f"/api/jobs/{job_id}/events") as stream:
            assert stream.headers["Content-Type"] == "text/event-stream"
            lines = [line async for line in stream.content if line.startswith(b"data: ")]
        return [json.loads(line.removeprefix(b"data: ")) for line in lines]

    async def get(self, path: str) -> tuple[int, bytes]:
        async with self.http.get(path) as answer:
            return answer.status, await answer.read()

    async def look(self, path: str) -> dict[str, Any]:
        status, body = await self.get(path)
        assert status == 200, body
        return json.loads(body)

    async def drawn(self, **wanted: object) -> dict[str, Any]:
        """Ask for pictures and return the view of the job once the store has them, too."""
        status, accepted = await self.ask(**wanted)
        assert status == 202, accepted
        *_, done = await self.views(accepted["job_id"])
        await self.rest()
        return done

    async def rest(self) -> None:
        """Wait until no job is under way."""
        await until(lambda: repr(self.service) == "<Service 0 jobs running>")


class WaryGatekeeper:
    """Draws no words with "forbidden" in them, and calls those with "delicate" soft."""

    async def admit(self, submission: Submission, *, level: str | None) -> Submission:
        del level
        prompt = submission.request.prompt
        if "forbidden" in prompt:
            raise ModeratedError("forbidden")
        return replace(submission, is_soft="delicate" in prompt)


@asynccontextmanager
async def serving(
    folder: Path,
    engine: ScriptedEngine,
    *,
    daily_pictures: int = 10,
    passwords: Passwords = OPEN,
    clock: Clock | None = None,
    pages: Sequence[Pages] = (),
    trusted_proxies: Sequence[str] = (),
    number: int = 0,
) -> AsyncGenerator[Page]:
    """Serve a page with what lies in ``folder``, at any port or at that of this number."""
    clock = clock or Clock()
    store = await Store.open(database_url(folder))
    service = Service(
        store=store,
        engine=engine,
        daily_pictures=daily_pictures,
        gatekeeper=WaryGatekeeper(),
        clock=clock,
        sleep=clock.sleep,
    )
    studio = Studio(store=store, engine=engine, clock=clock)
    with reserve_port("127.0.0.1", number) as port:
        config = WebConfig(
            pictures_dir=folder / "pictures",
            passwords=passwords,
            trusted_proxies=tuple(map(ip_network, trusted_proxies)),
        )
        adapter = WebAdapter(config, service, studio, port=port, clock=clock, pages=pages)
        service.register(Platform.WEB, adapter)
        await service.start()
        await adapter.start()
        jar = aiohttp.CookieJar(unsafe=True)  # keeps what comes from an address without a name
        async with aiohttp.ClientSession(adapter.url, cookie_jar=jar) as http:
            try:
                yield Page(
                    http=http,
                    engine=engine,
                    clock=clock,
                    adapter=adapter,
                    service=service,
                    store=store,
                    pictures_dir=config.pictures_dir,
                )
            finally:
                await service.close(0)
                await adapter.close()
    await store.close()


class WhoPages:
    """Something for admins only, and something for whoever may monitor."""

    def add_to(self, application: web.Application) -> None:
        application.router.add_get("/admin", self._who)
        application.router.add_get("/api/admin/who", self._who)
        application.router.add_get("/metrics", self._metrics)

    async def _who(self, request: web.Request) -> web.Response:
        return web.json_response({"who": require_admin(request)})

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.json_response({"may": may_monitor(request)})
