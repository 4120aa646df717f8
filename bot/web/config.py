"""What the local page needs to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.web.sessions import Passwords

if TYPE_CHECKING:
    from pathlib import Path

    from bot.web.proxies import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """Where things are kept, and what opens the page.

    Attributes:
        pictures_dir: One folder per job is written there.
        passwords: None leaves the page open.
        trusted_proxies: Who may say on whose behalf they ask.
    """

    pictures_dir: Path
    passwords: Passwords = field(default_factory=Passwords)
    trusted_proxies: tuple[Network, ...] = ()

    @property
    def key_path(self) -> Path:
        """The file of the key that signs sessions: beside the pictures, which are served."""
        return self.pictures_dir.with_name("web.key")
