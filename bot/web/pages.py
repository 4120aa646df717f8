"""Other pages that live behind the same door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aiohttp import web


class Pages(Protocol):
    """Routes that are served beside the local page's own, guarded like them."""

    def add_to(self, application: web.Application) -> None:
        """Add them; called once, before the page is served."""
        ...
