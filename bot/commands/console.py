"""Where commands write: outcomes to stdout, what goes wrong to stderr, a sentence at a time."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

FAILED: Final = 1
NOTHING: Final = "(none)"

out = Console(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)


def say(sentence: str) -> None:
    """Tell an outcome, at once even through a pipe."""
    out.print(sentence, markup=False)
    sys.stdout.flush()


def complain(sentence: str, status: int) -> int:
    """Tell what went wrong; return the exit status."""
    err.print(sentence, markup=False)
    return status


def show_table(
    head: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Collection[str] = ()
) -> None:
    """Print a table; columns are kept apart by spaces only, and no cell is cut short.

    Args:
        head: A name for each column.
        rows: Cells; ``None`` is empty.
        numbers: Names of columns that are read from the right.
    """
    lines = [[*head], *(["" if cell is None else str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.rjust(width) if name in numbers else cell.ljust(width)
            for name, cell, width in zip(head, line, widths, strict=True)
        ]
        out.print("   ".join(cells).rstrip(), markup=False)
    if len(lines) == 1:
        out.print(NOTHING)
