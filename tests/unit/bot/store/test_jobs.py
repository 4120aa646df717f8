from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

import pytest

from bot.jobs import JobId, JobState
from bot.store import IllegalMoveError
from bot.store.jobs import LEGAL_MOVES
from tests.support.clock import NOON
from tests.support.factories import submission

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.jobs import Job
    from bot.store import Store

MOVES: Final = [JobState.DRAWING, JobState.DELIVERING, JobState.DELIVERED, JobState.FAILED]

PATHS: Final[dict[JobState, Sequence[JobState]]] = {
    JobState.ACCEPTED: [],
    JobState.DRAWING: MOVES[:1],
    JobState.DELIVERING: MOVES[:2],
    JobState.DELIVERED: MOVES[:3],
    JobState.FAILED: [JobState.FAILED],
}


async def move(store: Store, job_id: JobId, to: JobState) -> Job:
    match to:
        case JobState.DRAWING:
            return await store.begin_drawing(job_id)
        case JobState.DELIVERING:
            return await store.begin_delivery(job_id)
        case JobState.DELIVERED:
            return await store.settle(job_id, now=NOON)
        case JobState.FAILED:
            return await store.give_back(job_id, reason="a test", now=NOON)
        case JobState.ACCEPTED:
            raise AssertionError("nothing moves a job back to its beginning")


@pytest.mark.parametrize(("source", "to"), list(product(JobState, MOVES)))
async def test_a_job_moves_exactly_as_the_table_says(
    store: Store, source: JobState, to: JobState
) -> None:
    job = await store.accept(submission(), now=NOON, allowance_count=9)
    for state in PATHS[source]:
        await move(store, job.id, state)

    if to in LEGAL_MOVES[source]:
        assert (await move(store, job.id, to)).state is to
    else:
        with pytest.raises(IllegalMoveError):
            await move(store, job.id, to)
        unmoved = await store.job(job.id)
        assert unmoved is not None
        assert unmoved.state is source


def test_the_table_speaks_of_every_state_and_leads_back_to_acceptance_from_none() -> None:
    assert LEGAL_MOVES.keys() == set(JobState)
    assert JobState.ACCEPTED not in set[JobState]().union(*LEGAL_MOVES.values())


@pytest.mark.parametrize("to", MOVES)
async def test_an_unknown_job_goes_nowhere(store: Store, to: JobState) -> None:
    with pytest.raises(IllegalMoveError) as refusal:
        await move(store, JobId("nobody"), to)

    assert str(refusal.value) == f"Job nobody cannot become {to} from where it is."
