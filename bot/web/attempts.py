"""Counts wrong passwords, so that nobody can try them all."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

FREE_COUNT: Final = 5
REFILL_S: Final = 30.0
_REMEMBERED_COUNT: Final = 10_000


class Attempts:
    """How many more wrong passwords each address may send: five, then one every 30 seconds.

    Addresses of one IPv6 network (/64) count as one, since a single machine has them all. Of
    very many addresses only those that failed last are remembered.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[float, datetime]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Seconds until this address may try a password; 0 is now."""
        return max(0.0, REFILL_S * (self._count(_who(address)) + 1 - FREE_COUNT))

    def failed(self, address: str) -> None:
        """Note a wrong password."""
        who = _who(address)
        self._failures[who] = (self._count(who) + 1, self._clock())
        self._failures.move_to_end(who)
        if len(self._failures) > _REMEMBERED_COUNT:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget the wrong passwords of somebody who knows the right one."""
        self._failures.pop(_who(address), None)

    def _count(self, who: str) -> float:
        """Wrong passwords that are not forgiven yet."""
        count, then = self._failures.get(who, (0.0, self._clock()))
        return max(0.0, count - (self._clock() - then).total_seconds() / REFILL_S)


def _who(address: str) -> str:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)
