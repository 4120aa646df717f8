"""What all routes of the page share: who asks, and how an error is answered."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

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
from bot.store.errors import StoreError
from bot.web.guard import refusal
from engine.api import EngineError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from aiohttp.typedefs import Handler, Middleware

    from bot.jobs import Json

log = logging.getLogger(__name__)


def person_of(request: web.Request) -> Person:
    """Who asks: an address is a person, that of the client where a trusted proxy tells it."""
    return Person(platform=Platform.WEB, id=request.remote or "unknown")


def fresh(answer: Json, *, status: int = HTTPStatus.OK) -> web.Response:
    """Answer with what is true now and must not be kept."""
    return web.json_response(answer, status=status, headers={"Cache-Control": "no-store"})


def error_answers(clock: Callable[[], datetime]) -> Middleware:
    """Answer every error with a sentence, as JSON."""

    def explained(error: Exception) -> web.Response:
        return refusal(sentences.explain(error, clock()), status_of(error))

    @web.middleware
    async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPRequestEntityTooLarge:
            return refusal(sentences.WEB_TOO_LONG, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except web.HTTPException as error:
            return refusal(sentences.WEB_NO_SUCH_PAGE, error.status)
        except ConnectionError:
            raise  # the person has left; nobody reads an answer
        except StoreError as error:
            log.error("request failed path=%s error=%s", request.path, error)  # noqa: TRY400 # known
            return explained(UnavailableError())
        except (RefusedError, EngineError) as error:
            return explained(error)
        except Exception as error:
            log.exception("request failed path=%s", request.path)
            return explained(error)

    return answered


def status_of(error: Exception) -> HTTPStatus:
    """The status that says the same as the sentence, to programs."""
    return next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)


_STATUSES: Final[Mapping[type, HTTPStatus]] = {
    OverQuotaError: HTTPStatus.TOO_MANY_REQUESTS,
    BlockedError: HTTPStatus.FORBIDDEN,
    UnknownPictureError: HTTPStatus.NOT_FOUND,
    NotCancellableError: HTTPStatus.CONFLICT,
    ModeratedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ClosingError: HTTPStatus.SERVICE_UNAVAILABLE,
    PausedError: HTTPStatus.SERVICE_UNAVAILABLE,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    RefusedError: HTTPStatus.BAD_REQUEST,
    InvalidRequestError: HTTPStatus.BAD_REQUEST,
    EngineError: HTTPStatus.SERVICE_UNAVAILABLE,
    Exception: HTTPStatus.INTERNAL_SERVER_ERROR,
}
