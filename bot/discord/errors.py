"""The border to discord.py: repeats what is worth repeating, translates what is left.

What discord.py 2.7.1 does by itself (measured against a loopback server)::

    what happens                   on routes of the bot      on routes of an interaction
    429 that names Discord (Via)   waits, 5 tries            waits, 5 tries
    429 that does not              raised at once            raised at once
    500, 502, 504, 524             1, 3, 5, 7 s, 5 tries     1, 3, 5, 7 s, 5 tries
    503                            raised at once            like 500
    connection reset (Linux)       raised at once            raised at once
    connection closed              raised at once            raised at once
    401, 403, 404, 413             raised at once            raised at once

``persistently`` repeats the resets, the closed connections, the 503 and time-outs. A refusal
is never repeated: Discord bans addresses that send many refused requests. That goes for the
429 without ``Via``, too, which comes from before Discord: the service tries again later.

The errors::

    DiscordStartError           the adapter cannot start; its sentence is for the admin
    bot.jobs.DeliveryError      an answer did not arrive this time
    ├── TooManyEditsError       ... because an old message was changed too often
    └── UndeliverableError      ... and never will
        ├── TokenGoneError      ... by way of the interaction's token
        ├── ClosedError         ... there: the place is gone or forbids it
        └── TooBigError         ... with files of this size
"""

from __future__ import annotations

import asyncio
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import aiohttp
import discord

from bot import sentences
from bot.jobs import DeliveryError, UndeliverableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence

# Longer than any rate limit that Discord asks of a well-behaved bot, shorter than a patience.
TRY_TIMEOUT_S: Final = 60.0

TRANSIENT: Final = (discord.DiscordServerError, aiohttp.ClientError, TimeoutError, OSError)
FOREIGN: Final = (discord.DiscordException, *TRANSIENT)

# Source: Discord API documentation, "JSON Error Codes".
ALREADY_ACKNOWLEDGED: Final = 40060
UNKNOWN_WEBHOOK: Final = 10015
UNKNOWN_INTERACTION: Final = 10062
TOO_MANY_EDITS: Final = 30046
INVALID_WEBHOOK_TOKEN: Final = 50027
TOKEN_GONE_CODES: Final = frozenset({UNKNOWN_WEBHOOK, UNKNOWN_INTERACTION, INVALID_WEBHOOK_TOKEN})
BAD_REQUEST: Final = 400
CLOSED_STATUSES: Final = frozenset({403, 404})
TOO_BIG: Final = 413
SERVER_ERRORS_FROM: Final = 500

_T = TypeVar("_T")


class DiscordStartError(Exception):
    """The adapter cannot start. ``str(error)`` tells the admin what to do."""


class TokenGoneError(UndeliverableError):
    """The interaction's token is no longer good; the answer may still go another way."""


class ClosedError(UndeliverableError):
    """The message or the channel is gone, or the bot may not write there."""


class TooBigError(UndeliverableError):
    """The files are heavier than Discord takes there."""


class TooManyEditsError(DeliveryError):
    """A message that is older than an hour was changed as often as Discord allows."""


async def persistently(attempt: Callable[[], Awaitable[_T]], waits_s: Sequence[float]) -> _T:
    """Run ``attempt`` until it succeeds, is refused, or the pauses are used up.

    Only for what may safely happen twice: edits, and posts with a nonce.
    """
    for wait_s in waits_s:
        try:
            async with asyncio.timeout(TRY_TIMEOUT_S):
                return await attempt()
        except TRANSIENT:
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load
    async with asyncio.timeout(TRY_TIMEOUT_S):
        return await attempt()


@contextmanager
def delivery_errors() -> Generator[None]:
    """Turn whatever Discord or the network raises inside into a ``DeliveryError``."""
    try:
        yield
    except FOREIGN as error:
        raise as_delivery_error(error) from error


def as_delivery_error(error: Exception) -> DeliveryError:
    """Return what ``error`` means for an answer."""
    if not isinstance(error, discord.HTTPException):
        return DeliveryError(f"Discord could not be reached ({type(error).__name__})")
    return _kind_of(error)(f"Discord refused with {error.status}, code {error.code}")


def _kind_of(error: discord.HTTPException) -> type[DeliveryError]:
    if error.code in TOKEN_GONE_CODES:
        return TokenGoneError
    if error.code == TOO_MANY_EDITS:
        return TooManyEditsError
    if error.status in CLOSED_STATUSES:
        return ClosedError
    if error.status == TOO_BIG:
        return TooBigError
    return UndeliverableError if error.status == BAD_REQUEST else DeliveryError


def as_start_error(error: Exception) -> DiscordStartError:
    """Return the sentence for the admin that fits a failed login or connection."""
    return DiscordStartError(_start_sentence(error))


def _start_sentence(error: Exception) -> str:
    match error:
        case discord.LoginFailure() | discord.ConnectionClosed(code=4004):
            return sentences.DISCORD_LOGIN_REFUSED
        case discord.PrivilegedIntentsRequired() | discord.ConnectionClosed():
            return sentences.DISCORD_CONNECTION_REFUSED
        case discord.HTTPException(status=status) if status < SERVER_ERRORS_FROM:
            return sentences.discord_start_refused(status)
        case _:
            return sentences.DISCORD_UNREACHABLE
