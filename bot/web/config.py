"""What the local page needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """Where the page's pictures are kept: one folder per job is written there."""

    pictures_dir: Path
