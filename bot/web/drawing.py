"""The routes that ask for pictures, give them up, and tell how many more may be asked for."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import web

from bot.jobs import (
    Canceller,
    DeliveryError,
    DuplicateEventError,
    JobId,
    Submission,
    Submitter,
)
from bot.web import asked, views
from bot.web.answers import fresh, person_of
from bot.web.guard import refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.jobs import Job
    from bot.web.board import Board
    from bot.web.views import View
    from engine.api import DrawRequest

VARIATION_COUNT: Final = 4


class DrawingService(Submitter, Canceller, Protocol):
    """The part of the service that the page sees."""


class Sketchbook(Protocol):
    """The part of ``bot.studio`` that draws on."""

    async def variation(self, job_id: JobId, rank: int, *, picture_count: int) -> DrawRequest:
        """A request for pictures that resemble one.

        Raises:
            UnknownPictureError: It is not kept (any more).
        """
        ...

    async def redraw(self, job_id: JobId, *, picture_count: int | None = None) -> DrawRequest:
        """A request with the same words and options and another seed.

        Raises:
            UnknownPictureError: The job is not kept (any more).
        """
        ...


class DrawingRoutes:
    """Asks the service on behalf of whoever sits at the page.

    Args:
        service: Takes the submissions.
        sketchbook: Knows how to draw on from what is there.
        board: Told of what is given up.
        make_room: Makes room for the pictures of a job; a ``DeliveryError`` if it cannot.
        keep_cancelled: Notes that a job was given up; a ``DeliveryError`` if it cannot.
    """

    def __init__(
        self,
        service: DrawingService,
        sketchbook: Sketchbook,
        board: Board,
        *,
        make_room: Callable[[Job], Awaitable[None]],
        keep_cancelled: Callable[[Job], Awaitable[View]],
    ) -> None:
        self._service = service
        self._sketchbook = sketchbook
        self._board = board
        self._make_room = make_room
        self._keep_cancelled = keep_cancelled

    def routes(self) -> list[web.RouteDef]:
        """Everything that a POST can ask for, and the allowance."""
        return [
            web.post("/api/draw", self._draw),
            web.post("/api/jobs/{job_id}/redraw", self._redraw),
            web.post(r"/api/jobs/{job_id}/pictures/{rank:\d{1,2}}/variation", self._variation),
            web.post("/api/jobs/{job_id}/cancel", self._cancel),
            web.get("/api/allowance", self._allowance),
        ]

    async def _draw(self, request: web.Request) -> web.Response:
        wanted = asked.parse(await request.read())
        return await self._submitted(request, wanted.request, wanted.request_id, None)

    async def _redraw(self, request: web.Request) -> web.Response:
        job_id, again = _job_id(request), asked.parse_again(await request.read())
        wanted = await self._sketchbook.redraw(job_id, picture_count=again.picture_count)
        return await self._submitted(request, wanted, again.request_id, job_id)

    async def _variation(self, request: web.Request) -> web.Response:
        job_id, again = _job_id(request), asked.parse_again(await request.read())
        count = VARIATION_COUNT if again.picture_count is None else again.picture_count
        rank = int(request.match_info["rank"])
        wanted = await self._sketchbook.variation(job_id, rank, picture_count=count)
        return await self._submitted(request, wanted, again.request_id, job_id)

    async def _submitted(
        self,
        request: web.Request,
        wanted: DrawRequest,
        request_id: str | None,
        origin: JobId | None,
    ) -> web.Response:
        person = person_of(request)
        submission = Submission(
            person=person,
            event_id=f"{person.id}:{request_id or uuid.uuid4()}",
            request=replace(wanted, preview=True),
            origin=origin,
        )
        job = await self._accepted(submission)
        try:
            await self._make_room(job)
        except DeliveryError as error:  # its delivery will fail too, and give the quota back
            return refusal(str(error), HTTPStatus.INSUFFICIENT_STORAGE)
        return fresh({"job_id": job.id, "page": f"/jobs/{job.id}"}, status=HTTPStatus.ACCEPTED)

    async def _accepted(self, submission: Submission) -> Job:
        """Submit; what was sent before leads to its first job."""
        try:
            return await self._service.submit(submission)
        except DuplicateEventError as error:
            return error.job

    async def _cancel(self, request: web.Request) -> web.Response:
        await request.read()
        job = await self._service.cancel(_job_id(request), person_of(request))
        view = views.cancelled(job)
        self._board.post(job.id, view)
        with suppress(DeliveryError):  # the store knows; whoever comes later is told from there
            await self._keep_cancelled(job)
        return fresh(view)

    async def _allowance(self, request: web.Request) -> web.Response:
        return fresh({"left": await self._service.allowance_left(person_of(request))})


def _job_id(request: web.Request) -> JobId:
    return JobId(request.match_info["job_id"])
