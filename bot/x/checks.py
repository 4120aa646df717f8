"""Looks at X without posting anything: keys, fields, clock, limits.

Costs what one look at the account and one page of mentions cost (about a cent, and a tenth
of a cent for each mention on the page).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bot import sentences
from bot.clock import utc_now
from bot.x.adapter import XKeysError
from bot.x.api import CredentialsError, DeclinedError, Span, XApiError
from bot.x.client import TweepyApi
from bot.x.mentions import UnreadablePostError, read_mention

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.x.config import XConfig

# X refuses signatures that are about 5 minutes off; the rest is for slow networks.
MAX_SKEW_S: Final = 120.0
READ_ONLY: Final = "read"


class XCheckError(Exception):
    """X could not be used. ``str(error)`` is a sentence for the admin."""


async def check(config: XConfig, *, clock: Callable[[], datetime] = utc_now) -> str:
    """Return what was seen, in a few words.

    Raises:
        XKeysError: X does not accept the keys.
        XCheckError: X cannot be asked, the clock is wrong, the token may not post, or fields are
            missing.
    """
    api = TweepyApi(config, clock=clock)
    try:
        return await _look(api)
    except (CredentialsError, DeclinedError) as error:
        if api.skew_s is not None and abs(api.skew_s) > MAX_SKEW_S:  # the true reason
            raise XCheckError(sentences.x_clock_wrong(api.skew_s)) from error
        raise XKeysError(sentences.x_keys_refused(str(error))) from error
    except XApiError as error:
        raise XCheckError(f"{sentences.X_UNREACHABLE} ({error})") from error
    finally:
        await api.close()


async def _look(api: TweepyApi) -> str:
    me = await api.who_am_i()
    page = await api.mentions(me.id, Span())
    if api.skew_s is not None and abs(api.skew_s) > MAX_SKEW_S:
        raise XCheckError(sentences.x_clock_wrong(api.skew_s))
    if api.access_level == READ_ONLY:
        raise XCheckError(sentences.X_READ_ONLY)
    for post in page.posts:
        try:
            read_mention(post, me)
        except UnreadablePostError as error:
            raise XCheckError(sentences.x_fields_missing(str(error))) from error
    return sentences.x_checked(me.username, page.limit_count, api.skew_s, len(page.posts))
