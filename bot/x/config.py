"""What the X adapter needs to know; ``bot/settings.py`` fills it."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.loopback import require_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class XConfig:
    """Keys, address and pace of the X adapter.

    Attributes:
        api_key: Consumer key of the app (``X_API_KEY``).
        api_secret: Consumer secret of the app (``X_API_SECRET``).
        access_token: Token of the bot's own account (``X_ACCESS_TOKEN``).
        access_token_secret: Its secret (``X_ACCESS_TOKEN_SECRET``).
        api_base: Another server instead of X, on this machine only (``X_API_BASE``).
        picture_count: Pictures in an answer's grid.
        poll_interval_s: Pause between two looks for mentions. X allows 300 looks in
            15 minutes, one every 3 s; a look that finds nothing costs nothing.
        call_timeout_s: After this long without a whole answer a call has failed.
        look_delays_s: Pauses before each look at the account's own posts, after a reply
            of which nobody knows whether it was posted. X may show a post late, so one
            look at once would miss some: see ``bot/x/delivery.py``.
        give_up_after_s: An answer older than this is not posted any more.

    Raises:
        ValueError: ``api_base`` is not on this machine; the sentence is for the admin.
    """

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    access_token: str = field(repr=False)
    access_token_secret: str = field(repr=False)
    api_base: str | None = None
    picture_count: int = 9
    poll_interval_s: float = 5.0
    call_timeout_s: float = 30.0
    look_delays_s: tuple[float, ...] = (0.0, 20.0, 60.0, 300.0)
    give_up_after_s: float = 24 * 3600.0

    def __post_init__(self) -> None:
        """Keep the keys on this machine when they are not sent to X itself."""
        if self.api_base is not None:
            require_loopback("X_API_BASE", self.api_base)
