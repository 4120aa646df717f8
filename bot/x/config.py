"""What the X adapter needs to know; ``bot/settings.py`` fills it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from bot.loopback import require_loopback
from bot.x.prices import MICROS, Prices

REAL_API_BASE: Final = "https://api.x.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class XConfig:
    """Keys, address, pace and money of the X adapter.

    Attributes:
        api_key: Consumer key of the app (``X_API_KEY``).
        api_secret: Consumer secret of the app (``X_API_SECRET``).
        access_token: Token of the bot's own account (``X_ACCESS_TOKEN``).
        access_token_secret: Its secret (``X_ACCESS_TOKEN_SECRET``).
        api_base: Another server instead of X, on this machine only (``X_API_BASE``).
        picture_count: Pictures in an answer's grid.
        poll_interval_s: Pause between two looks for mentions. X allows 300 looks in
            15 minutes, one every 3 s, and fewer on old plans: then the pause is longer. A
            look that finds nothing costs nothing.
        posts_per_15_min: Posts in any 15 minutes.
        posts_per_3_h: Posts in any 3 hours.
        prices: What X charges.
        daily_usd: Dollars that a day (UTC) may cost; 0 is no limit.
        ignored_ids: Accounts that are not answered, such as other bots.
        max_under_way: Mentions that are worked on at once; the others wait in the store,
            so that finished pictures do not pile up in memory while X limits posts.
        answers_per_conversation: Mentions of one author in one conversation that are
            answered: two bots that talk to each other come to an end.
        call_timeout_s: After this long without a whole answer a call has failed.
        close_grace_s: How long a reply that is on its way may take to arrive when the bot
            stops.
        look_delays_s: After an attempt of which nobody knows whether it worked, when to
            look at the account's own posts. X may show a post late, so one look at once
            would miss some: see ``bot/x/outbox.py``.
        sweep_interval_s: How often to look whether a reply was doubled after all; 0 is never.
        max_tries: Attempts that lead nowhere before a mention is given up.
        give_up_after_s: An answer older than this is not posted any more.
        reachable_count: Mentions that X's timeline reaches back; rather too few than too
            many, since a walk that read as many goes on in the search.

    Raises:
        ValueError: A value cannot be right; the sentence is for the admin.
    """

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    access_token: str = field(repr=False)
    access_token_secret: str = field(repr=False)
    api_base: str | None = None
    picture_count: int = 9
    poll_interval_s: float = 5.0
    posts_per_15_min: int = 100
    posts_per_3_h: int = 300
    prices: Prices = field(default_factory=Prices)
    daily_usd: float = 0.0
    ignored_ids: frozenset[str] = frozenset()
    max_under_way: int = 32
    answers_per_conversation: int = 5
    call_timeout_s: float = 30.0
    close_grace_s: float = 5.0
    look_delays_s: tuple[float, ...] = (20.0, 80.0, 380.0)
    sweep_interval_s: float = 24 * 3600.0
    max_tries: int = 3
    give_up_after_s: float = 24 * 3600.0
    reachable_count: int = 700

    def __post_init__(self) -> None:
        """Keep the keys on this machine when they are not sent to X itself."""
        if self.api_base is not None:
            require_loopback("X_API_BASE", self.api_base)
        limit = self.daily_limit_micros
        least = self.prices.reserve_micros + self.prices.reply + self.prices.alt_text
        if limit and limit < least:
            raise ValueError(
                f"X_DAILY_USD must be 0 (no limit) or at least {least / MICROS:.2f}: less does "
                "not cover one look for mentions and one answer."
            )

    @property
    def daily_limit_micros(self) -> int:
        """``daily_usd`` in millionths of a dollar."""
        return round(self.daily_usd * MICROS)

    @property
    def post_limits(self) -> tuple[tuple[timedelta, int], ...]:
        """Spans and how many posts each may hold."""
        return (
            (timedelta(minutes=15), self.posts_per_15_min),
            (timedelta(hours=3), self.posts_per_3_h),
        )
