"""The admin page: what goes on, and what an admin may do about it.

``GET /admin`` is the page; ``/api/admin/now`` tells how things are and what happened in the
last hour or day, ``/api/admin/house`` what admins have decided, ``/api/admin/audit`` who did
what. ``POST /api/admin/{act}`` does one of ``ACTS``. Every act goes through the desk, which
notes who did it.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import web

from bot import admin_sentences, sentences
from bot.jobs import InvalidRuleError, JobId, NotCancellableError, RefusedError, Scope
from bot.store import StoreError
from bot.web import admin_views as views
from bot.web import admin_wishes as wishes
from bot.web.guard import refusal
from bot.web.login import require_admin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.clock import Clock
    from bot.desk import CommunityRules, Desk
    from bot.jobs import Json
    from bot.minutes import Minutes
    from bot.store.overview import Crowd
    from bot.vitals import Vitals

_PAGE: Final = Path(str(files("bot.web"))) / "static" / "admin.html"
_AUDIT_PAGE_COUNT: Final = 50
# Points of the charts and the minutes that each stands for.
_SPANS: Final[Mapping[str, tuple[int, int]]] = {"hour": (60, 1), "day": (96, 15)}


class Monitoring(Protocol):
    """The part of ``bot.monitor`` that the admin page sees."""

    @property
    def minutes(self) -> Minutes:
        """What happened in the last day."""
        ...

    async def look(self) -> Vitals:
        """How everything is now."""
        ...


class Waiting(Protocol):
    """The part of the store that knows who waits."""

    async def crowd(self) -> Crowd:
        """Who waits for what."""
        ...


class AdminPages:
    """The page of those who run the bot.

    Args:
        desk: Carries acts out and notes them.
        waiting: Knows who waits.
        monitor: Knows how things are and were.
        clock: Gives the present (aware, UTC).
    """

    def __init__(self, *, desk: Desk, waiting: Waiting, monitor: Monitoring, clock: Clock) -> None:
        self._desk = desk
        self._waiting = waiting
        self._monitor = monitor
        self._clock = clock
        self._acts: Mapping[str, Callable[[wishes.Wish, str], Awaitable[str]]] = {
            "pause": self._pause,
            "resume": self._resume,
            "block": self._block,
            "unblock": self._unblock,
            "cancel": self._cancel,
            "grant": self._grant,
            "limits": self._limits,
            "close_report": self._close_report,
        }

    def __repr__(self) -> str:
        return f"<AdminPages {len(self._acts)} acts>"

    def add_to(self, application: web.Application) -> None:
        """Add the routes."""
        router = application.router
        router.add_get("/admin", self._page)
        router.add_get("/api/admin/now", self._now)
        router.add_get("/api/admin/house", self._house)
        router.add_get("/api/admin/audit", self._audit)
        router.add_post("/api/admin/{act}", self._act)

    async def _page(self, request: web.Request) -> web.FileResponse:
        require_admin(request)
        return web.FileResponse(_PAGE, headers={"Cache-Control": "no-cache"})

    async def _now(self, request: web.Request) -> web.Response:
        require_admin(request)
        count, in_each = _SPANS.get(request.query.get("span", "hour"), _SPANS["hour"])
        vitals = await self._monitor.look()
        minutes = self._monitor.minutes.last(count, in_each=in_each)
        return _fresh(
            {
                "now": views.now_view(vitals),
                "span": views.span_view(minutes, in_each=in_each),
                **await self._crowd(vitals),
            }
        )

    async def _crowd(self, vitals: Vitals) -> Mapping[str, Json]:
        try:
            return views.crowd_view(await self._waiting.crowd(), vitals.at)
        except StoreError:  # the page must say so, not stay blank: "database" is an obstacle
            return {"people": [], "jobs": []}

    async def _house(self, request: web.Request) -> web.Response:
        require_admin(request)
        are_open = request.query.get("reports") != "closed"
        house = views.house_view(
            blocks=await self._desk.all_blocks(),
            grants=await self._desk.grants(),
            communities=await self._desk.communities(),
            reports=await self._desk.reports(is_open=are_open),
            tier_names=sorted(self._desk.tiers),
        )
        return _fresh(house)

    async def _audit(self, request: web.Request) -> web.Response:
        require_admin(request)
        before = request.query.get("before", "")
        entries = await self._desk.audit(
            limit=_AUDIT_PAGE_COUNT, before=int(before) if before.isdecimal() else None
        )
        return _fresh(views.audit_view(entries))

    async def _act(self, request: web.Request) -> web.Response:
        by = require_admin(request)
        act = self._acts.get(request.match_info["act"])
        if act is None:
            raise web.HTTPNotFound
        try:
            said = await act(wishes.parse(await request.read()), by)
        except RefusedError as error:
            return refusal(sentences.explain(error, self._clock()), _status_of(error))
        return _fresh({"said": said})

    async def _pause(self, _wish: wishes.Wish, by: str) -> str:
        await self._desk.pause(by=by)
        return admin_sentences.ADMIN_PAUSED

    async def _resume(self, _wish: wishes.Wish, by: str) -> str:
        await self._desk.resume(by=by)
        return admin_sentences.ADMIN_RESUMED

    async def _block(self, wish: wishes.Wish, by: str) -> str:
        person, until = wishes.person_of(wish), wishes.end_of(wish, self._clock())
        await self._desk.block(
            person,
            community=wishes.text_of(wish, "community", is_needed=False) or None,
            until=until,
            reason=wishes.text_of(wish, "reason", is_needed=False),
            by=by,
        )
        return admin_sentences.admin_blocked(person.platform, person.id, until)

    async def _unblock(self, wish: wishes.Wish, by: str) -> str:
        person = wishes.person_of(wish)
        community = wishes.text_of(wish, "community", is_needed=False) or None
        was_blocked = await self._desk.unblock(person, community=community, by=by)
        return admin_sentences.admin_unblocked(person.platform, person.id, was_blocked=was_blocked)

    async def _cancel(self, wish: wishes.Wish, by: str) -> str:
        job = await self._desk.cancel(JobId(wishes.text_of(wish, "job_id")), by=by)
        return admin_sentences.admin_cancelled(job.id)

    async def _grant(self, wish: wishes.Wish, by: str) -> str:
        platform, tier = wishes.platform_of(wish), wishes.text_of(wish, "tier", is_needed=False)
        community = wishes.text_of(wish, "community", is_needed=False)
        scope = Scope.COMMUNITY if community else Scope.PERSON
        of = community or wishes.text_of(wish, "person")
        await self._desk.grant(platform, scope, of, tier or None, by=by)
        return admin_sentences.admin_granted(platform, of, tier)

    async def _limits(self, wish: wishes.Wish, by: str) -> str:
        """Change the limits of a community and leave its other rules as they are."""
        platform, community = wishes.platform_of(wish), wishes.text_of(wish, "community")
        rules = await self._desk.community(platform, community)
        changed = _with_limits(rules, wish)
        await self._desk.set_community(platform, community, changed, by=by)
        return admin_sentences.admin_limited(platform, community)

    async def _close_report(self, wish: wishes.Wish, by: str) -> str:
        id_ = wishes.count_of(wish, "id")
        if id_ is None:
            raise InvalidRuleError(admin_sentences.admin_field_wrong("id"))
        was_open = await self._desk.close_report(id_, by=by)
        return admin_sentences.admin_report_closed(id_, was_open=was_open)


def _fresh(answer: Mapping[str, Json]) -> web.Response:
    return web.json_response(answer, headers={"Cache-Control": "no-store"})


def _status_of(error: RefusedError) -> HTTPStatus:
    is_too_late = isinstance(error, NotCancellableError)
    return HTTPStatus.CONFLICT if is_too_late else HTTPStatus.BAD_REQUEST


def _with_limits(rules: CommunityRules, wish: wishes.Wish) -> CommunityRules:
    return replace(
        rules,
        daily_pictures=wishes.count_of(wish, "daily_pictures"),
        jobs_at_once=wishes.count_of(wish, "jobs_at_once"),
        is_paused=wish.get("is_paused") is True,
    )
