"""What all routes of the page share: who asks, and how an error is answered."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from bot import sentences
from bot.jobs import (
    BlockedError,
    ClosingError,
    ModeratedError,
    NotCancellableError,
    OverQuotaError,
    PausedError,
    Person,
    Platform,
    RefusedError,
    UnavailableError,
    UnknownPictureError,
)
from bot.web.guard import refusal
from engine.api import EngineError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.jobs import Json
    from bot.web.guard import Handler, Middleware

log = logging.getLogger(__name__)


def person_of(request: web.Request) -> Person:
    """Who asks: an address is a person."""
    return Person(platform=Platform.WEB, id=request.remote or "unknown")


def fresh(answer: Json, *, status: int = HTTPStatus.OK) -> web.Response:
    """Answer with what is true now and must not be kept."""
    return web.json_response(answer, status=status, headers={"Cache-Control": "no-store"})


def error_answers(clock: Callable[[], datetime]) -> Middleware:
    """Answer every error with a sentence, as JSON."""

    @web.middleware
    async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPRequestEntityTooLarge:
            return refusal(sentences.WEB_TOO_LONG, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except web.HTTPException as error:
            return refusal(sentences.WEB_NO_SUCH_PAGE, error.status)
        except (RefusedError, EngineError) as error:
            return refusal(sentences.explain(error, clock()), status_of(error))
        except ConnectionError:
            raise  # the person has left; nobody reads an answer
        except Exception as error:
            log.exception("request failed", extra={"path": request.path})
            return refusal(sentences.explain(error, clock()), HTTPStatus.INTERNAL_SERVER_ERROR)

    return answered


def status_of(error: RefusedError | EngineError) -> HTTPStatus:
    """The status that says the same as the sentence, to programs."""
    match error:
        case OverQuotaError():
            return HTTPStatus.TOO_MANY_REQUESTS
        case BlockedError():
            return HTTPStatus.FORBIDDEN
        case UnknownPictureError():
            return HTTPStatus.NOT_FOUND
        case NotCancellableError():
            return HTTPStatus.CONFLICT
        case ModeratedError():
            return HTTPStatus.UNPROCESSABLE_ENTITY
        case ClosingError() | UnavailableError() | PausedError():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case InvalidRequestError() | RefusedError():
            return HTTPStatus.BAD_REQUEST
        case _:
            return HTTPStatus.SERVICE_UNAVAILABLE
