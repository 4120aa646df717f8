"""What was measured, as a table for people and JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import statistics
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from bot.commands.bench import processor

if TYPE_CHECKING:
    from pathlib import Path


class Report:
    """Rows of seconds; each is printed when it is there."""

    def __init__(self, **setting: Any) -> None:
        self._setting: dict[str, Any] = {
            "processor": processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "jax": version("jax"),
            **setting,
        }
        self._rows: list[dict[str, Any]] = []
        print(", ".join(f"{name} {value}" for name, value in self._setting.items()))
        print("\n| what | median | least | most | |\n|---|---:|---:|---:|---|", flush=True)

    def add(self, what: str, seconds: list[float], *, note: str = "") -> float:
        """Add and print a row; return its median."""
        median = statistics.median(seconds)
        self._rows.append({"what": what, "seconds": seconds, "median_s": median, "note": note})
        cells = [f"{value:.2f} s" for value in (median, min(seconds), max(seconds))]
        print(f"| {what} | {' | '.join(cells)} | {note} |", flush=True)
        return median

    def note(self, what: str, **values: Any) -> None:
        """Add and print a line that is no time."""
        self._rows.append({"what": what, **values})
        shown = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in values.items()
        )
        print(f"| {what} | | | | {shown} |", flush=True)

    def write(self, path: Path) -> None:
        """Write everything as one JSON object."""
        whole = {"setting": self._setting, "rows": self._rows}
        path.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
        print(f"\nWritten to {path}.")
