"""How a job may go from state to state. Plain data; the store guards every move with it.

::

    accepted ──► drawing ──► delivering ──► delivered
        │         │  ▲ ↺      │  │  ↺
        │         │  └────────┘  │        back: drawn again after a restart, same seed
        │         │   │          │
        │         │   ▼          ▼
        ├─────────┴──►apologising ↺ ──► failed      (the quota is given back at once,
        │                                            the apology may still be owed)
        ├──────────────────────────────► failed      (nobody is there to be told)
        └─► cancelled, also from drawing             (the person gave it up)

Three things can be said of a state. *Open*: the pictures are still to come, so the job
counts against the limit of jobs. *Unfinished*: something is still to be done. *Waiting*:
accepted and taken up by no process yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bot.jobs import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping

_OVER: Final = frozenset({JobState.APOLOGISING, JobState.FAILED})

LEGAL_MOVES: Final[Mapping[JobState, frozenset[JobState]]] = {
    JobState.ACCEPTED: frozenset({JobState.DRAWING, JobState.CANCELLED}) | _OVER,
    JobState.DRAWING: frozenset({JobState.DRAWING, JobState.DELIVERING, JobState.CANCELLED})
    | _OVER,
    JobState.DELIVERING: frozenset({JobState.DRAWING, JobState.DELIVERING, JobState.DELIVERED})
    | _OVER,
    JobState.DELIVERED: frozenset(),
    JobState.APOLOGISING: _OVER,
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}

OPEN: Final = frozenset({JobState.ACCEPTED, JobState.DRAWING, JobState.DELIVERING})


def sources_of(to: JobState) -> list[JobState]:
    """The states from which a job may go to ``to``."""
    return [source for source, targets in LEGAL_MOVES.items() if to in targets]
