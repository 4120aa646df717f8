"""``imagine check`` on X: it looks and posts nothing."""

from __future__ import annotations

import socket

import pytest

from bot.x.adapter import XKeysError
from bot.x.checks import XCheckError, check
from tests.support.clock import NOON
from tests.support.x_line import x_config
from tests.support.x_server import XServer
from tests.support.x_world import ME, MENTIONS, Fault

DATE = "Tue, 09 Jun 2026 12:00:03 GMT"


async def looked(server: XServer, **changes: object) -> str:
    return await check(x_config(server, **changes), clock=lambda: NOON)


async def test_it_tells_account_limit_clock_and_fields() -> None:
    async with XServer(date=DATE) as server:
        server.world.mention("ada", "@imagine_bot a red cube")

        told = await looked(server)

    assert told == "@imagine_bot, 300 looks in 15 min, clock 3 s apart, fields seen on 1"
    assert server.world.calls == [ME, MENTIONS]


async def test_without_a_mention_it_says_that_fields_were_not_seen() -> None:
    async with XServer(date=DATE) as server:
        told = await looked(server)

    assert told.endswith("no mention yet to see fields on")


@pytest.mark.parametrize("level", [None, "read-write", "read-write-directmessages"])
async def test_a_token_that_may_post_is_fine_and_so_is_one_of_which_x_says_nothing(
    level: str | None,
) -> None:
    async with XServer(date=DATE, access_level=level) as server:
        assert (await looked(server)).startswith("@imagine_bot, ")


async def test_a_token_that_may_only_read_is_told() -> None:
    async with XServer(date=DATE, access_level="read") as server:
        with pytest.raises(XCheckError) as caught:
            await looked(server)

    assert str(caught.value) == (
        "X_ACCESS_TOKEN may only read, so nobody could be answered: choose Read and write under "
        "User authentication at developer.x.com, then make the access token anew and set "
        "X_ACCESS_TOKEN and X_ACCESS_TOKEN_SECRET."
    )


async def test_missing_fields_are_named() -> None:
    async with XServer(date=DATE) as server:
        server.world.mention("ada", "@imagine_bot a red cube")
        server.world.withheld = {"author_id"}

        with pytest.raises(XCheckError) as caught:
            await looked(server)

    assert str(caught.value) == (
        "X sends mentions without author_id. The bot answers nothing until they come back: look "
        "for a newer version of it."
    )


async def test_a_wrong_clock_is_told_also_when_x_blames_the_keys() -> None:
    async with XServer(date="Tue, 09 Jun 2026 12:10:00 GMT") as server:
        for secret in ({}, {"api_secret": "refused"}):
            with pytest.raises(XCheckError) as caught:
                await looked(server, **secret)
            assert str(caught.value) == (
                "The clock of this machine is 600 s off X's. X refuses requests that are minutes "
                "off: set the clock (timedatectl set-ntp true)."
            )


async def test_wrong_keys_are_told() -> None:
    async with XServer(date=DATE) as server:
        with pytest.raises(XKeysError, match="X does not accept the keys"):
            await looked(server, api_secret="mistyped")


async def test_an_x_that_cannot_be_reached_is_told() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
    async with XServer() as server:
        with pytest.raises(XCheckError, match="X cannot be asked just now"):
            await looked(server, api_base=nobody)


async def test_no_credit_is_told() -> None:
    async with XServer(date=DATE) as server:
        server.world.fail(ME, Fault(kind="answer", status=402, detail="CreditsDepleted"))

        with pytest.raises(XCheckError, match=r"the credit at developer\.x\.com.*no credit"):
            await looked(server)
