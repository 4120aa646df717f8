"""How one walks down a timeline of X and knows that nothing was left out.

Pages come newest first. The next page is asked for by the oldest id of the last one
(``until_id``): ids stay valid for ever, while X's page tokens expire and were seen to repeat
without end. A token is used only to get past a page that is empty and yet promises more
(all of its posts were deleted).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.x.api import DeclinedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.x.api import Page, Post, Span

    Fetch = Callable[[Span], Awaitable[Page]]

_MAX_EMPTY_PAGES = 10


class IncompleteWalkError(Exception):
    """X promises more posts and does not show them: what is there is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One page of a walk.

    Attributes:
        next_until_id: The walk goes on below this id; ``None`` at its end.
        limit_count: As in ``Page``.
    """

    posts: tuple[Post, ...]
    next_until_id: int | None
    limit_count: int | None


async def next_step(fetch: Fetch, span: Span) -> Step:
    """Read the newest page of ``span`` that has posts on it.

    Raises:
        IncompleteWalkError: It cannot be told whether there are more.
        XApiError: A call failed.
    """
    page = await fetch(span)
    tokens: set[str] = set()
    while not page.posts and page.next_token is not None:
        if page.next_token in tokens or len(tokens) == _MAX_EMPTY_PAGES:
            raise IncompleteWalkError("page tokens lead nowhere")
        tokens.add(page.next_token)
        try:
            page = await fetch(replace(span, page_token=page.next_token))
        except DeclinedError as error:
            raise IncompleteWalkError(str(error)) from error
    oldest = min((int(post["id"]) for post in page.posts), default=None)
    return Step(
        posts=page.posts,
        next_until_id=None if page.next_token is None else oldest,
        limit_count=page.limit_count,
    )
