"""What the store can raise besides the refusals of ``bot.jobs``.

The family::

    StoreError                  the database cannot be used
    └── IllegalMoveError        a job may not go to that state from the one it is in
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.jobs import JobId, JobState


class StoreError(Exception):
    """The database cannot be used. ``str(error)`` tells an admin in a sentence what to do."""


class IllegalMoveError(StoreError):
    """The job is not in a state from which it may go there, or there is no such job.

    Attributes:
        job_id: The job, unchanged.
        to: Where it should have gone.
        source: Where it is; ``None`` if there is no such job.
    """

    def __init__(self, job_id: JobId, to: JobState, source: JobState | None = None) -> None:
        super().__init__(f"Job {job_id} cannot become {to} from where it is.")
        self.job_id = job_id
        self.to = to
        self.source = source
