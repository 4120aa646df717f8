"""How a job may go from state to state. Plain data; the store guards every move with it.

::

    accepted ──► drawing ──► delivering ──► delivered
        │         │  ▲ ↺      │  │  ↺
        │         │  └────────┘  │        back: drawn again after a restart, same seed
        └─────────┴──────────────┴──► failed  (the quota is given back)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bot.jobs import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping

LEGAL_MOVES: Final[Mapping[JobState, frozenset[JobState]]] = {
    JobState.ACCEPTED: frozenset({JobState.DRAWING, JobState.FAILED}),
    JobState.DRAWING: frozenset({JobState.DRAWING, JobState.DELIVERING, JobState.FAILED}),
    JobState.DELIVERING: frozenset(
        {JobState.DRAWING, JobState.DELIVERING, JobState.DELIVERED, JobState.FAILED}
    ),
    JobState.DELIVERED: frozenset(),
    JobState.FAILED: frozenset(),
}


def sources_of(to: JobState) -> list[JobState]:
    """The states from which a job may go to ``to``."""
    return [source for source, targets in LEGAL_MOVES.items() if to in targets]
