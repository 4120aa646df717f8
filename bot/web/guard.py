"""Keeps other people's web pages away from ours.

A page somewhere on the net can make its visitor's browser send requests to 127.0.0.1. It
can even give a name of its own that address (DNS rebinding) and then read the answers.
Hence: only Host headers that mean this machine are answered, and what changes something
must be JSON from our own page, which no foreign page can send without asking first.

Where the page has a password, it may have any name: the session of our page is sent under no
other name, so a rebound one comes without it.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from bot import sentences

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

_SAFE_METHODS: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def guard(*, is_any_host_ours: bool) -> Middleware:
    """Refuse what does not come from our own page, or not under a name of ours."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_any_host_ours and not is_this_machine(request.host):
            return refusal(sentences.WEB_FOREIGN_HOST, 403)
        if request.method not in _SAFE_METHODS and not _is_from_our_page(request):
            return refusal(sentences.WEB_FOREIGN_PAGE, 403)
        return await handler(request)

    return guarded


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Forbid the browser everything that the page does not need.

    What says nothing of it is looked at again each time: after an upgrade no page runs on the
    scripts of the last version.
    """
    response.headers.update(_HEADERS)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-cache")


def refusal(sentence: str, status: int) -> web.Response:
    """Answer with a sentence for the person, as JSON."""
    return web.json_response({"error": sentence}, status=status)


def is_this_machine(host_header: str) -> bool:
    """Whether a Host header, with or without a port, means this machine."""
    try:
        return is_loopback(urlsplit(f"//{host_header}").hostname or "")
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a name or an address means this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _is_from_our_page(request: web.Request) -> bool:
    origin = request.headers.get(hdrs.ORIGIN)  # programs like curl send none
    # By https where a proxy stands in front of us; nobody else can speak for our name.
    is_ours = origin is None or origin in {f"http://{request.host}", f"https://{request.host}"}
    return is_ours and request.content_type == "application/json"
