"""The door of the page: who may come in, and as what.

With no password the page is open to this machine, and whoever sits there is an admin too;
others, whom a proxy would let in, are refused. With ``WEB_PASSWORD`` a browser logs in once and
shows its session in a cookie that no script can read and no other site can send; a program sends
``Authorization: Bearer PASSWORD``. With ``WEB_ADMIN_PASSWORD`` only that one makes an admin.

A handler for admins begins with ``require_admin(request)``.
"""

from __future__ import annotations

import json
import logging
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote

from aiohttp import hdrs, web

from bot import sentences
from bot.web.attempts import Attempts
from bot.web.guard import refusal
from bot.web.proxies import is_near
from bot.web.sessions import SESSION_LASTS, Role, Sessions

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from aiohttp.typedefs import Handler

    from bot.web.sessions import Passwords

log = logging.getLogger(__name__)

COOKIE: Final = "imagine_session"
OPEN_PATHS: Final = frozenset({"/login", "/api/login", "/healthz", "/readyz", "/metrics"})
OPEN_FOLDER: Final = "/static/"
_ROLE: Final = web.RequestKey[Role | None]("role")
_BEARER: Final = "Bearer "


class LoginNeededError(Exception):
    """Somebody must log in (as an admin) first."""


def role_of(request: web.Request) -> Role | None:
    """What whoever sent this may do; ``None`` only under the open paths."""
    return request.get(_ROLE)


def require_admin(request: web.Request) -> str:
    """Let only admins pass, and return who it is, for the record: ``web:127.0.0.1``.

    Raises:
        LoginNeededError: Others; a browser is led to the login, a program gets a sentence.
    """
    if role_of(request) is not Role.ADMIN:
        raise LoginNeededError
    return f"web:{request.remote or 'unknown'}"


def may_monitor(request: web.Request) -> bool:
    """Whether somebody may read the metrics: an admin, or a program of this machine.

    What a proxy of this machine passes on comes from elsewhere.
    """
    is_passed_on = hdrs.X_FORWARDED_FOR in request.headers or hdrs.FORWARDED in request.headers
    return (is_near(request) and not is_passed_on) or role_of(request) is Role.ADMIN


class Login:
    """Asks for the password where one is set.

    Args:
        passwords: What opens the page.
        key: Signs the sessions (``session_key``).
        clock: Gives the present (aware, UTC).
    """

    def __init__(self, passwords: Passwords, key: bytes, *, clock: Callable[[], datetime]) -> None:
        self._passwords = passwords
        self._sessions = Sessions(key, passwords)
        self._attempts = Attempts(clock)
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Logging in and out, and what one is."""
        return [
            web.post("/api/login", self._log_in),
            web.post("/api/logout", self._log_out),
            web.get("/api/session", self._session),
        ]

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Give each request its role; lead those without one to the login."""
        if wait := self._refused_bearer(request):
            return wait
        role = self._role(request)
        request[_ROLE] = role
        if role is None and not _is_open(request.path):
            if not self._passwords.is_any_set:  # there is nothing to log in with
                return refusal(sentences.WEB_FOR_THIS_MACHINE, HTTPStatus.FORBIDDEN)
            return _login_needed(request, role)
        try:
            return await handler(request)
        except LoginNeededError:
            return _login_needed(request, role)

    def _refused_bearer(self, request: web.Request) -> web.Response | None:
        """Refuse a wrong password in the header, and any while too many were wrong."""
        given = _bearer(request)
        if given is None or not self._passwords.is_any_set:
            return None
        return self._refused(request, given)

    def _refused(self, request: web.Request, password: str) -> web.Response | None:
        """Count a wrong password; ``None`` if it is right and may be tried now."""
        address = request.remote or ""
        if (wait_s := self._attempts.wait_s(address)) > 0:
            answer = refusal(sentences.web_too_many_attempts(wait_s), HTTPStatus.TOO_MANY_REQUESTS)
            answer.headers[hdrs.RETRY_AFTER] = str(math.ceil(wait_s))
            return answer
        if self._passwords.role_for(password) is None:
            self._attempts.failed(address)
            log.warning("wrong password address=%s", address)
            return refusal(sentences.WEB_WRONG_PASSWORD, HTTPStatus.UNAUTHORIZED)
        self._attempts.succeeded(address)
        return None

    def _role(self, request: web.Request) -> Role | None:
        """The most that password, session or an open page allow."""
        given, session = _bearer(request), request.cookies.get(COOKIE, "")
        roles = {
            self._passwords.open_role if is_near(request) else None,
            None if given is None else self._passwords.role_for(given),
            self._sessions.role_of(session, self._clock()),
        }
        return next((role for role in (Role.ADMIN, Role.PERSON) if role in roles), None)

    async def _log_in(self, request: web.Request) -> web.Response:
        password = _password(await request.read())
        if password is None:
            return refusal(sentences.WEB_NO_PASSWORD, HTTPStatus.BAD_REQUEST)
        if refused := self._refused(request, password):
            return refused
        role = self._passwords.role_for(password)
        if role is None:
            raise LoginNeededError  # cannot be: it was right just now
        answer = web.json_response({"role": role})
        answer.set_cookie(
            COOKIE,
            self._sessions.issue(role, self._clock()),
            max_age=int(SESSION_LASTS.total_seconds()),
            httponly=True,
            samesite="Strict",
            secure=_is_encrypted(request),
        )
        return answer

    async def _log_out(self, _request: web.Request) -> web.Response:
        answer = web.json_response({})
        answer.del_cookie(COOKIE, httponly=True, samesite="Strict")
        return answer

    async def _session(self, request: web.Request) -> web.Response:
        session = request.cookies.get(COOKIE, "")
        has_session = self._sessions.role_of(session, self._clock()) is not None
        return web.json_response(
            {"role": role_of(request), "has_session": has_session},
            headers={hdrs.CACHE_CONTROL: "no-store"},
        )


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


def _bearer(request: web.Request) -> str | None:
    header = request.headers.get(hdrs.AUTHORIZATION, "")
    return header.removeprefix(_BEARER) if header.startswith(_BEARER) else None


def _password(body: bytes) -> str | None:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    password = (
        cast("dict[str, object]", fields).get("password") if isinstance(fields, dict) else None
    )
    return password if isinstance(password, str) and password else None


def _is_encrypted(request: web.Request) -> bool:
    """Whether the browser came by https, to us or to a proxy in front of us."""
    return request.secure or request.headers.get(hdrs.X_FORWARDED_PROTO) == "https"


def _login_needed(request: web.Request, role: Role | None) -> web.Response:
    if request.method == hdrs.METH_GET and not request.path.startswith("/api/"):
        there = f"/login?next={quote(request.path_qs, safe='/')}"
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={hdrs.LOCATION: there})
    if role is None:
        answer = refusal(sentences.WEB_LOGIN_NEEDED, HTTPStatus.UNAUTHORIZED)
        answer.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        return answer
    return refusal(sentences.WEB_ADMIN_NEEDED, HTTPStatus.FORBIDDEN)
