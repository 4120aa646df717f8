"""Where commands write: outcomes to stdout, what goes wrong to stderr, a sentence at a time."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FAILED: Final = 1

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
    head: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()
) -> None:
    """Print a table; columns are kept apart by spaces only, for other programs.

    Args:
        head: A name for each column.
        rows: Cells; ``None`` is empty.
        numbers: Names of columns that are read from the right.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for name in head:
        table.add_column(name, justify="right" if name in numbers else "left")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    out.print(table)
