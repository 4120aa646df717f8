"""What the adapter keeps over a restart: a few named strings in the store."""

from __future__ import annotations

from typing import Protocol


class Cursors(Protocol):
    """Named strings that survive a restart; ``bot.store`` implements it."""

    async def read_cursor(self, name: str) -> str | None:
        """Return what was last written under ``name``, or ``None``."""
        ...

    async def write_cursor(self, name: str, value: str) -> None:
        """Keep ``value`` under ``name``; when this returns, it survives a crash."""
        ...
