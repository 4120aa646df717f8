"""A terminal shows steps in words and no previews."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.jobs import Job, JobId, JobState
from bot.terminal import NoPicturesError, TerminalDelivery
from engine.api import Drawing, Preview, Queued, Verdict
from tests.support.clock import NOON, Clock
from tests.support.factories import a_job, submission
from tests.support.scripted_engine import drawn

if TYPE_CHECKING:
    from pathlib import Path

    from bot.jobs import Progress


JOB = Job(
    id=JobId("1"),
    submission=submission(),
    state=JobState.DRAWING,
    attempt_count=0,
    accepted_at=NOON,
)


async def test_a_drawing_that_an_admin_gives_up_ends_with_a_sentence() -> None:
    delivery = TerminalDelivery(lambda _: None, Clock())

    await delivery.cancelled(JOB)

    with pytest.raises(NoPicturesError) as told:
        await delivery.outcome()
    assert str(told.value) == (
        "An admin gave this request up. Nothing was taken from your allowance."
    )


async def test_a_terminal_shows_steps_and_no_previews() -> None:
    shown: list[Progress] = []
    delivery = TerminalDelivery(shown.append, Clock())

    for event in (
        Queued(pictures_ahead=1),
        Preview(fraction=0.5, picture=b""),
        Drawing(fraction=1),
    ):
        await delivery.show_progress(JOB, event)

    assert shown == [Queued(pictures_ahead=1), Drawing(fraction=1)]


async def test_soft_words_make_every_picture_doubtful(tmp_path: Path) -> None:
    output = tmp_path / "cube.png"
    for is_soft, verdict in ((True, Verdict.BORDERLINE), (False, Verdict.SAFE)):
        delivery = TerminalDelivery(lambda _: None, Clock())
        asked = submission(address={"output": str(output)}, is_soft=is_soft)

        await delivery.deliver(a_job(asked), drawn(asked.request))

        told = await delivery.outcome()
        assert {picture.verdict for picture in told.pictures} == {verdict}
