from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

import pytest

from bot.jobs import JobId, JobState, Scope
from bot.store import IllegalMoveError, Limits, Rules
from bot.store.jobs import LEGAL_MOVES, OPEN
from tests.support.clock import NOON
from tests.support.factories import person, submission

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.jobs import Job
    from bot.store import Store

MOVES: Final = [state for state in JobState if state is not JobState.ACCEPTED]

PATHS: Final[dict[JobState, Sequence[JobState]]] = {
    JobState.ACCEPTED: [],
    JobState.DRAWING: [JobState.DRAWING],
    JobState.DELIVERING: [JobState.DRAWING, JobState.DELIVERING],
    JobState.DELIVERED: [JobState.DRAWING, JobState.DELIVERING, JobState.DELIVERED],
    JobState.APOLOGISING: [JobState.APOLOGISING],
    JobState.FAILED: [JobState.APOLOGISING, JobState.FAILED],
    JobState.CANCELLED: [JobState.CANCELLED],
}

TEN_JOBS: Final = Rules(person=Limits(jobs_count=10))


async def move(store: Store, job_id: JobId, to: JobState) -> Job:
    match to:
        case JobState.DRAWING:
            return await store.begin_drawing(job_id)
        case JobState.DELIVERING:
            return await store.begin_delivery(job_id)
        case JobState.DELIVERED:
            return await store.settle(job_id, now=NOON)
        case JobState.APOLOGISING:
            return await apologise(store, job_id)
        case JobState.FAILED:
            return await store.abandon(job_id, now=NOON)
        case JobState.CANCELLED:
            return await cancel(store, job_id)
        case JobState.ACCEPTED:
            raise AssertionError("nothing moves a job back to its beginning")


async def apologise(store: Store, job_id: JobId) -> Job:
    """For the first time, or again."""
    job = await store.job(job_id)
    if job is not None and job.state is JobState.APOLOGISING:
        return await store.begin_apology(job_id)
    return await store.give_back(job_id, reason="a test", now=NOON)


async def cancel(store: Store, job_id: JobId) -> Job:
    cancelled = await store.cancel(job_id, person(), now=NOON)
    if cancelled is None:
        raise IllegalMoveError(job_id, JobState.CANCELLED)
    return cancelled


async def open_job_count(store: Store) -> int:
    left = await store.standing(person(), rules=TEN_JOBS, now=NOON)
    jobs_left = left[Scope.PERSON].jobs_left_count
    assert jobs_left is not None
    return 10 - jobs_left


@pytest.mark.parametrize(("source", "to"), list(product(JobState, MOVES)))
async def test_a_job_moves_exactly_as_the_table_says(
    store: Store, source: JobState, to: JobState
) -> None:
    job = await store.accept(submission(), now=NOON, allowance_count=9)
    for state in PATHS[source]:
        await move(store, job.id, state)

    if to in LEGAL_MOVES[source]:
        assert (await move(store, job.id, to)).state is to
        assert await open_job_count(store) == (1 if to in OPEN else 0)
    else:
        with pytest.raises(IllegalMoveError):
            await move(store, job.id, to)
        unmoved = await store.job(job.id)
        assert unmoved is not None
        assert unmoved.state is source
        assert await open_job_count(store) == (1 if source in OPEN else 0)


def test_the_table_speaks_of_every_state_and_leads_back_to_acceptance_from_none() -> None:
    assert LEGAL_MOVES.keys() == set(JobState)
    assert JobState.ACCEPTED not in set[JobState]().union(*LEGAL_MOVES.values())


@pytest.mark.parametrize("to", MOVES)
async def test_an_unknown_job_goes_nowhere(store: Store, to: JobState) -> None:
    with pytest.raises(IllegalMoveError) as refusal:
        await move(store, JobId("nobody"), to)

    assert refusal.value.source is None
    assert str(refusal.value) == f"Job nobody cannot become {to} from where it is."
