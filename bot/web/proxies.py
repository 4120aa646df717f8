"""Who asks through a proxy: ``X-Forwarded-For``, believed only from those who may say it.

Anybody can send the header, so what counts is who sent it. A proxy adds the address of whoever
came to it at the right end; so the list is read from the right, for as long as the addresses
are those of trusted proxies. The first other one is the client. What stands left of it was
sent by the client itself and says nothing.

Example, where 10.0.0.0/8 is trusted: a connection from 10.0.0.1 says ``6.6.6.6, 198.51.100.7,
10.0.0.2``. The client is 198.51.100.7, who pretended to be 6.6.6.6.

Source: RFC 7239, section 8.1 (what may be believed), for the older header of the same meaning.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

from aiohttp import hdrs, web

from bot import sentences
from bot.web.guard import is_loopback, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp.typedefs import Handler

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

# An IPv4 address that may have a port, an IPv6 address in brackets that may have one, or without.
_FORMS: Final = re.compile(
    r"(?P<v4>[\d.]+)(:\d+)?|\[(?P<in_brackets>[^\[\]]+)\](:\d+)?|(?P<bare>[^\[\]]+)"
)
_IS_PASSED_ON: Final = web.RequestKey[bool]("is_passed_on")


class UnreadableHeaderError(Exception):
    """A trusted proxy named a client in a form that cannot be read."""


class Proxies:
    """Gives each request the address of its client.

    Args:
        trusted: Whose word is believed; without any, the header is never read.
    """

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)

    def __repr__(self) -> str:
        return f"<Proxies {len(self._trusted)} trusted>"

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let everything behind this see the client as ``request.remote``."""
        said = request.headers.getall(hdrs.X_FORWARDED_FOR, [])
        if not said or not self.is_trusted(request.remote or ""):
            return await handler(request)
        try:
            client = self.client_of(said)
        except UnreadableHeaderError:
            return refusal(sentences.WEB_UNREADABLE_PROXY, 400)
        passed_on = request.clone(remote=client)
        passed_on[_IS_PASSED_ON] = True
        return await handler(passed_on)

    def is_trusted(self, address: str) -> bool:
        """Whether somebody's word is believed; nonsense is nobody's address."""
        try:
            return self._holds(_address_of(address))
        except UnreadableHeaderError:
            return False

    def client_of(self, said: Sequence[str]) -> str:
        """The client, from the headers that a trusted proxy sent, in their order.

        Where every address is trusted, it is the first: whoever asked is in a trusted network.

        Raises:
            UnreadableHeaderError: An address that matters is none.
        """
        client = None
        for text in reversed(",".join(said).split(",")):
            client = _address_of(text)
            if not self._holds(client):
                break
        return str(client)

    def _holds(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def is_near(request: web.Request) -> bool:
    """Whether somebody of this machine asks, and not through a trusted proxy.

    A proxy is there to let others in: what it passes on counts as theirs.
    """
    return not request.get(_IS_PASSED_ON, False) and is_loopback(request.remote or "")


def _address_of(text: str) -> Address:
    """Read ``198.51.100.7``, ``2001:db8::7``, or either with a port as some proxies write it.

    Raises:
        UnreadableHeaderError: It is something else.
    """
    form = _FORMS.fullmatch(text.strip())
    host = "" if form is None else form["v4"] or form["in_brackets"] or form["bare"]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError as error:
        raise UnreadableHeaderError from error
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
