"""The truth about jobs, quotas and cursors. Knows no platform, no engine, no flow.

But for the modules ``x_*``: mentions on X have tables of their own, for ``bot.x``.
"""

from bot.store.errors import IllegalMoveError, StoreError
from bot.store.history import KeptPicture, Past
from bot.store.house import CommunityRules, Profile
from bot.store.quotas import UNLIMITED, Limits, Rules, Standing, Tier
from bot.store.store import Store

__all__ = [
    "UNLIMITED",
    "CommunityRules",
    "IllegalMoveError",
    "KeptPicture",
    "Limits",
    "Past",
    "Profile",
    "Rules",
    "Standing",
    "Store",
    "StoreError",
    "Tier",
]
