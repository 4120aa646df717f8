"""The truth about jobs, quotas and cursors. Knows no platform, no engine, no flow."""

from bot.store.errors import IllegalMoveError, StoreError
from bot.store.store import Store

__all__ = ["IllegalMoveError", "Store", "StoreError"]
