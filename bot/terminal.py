"""One drawing for the person at this terminal: its delivery is the written file."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from bot import sentences
from bot.jobs import Person, Platform, Submission, UndeliverableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bot.jobs import Job, Submitter
    from engine.api import Drawing, Drawn, DrawRequest, Queued


class OutputError(Exception):
    """The output file cannot be written; the sentence says why."""


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

    async def show_progress(self, job: Job, event: Queued | Drawing) -> None:  # noqa: ARG002 # one job only
        """Show the step."""
        self._show(event)

    async def deliver(self, job: Job, drawn: Drawn) -> None:
        """Write the grid where the person wanted it."""
        path = Path(str(job.submission.address["output"]))
        try:
            await asyncio.to_thread(_replace, path, drawn.grid_png)
        except OSError as error:
            sentence = _cannot_write(path, error)
            self._settle(NoPicturesError(sentence))
            raise UndeliverableError(sentence) from error
        self._settle(drawn)

    async def apologise(self, job: Job, error: Exception) -> None:  # noqa: ARG002 # one job only
        """Let the drawing end with the sentence."""
        self._settle(NoPicturesError(sentences.explain(error, self._clock())))

    async def postpone(self, job: Job) -> None:  # noqa: ARG002 # one job only
        """Let the drawing end: there is no later for somebody who waits at a prompt."""
        self._settle(NoPicturesError(sentences.TERMINAL_HALTED))

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


async def draw(
    service: Submitter, delivery: TerminalDelivery, request: DrawRequest, output: Path
) -> Drawn:
    """Ask for pictures and wait until they are in ``output``.

    Raises:
        RefusedError: Nothing was accepted.
        NoPicturesError: It was accepted but not drawn or not written.
    """
    submission = Submission(
        person=Person(platform=Platform.TERMINAL, id=user_name()),
        event_id=str(uuid.uuid4()),
        request=request,
        address={"output": str(output)},
    )
    delivery.job = await service.submit(submission)
    return await delivery.outcome()


def user_name() -> str:
    """Name the person at this terminal; a container may know its users by number only."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def check_output(path: Path) -> None:
    """Refuse a file that could not be written later, before anything is drawn.

    Raises:
        OutputError: With the sentence that says what to change.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(sentences.terminal_not_png(str(path)))
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.exists():
            path.open("ab").close()
    except OSError as error:
        raise OutputError(_cannot_write(path, error)) from error


def output_for(prompt: str, folder: Path) -> Path:
    """Name a new file in ``folder`` after the prompt: ``a-green-cube.png``."""
    words = re.findall(r"[a-z0-9]+", prompt.lower())[:8]
    stem = "-".join(words)[:60] or "imagine"
    path, number = folder / f"{stem}.png", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.png"
    return path


def _replace(path: Path, content: bytes) -> None:
    """Write all of the file or none of it."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.write_bytes(content)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError) -> str:
    return sentences.terminal_cannot_write(str(path), error.strerror or str(error))
