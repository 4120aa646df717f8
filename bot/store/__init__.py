"""The truth about jobs, quotas and cursors. Knows no platform, no engine, no flow."""

from bot.store.errors import IllegalMoveError, StoreError
from bot.store.history import KeptPicture, Past
from bot.store.quotas import UNLIMITED, Limits, Rules, Standing, Tier
from bot.store.store import Store

__all__ = [
    "UNLIMITED",
    "IllegalMoveError",
    "KeptPicture",
    "Limits",
    "Past",
    "Rules",
    "Standing",
    "Store",
    "StoreError",
    "Tier",
]
