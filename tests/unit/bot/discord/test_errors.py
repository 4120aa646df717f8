from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
import pytest
from discord import app_commands

from bot.discord.errors import (
    FOREIGN,
    ClosedError,
    TokenGoneError,
    TooBigError,
    TooManyEditsError,
    as_delivery_error,
    delivery_errors,
    persistently,
)
from bot.jobs import DeliveryError, UndeliverableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def answer(status: int, code: int = 0) -> discord.HTTPException:
    kind = discord.DiscordServerError if status >= 500 else discord.HTTPException
    response: Any = SimpleNamespace(status=status, reason="as told")
    return kind(response, {"code": code, "message": "as told"})


def failing(*errors: Exception) -> tuple[list[int], Callable[[], Awaitable[str]]]:
    """A call that fails with each of ``errors`` in turn and then succeeds."""
    left, tries = list(errors), list[int]()

    async def attempt() -> str:
        tries.append(1)
        if left:
            raise left.pop(0)
        return "done"

    return tries, attempt


@pytest.mark.parametrize(
    "error",
    [
        answer(503),
        ConnectionResetError(104, "reset"),
        aiohttp.ServerDisconnectedError(),
        TimeoutError(),
    ],
    ids=repr,
)
async def test_what_a_later_try_may_cure_is_tried_again(error: Exception) -> None:
    tries, attempt = failing(error, error)

    assert await persistently(attempt, (0, 0)) == "done"
    assert len(tries) == 3


async def test_trying_again_has_an_end() -> None:
    tries, attempt = failing(*[TimeoutError()] * 9)

    with pytest.raises(TimeoutError):
        await persistently(attempt, (0, 0))

    assert len(tries) == 3


@pytest.mark.parametrize("error", [answer(401, 50027), answer(403), answer(404)], ids=repr)
async def test_a_refusal_is_never_tried_again(error: Exception) -> None:
    tries, attempt = failing(error)

    with pytest.raises(discord.HTTPException):
        await persistently(attempt, (0, 0))

    assert len(tries) == 1


async def test_trying_again_can_be_cancelled() -> None:
    _, attempt = failing(TimeoutError())
    task = asyncio.create_task(persistently(attempt, (3_600,)))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (answer(401, 50027), TokenGoneError, "Discord refused with 401, code 50027"),
        (answer(404, 10015), TokenGoneError, "Discord refused with 404, code 10015"),
        (answer(404, 10008), ClosedError, "Discord refused with 404, code 10008"),
        (answer(403, 50013), ClosedError, "Discord refused with 403, code 50013"),
        (answer(413, 40005), TooBigError, "Discord refused with 413, code 40005"),
        (answer(400, 50035), UndeliverableError, "Discord refused with 400, code 50035"),
        (answer(429, 30046), TooManyEditsError, "Discord refused with 429, code 30046"),
        (answer(401), DeliveryError, "Discord refused with 401, code 0"),
        (answer(429), DeliveryError, "Discord refused with 429, code 0"),
        (answer(503), DeliveryError, "Discord refused with 503, code 0"),
        (TimeoutError(), DeliveryError, "Discord could not be reached (TimeoutError)"),
    ],
    ids=repr,
)
def test_an_error_of_discord_becomes_one_of_ours(
    error: Exception, kind: type[DeliveryError], told: str
) -> None:
    ours = as_delivery_error(error)

    assert type(ours) is kind
    assert str(ours) == told


def test_a_translated_error_names_its_cause() -> None:
    cause = answer(403)

    with pytest.raises(UndeliverableError) as caught, delivery_errors():
        raise cause

    assert caught.value.__cause__ is cause


def test_every_exception_of_the_libraries_is_translated() -> None:
    errors = {
        error
        for module in (discord.errors, app_commands.errors, aiohttp.client_exceptions)
        for error in vars(module).values()
        if isinstance(error, type) and issubclass(error, Exception)
    }

    assert len(errors) > 40
    # The last is aiohttp's answer to a programmer who reads text from a binary frame.
    assert errors - {error for error in errors if issubclass(error, FOREIGN)} == {
        aiohttp.WSMessageTypeError
    }
