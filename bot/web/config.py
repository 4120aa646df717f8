"""What the local page needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """Where the page is served and where its pictures are kept.

    Attributes:
        port: 0 takes a free one.
        pictures_dir: One folder per job is written here.
    """

    host: str
    port: int
    pictures_dir: Path
