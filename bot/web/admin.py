"""The admin page: what goes on, and what an admin may do about it.

``GET /admin`` is the page; ``/api/admin/now`` tells how things are and what happened in the
last hour or day, ``/api/admin/house`` what admins have decided, ``/api/admin/reports`` what
people find fault with (and shows those pictures, to be judged), ``/api/admin/audit`` who did
what. ``POST /api/admin/{act}`` does one of ``ACTS``. Every act goes through the desk, which
notes who did it.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import web

from bot import admin_sentences, sentences
from bot.jobs import (
    InvalidRuleError,
    JobId,
    NotCancellableError,
    RefusedError,
    Scope,
    UnknownPictureError,
)
from bot.store import StoreError
from bot.web import admin_views as views
from bot.web import admin_wishes as wishes
from bot.web.guard import refusal
from bot.web.login import require_admin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from bot.clock import Clock
    from bot.desk import CommunityRules, Desk, Report
    from bot.jobs import Json
    from bot.minutes import Minutes
    from bot.store.history import Past
    from bot.store.overview import Crowd
    from bot.vitals import Vitals

log = logging.getLogger(__name__)

_PAGE: Final = Path(str(files("bot.web"))) / "static" / "admin.html"
_AUDIT_PAGE_COUNT: Final = 50
SHOWN_REPORT_COUNT: Final = 20
# Whoever has seen a picture to judge it need not leave it in the browser's files.
_NOT_KEPT: Final = {"Cache-Control": "private, no-store"}
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


class Pictures(Protocol):
    """The part of ``bot.studio`` that shows what was reported."""

    async def pasts(self, job_ids: Collection[JobId]) -> dict[JobId, Past]:
        """What is kept of these jobs."""
        ...

    async def picture(self, job_id: JobId, rank: int) -> bytes:
        """A picture as a PNG.

        Raises:
            UnknownPictureError: It is not kept (any more).
            EngineError: It cannot be painted.
        """
        ...


class AdminPages:
    """The page of those who run the bot.

    Args:
        desk: Carries acts out and notes them.
        waiting: Knows who waits.
        pictures: Shows what was reported.
        monitor: Knows how things are and were.
        clock: Gives the present (aware, UTC).
    """

    def __init__(
        self,
        *,
        desk: Desk,
        waiting: Waiting,
        pictures: Pictures,
        monitor: Monitoring,
        clock: Clock,
    ) -> None:
        self._desk = desk
        self._waiting = waiting
        self._pictures = pictures
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
            "remove_pictures": self._remove_pictures,
        }

    def __repr__(self) -> str:
        return f"<AdminPages {len(self._acts)} acts>"

    def add_to(self, application: web.Application) -> None:
        """Add the routes."""
        router = application.router
        router.add_get("/admin", self._page)
        router.add_get("/api/admin/now", self._now)
        router.add_get("/api/admin/house", self._house)
        router.add_get("/api/admin/reports", self._reports)
        router.add_get(r"/api/admin/reports/{id:\d{1,9}}/pictures/{rank:\d{1,2}}", self._picture)
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
        house = views.house_view(
            blocks=await self._desk.all_blocks(),
            grants=await self._desk.grants(),
            communities=await self._desk.communities(),
            struck=await self._desk.struck_people(),
            tier_names=sorted(self._desk.tiers),
        )
        return _fresh(house)

    async def _reports(self, request: web.Request) -> web.Response:
        """Open reports with what they are about, the oldest first; or closed ones, without."""
        require_admin(request)
        are_open = request.query.get("are") != "closed"
        found = await self._desk.reports(is_open=are_open)
        newest_first = found[::-1]
        shown = (found if are_open else newest_first)[:SHOWN_REPORT_COUNT]
        job_ids = {report.job_id for report in shown} if are_open else set[JobId]()
        pasts = await self._pictures.pasts(job_ids)
        return _fresh(views.reports_view(shown, pasts, whole_count=len(found)))

    async def _picture(self, request: web.Request) -> web.Response:
        """A picture that was reported. Others are not an admin's affair."""
        require_admin(request)
        report = await self._desk.report(int(request.match_info["id"]))
        if report is None:
            raise UnknownPictureError
        png = await self._pictures.picture(report.job_id, int(request.match_info["rank"]))
        return web.Response(body=png, content_type="image/png", headers=_NOT_KEPT)

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
        except OSError as error:
            log.error("files not removed error=%s", error.strerror)  # noqa: TRY400 # known
            sentence = admin_sentences.admin_files_not_removed(error.strerror or str(error))
            return refusal(sentence, HTTPStatus.INSUFFICIENT_STORAGE)
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
        id_ = wishes.number_of(wish, "id")
        was_open = await self._desk.close_report(id_, by=by)
        return admin_sentences.admin_report_closed(id_, was_open=was_open)

    async def _remove_pictures(self, wish: wishes.Wish, by: str) -> str:
        report = await self._report_of(wishes.number_of(wish, "id"))
        count = await self._desk.remove_pictures(report, by=by)
        return admin_sentences.admin_pictures_removed(report.owner.platform, count)

    async def _report_of(self, id_: int) -> Report:
        report = await self._desk.report(id_)
        if report is None:
            raise InvalidRuleError(admin_sentences.admin_no_report(id_))
        return report


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
