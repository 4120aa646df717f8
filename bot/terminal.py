"""One drawing for the person at this terminal: its delivery is the written files."""

from __future__ import annotations

import asyncio
import getpass
import os
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bot import output, sentences
from bot.jobs import Person, Platform, Submission, UndeliverableError
from engine.api import Preview, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.jobs import Job, Progress, Submitter
    from engine.api import Drawing, Drawn, DrawRequest, Queued


class NoPicturesError(Exception):
    """There will be no pictures; the sentence says why."""


class TerminalDelivery:
    """Implements ``Delivery`` for one drawing.

    Args:
        show: Called with each step of progress.
        clock: Gives the present (aware, UTC).

    Attributes:
        job: What was accepted, once it was.
    """

    def __init__(
        self, show: Callable[[Queued | Drawing], None], clock: Callable[[], datetime]
    ) -> None:
        self.job: Job | None = None
        self._show = show
        self._clock = clock
        self._outcome = asyncio.get_running_loop().create_future()

    async def show_progress(self, job: Job, event: Progress) -> None:  # noqa: ARG002 # one job only
        """Show the step; a terminal shows no previews."""
        if not isinstance(event, Preview):
            self._show(event)

    async def deliver(self, job: Job, drawn: Drawn) -> None:
        """Write the pictures where the person wanted them."""
        address = job.submission.address
        grid, singles = Path(str(address["output"])), address.get("singles")
        singles_dir = None if singles is None else Path(str(singles))
        try:
            await asyncio.to_thread(output.write, drawn, grid, singles_dir)
        except output.OutputError as error:
            self._settle(NoPicturesError(str(error)))
            raise UndeliverableError(str(error)) from error
        self._settle(_all_doubtful(drawn) if job.submission.is_soft else drawn)

    async def apologise(self, job: Job, error: Exception) -> None:  # noqa: ARG002 # one job only
        """Let the drawing end with the sentence."""
        self._settle(NoPicturesError(sentences.explain(error, self._clock())))

    async def postpone(self, job: Job) -> None:  # noqa: ARG002 # one job only
        """Let the drawing end: there is no later for somebody who waits at a prompt."""
        self._settle(NoPicturesError(sentences.TERMINAL_HALTED))

    async def cancelled(self, job: Job) -> None:  # noqa: ARG002 # one job only
        """Let the drawing end: an admin gave it up."""
        self._settle(NoPicturesError(sentences.TERMINAL_CANCELLED))

    async def outcome(self) -> Drawn:
        """Wait for the pictures.

        Raises:
            NoPicturesError: There will be none.
        """
        outcome: Drawn | NoPicturesError = await self._outcome
        if isinstance(outcome, NoPicturesError):
            raise outcome
        return outcome

    def _settle(self, outcome: Drawn | NoPicturesError) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)


def _all_doubtful(drawn: Drawn) -> Drawn:
    """What soft words have drawn: none of it may be for everybody."""
    doubtful = [replace(picture, verdict=Verdict.BORDERLINE) for picture in drawn.pictures]
    return replace(drawn, pictures=tuple(doubtful))


async def draw(
    service: Submitter,
    delivery: TerminalDelivery,
    request: DrawRequest,
    grid: Path,
    singles_dir: Path | None = None,
) -> Drawn:
    """Ask for pictures and wait until they are in ``grid``, and in ``singles_dir`` if given.

    Raises:
        RefusedError: Nothing was accepted.
        NoPicturesError: It was accepted but not drawn or not written.
    """
    submission = Submission(
        person=Person(platform=Platform.TERMINAL, id=user_name()),
        event_id=str(uuid.uuid4()),
        request=request,
        address={
            "output": str(grid),
            "singles": None if singles_dir is None else str(singles_dir),
        },
    )
    delivery.job = await service.submit(submission)
    return await delivery.outcome()


def user_name() -> str:
    """Name the person at this terminal; a container may know its users by number only."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
