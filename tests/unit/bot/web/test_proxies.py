"""Who asks, by the word of proxies: from the right, for as long as they are trusted."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.web.proxies import Proxies, UnreadableHeaderError

PROXIES = Proxies([ip_network("127.0.0.1"), ip_network("10.0.0.0/8"), ip_network("fd00::/8")])

STRANGERS = st.ip_addresses().filter(lambda address: not PROXIES.is_trusted(str(address)))
OURS = st.one_of(st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses(network="fd00::/8")).filter(
    lambda address: PROXIES.is_trusted(str(address))
)


@pytest.mark.parametrize(
    ("said", "client"),
    [
        (["198.51.100.7"], "198.51.100.7"),
        (["198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        (["6.6.6.6, 198.51.100.7, 10.0.0.2,127.0.0.1"], "198.51.100.7"),
        (["6.6.6.6", "198.51.100.7", "10.0.0.2"], "198.51.100.7"),
        (["127.0.0.1, 198.51.100.7"], "198.51.100.7"),
        (["this is not an address, 198.51.100.7"], "198.51.100.7"),
        (["10.1.1.1, 10.0.0.2"], "10.1.1.1"),
        ([" 198.51.100.7:4711 "], "198.51.100.7"),
        (["2001:db8::7"], "2001:db8::7"),
        (["[2001:DB8::7]:4711, fd00::1"], "2001:db8::7"),
        (["[2001:db8::7]"], "2001:db8::7"),
        (["::ffff:198.51.100.7, ::ffff:10.0.0.1"], "198.51.100.7"),
        (["fe80::7%eth0"], "fe80::7"),
    ],
)
def test_the_first_from_the_right_that_is_no_proxy_is_the_client(
    said: list[str], client: str
) -> None:
    assert PROXIES.client_of(said) == client


@pytest.mark.parametrize(
    "said",
    [
        *("", "unknown", "198.51.100.7,", "198.51.100", "_hidden", "[2001:db8::7", "[::1]x"),
        *("198.51.100.7, 10.0.0.2, unknown", "for=198.51.100.7", "198.51.100.0/24", "1:2:3"),
        *("198.51.100.7:", "198.51.100.7:port", "[198.51.100.7", "2001:db8::7]", "\x001"),
    ],
)
def test_an_address_that_matters_and_cannot_be_read_is_refused(said: str) -> None:
    with pytest.raises(UnreadableHeaderError):
        PROXIES.client_of([said])


@given(st.text(), STRANGERS, st.lists(OURS))
def test_nobody_can_ask_as_somebody_else(
    pretended: str, client: object, hops: list[object]
) -> None:
    said = ", ".join([pretended, str(client), *map(str, hops)])

    found = ip_address(PROXIES.client_of([said]))

    mapped = getattr(client, "ipv4_mapped", None)
    assert found == (mapped or client)


@pytest.mark.parametrize(
    ("address", "is_trusted"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("10.9.9.9", True),
        ("::ffff:10.9.9.9", True),
        ("fd12::1", True),
        ("198.51.100.7", False),
        ("", False),
        ("/run/socket", False),
    ],
)
def test_only_the_networks_of_the_settings_are_trusted(address: str, *, is_trusted: bool) -> None:
    assert PROXIES.is_trusted(address) == is_trusted


def test_without_any_nobody_is_trusted() -> None:
    assert not Proxies([]).is_trusted("127.0.0.1")
    assert repr(PROXIES) == "<Proxies 3 trusted>"
