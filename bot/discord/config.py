"""What the Discord adapter is told when it is built."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from bot import sentences
from bot.loopback import require_loopback

_TOKEN = re.compile(r"[!-~]+")  # it travels in a header: printable ASCII, no blanks


class CardKind(StrEnum):
    """How a card shows its pictures."""

    GALLERY = "gallery"
    """Each by itself, to be opened in full size."""
    GRID = "grid"
    """All in one picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscordConfig:
    """How to reach Discord, and as whom.

    Attributes:
        token: The bot token. Never logged, not in ``repr``.
        api_base: A Discord REST server on this machine instead of the real one, with the
            version in its path: ``http://127.0.0.1:9000/api/v10``.
        gateway_url: The gateway that belongs to ``api_base``: ``ws://127.0.0.1:9000/gateway``.
        card: How results are shown.
        progress_interval_s: Least time between two progress edits of one message. Discord
            lets through about five edits in a row, then makes each one wait.
        reopen_wait_s: Pause between two rounds of tries to reach Discord at the start.
        retry_waits_s: Pauses before an outside call is tried again; one try more than pauses.
    """

    token: str = field(repr=False)
    api_base: str | None = None
    gateway_url: str | None = None
    card: CardKind = CardKind.GALLERY
    progress_interval_s: float = 3.0
    reopen_wait_s: float = 30.0
    retry_waits_s: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)

    def __post_init__(self) -> None:
        """Refuse what cannot be a token, and addresses that could carry it off this machine.

        Raises:
            ValueError: With the sentence for the admin.
        """
        if not _TOKEN.fullmatch(self.token):
            raise ValueError(sentences.DISCORD_LOGIN_MISSING)
        if (self.api_base is None) != (self.gateway_url is None):
            raise ValueError(sentences.DISCORD_HALF_REDIRECTED)
        if self.api_base is not None and self.gateway_url is not None:
            require_loopback("DISCORD_API_BASE", self.api_base)
            require_loopback("DISCORD_GATEWAY_URL", self.gateway_url)
