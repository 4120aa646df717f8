from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.flow import retry_pauses_s
from bot.jobs import (
    ClosingError,
    DeliveryError,
    DuplicateEventError,
    JobId,
    JobState,
    NotCancellableError,
    OverQuotaError,
    Platform,
    Scope,
    TooManyJobsError,
    UnavailableError,
    UndeliverableError,
)
from bot.sentences import explain
from bot.service import FORGOTTEN_AFTER, Service
from bot.store import Limits, Rules, Store
from bot.store.database import Database
from engine.api import (
    Drawing,
    DrawingFailedError,
    EngineBusyError,
    EngineClosedError,
    Preview,
    Queued,
)
from tests.support.broken_database import allow_states, forbid_state
from tests.support.clock import Clock
from tests.support.factories import database_url, person, submission
from tests.support.scripted_delivery import ScriptedDelivery
from tests.support.scripted_engine import ScriptedEngine
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.jobs import Job


class House:
    """A service with all that it needs; ``restart`` lets the process die and begin anew."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = Store(database)
        self.clock = Clock()
        self.begin_anew()

    def begin_anew(self, *, rules: Rules | None = None, room: int = 64) -> None:
        self.engine = ScriptedEngine()
        self.delivery = ScriptedDelivery()
        self.service = Service(
            store=self.store,
            engine=self.engine,
            rules=rules,
            daily_pictures=9,
            room=room,
            clock=self.clock,
            sleep=self.clock.sleep,
        )
        self.service.register(Platform.DISCORD, self.delivery)

    async def restart(self) -> None:
        await self.service.close(grace_s=0)
        self.begin_anew()
        await self.service.start()

    async def crash(self) -> None:
        """Let the process die without a word: what it was doing stands still for ever."""
        dead = self.service
        for task in dead._running.values():  # pyright: ignore[reportPrivateUsage] # no process ends so
            task.cancel()
        await dead._background.close()  # pyright: ignore[reportPrivateUsage] # as above
        await dead._feeder.close()  # pyright: ignore[reportPrivateUsage] # as above
        self.begin_anew()
        await self.service.start()

    async def all_done(self) -> None:
        async with asyncio.timeout(20):
            while running := [t for t in asyncio.all_tasks() if t.get_name().startswith("job ")]:
                await asyncio.wait(running)

    async def until_drawing(self, count: int = 1) -> None:
        await until(lambda: len(self.engine.requests) == count)

    async def state_of(self, job: Job) -> JobState | None:
        stored = await self.store.job(job.id)
        return stored and stored.state

    async def left(self) -> int | None:
        return await self.service.allowance_left(person())

    @property
    def said(self) -> list[str]:
        """The apologies in words."""
        return [explain(error, self.clock()) for _, error in self.delivery.apologies]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(await Database.open(database_url(tmp_path)))
    yield house
    house.engine.open.set()
    house.delivery.open.set()
    await house.service.close(grace_s=20)
    await house.store.close()


async def test_a_submission_becomes_delivered_pictures(house: House) -> None:
    job = await house.service.submit(submission(picture_count=3))
    await house.all_done()

    ((delivered, drawn),) = house.delivery.delivered
    assert delivered == replace(job, state=JobState.DELIVERING)
    assert len(drawn.pictures) == 3
    assert await house.state_of(job) is JobState.DELIVERED
    assert await house.left() == 6
    assert house.delivery.apologies == []


async def test_progress_is_shown_while_a_job_is_drawn(house: House) -> None:
    await house.service.submit(submission())
    await house.all_done()

    assert [repr(event) for event in house.delivery.progress] == [
        "Queued(pictures_ahead=0, eta_s=2.0)",
        "Drawing(fraction=0.0, eta_s=1.0)",
        "Drawing(fraction=0.5, eta_s=0.5)",
    ]


async def test_a_preview_is_shown_to_those_who_asked_for_it(house: House) -> None:
    await house.service.submit(submission(preview=True))
    await house.all_done()

    kinds = [type(event) for event in house.delivery.progress]
    assert kinds == [Queued, Drawing, Preview, Drawing]
    assert len(house.delivery.delivered) == 1


async def test_the_engine_is_shared_fairly_between_people(house: House) -> None:
    house.service.register(Platform.X, house.delivery)
    for by in (person("ada"), person("ada", Platform.X), person("bob")):
        await house.service.submit(submission(by=by))
    await house.all_done()

    assert sorted(house.engine.requesters) == ["discord:ada", "discord:bob", "x:ada"]


async def test_progress_that_cannot_be_shown_does_not_stop_the_job(house: House) -> None:
    house.delivery.progress_error = RuntimeError("rate limited")

    job = await house.service.submit(submission())
    await house.all_done()

    assert await house.state_of(job) is JobState.DELIVERED


async def test_a_submission_without_a_seed_gets_one_that_stays(house: House) -> None:
    house.engine.open.clear()
    job = await house.service.submit(submission(seed=None))
    await house.until_drawing()
    (before,) = house.engine.requests

    await house.restart()
    await house.all_done()

    assert before.seed == job.submission.request.seed is not None
    assert house.engine.requests == [before]


async def test_two_submissions_without_a_seed_are_drawn_differently(house: House) -> None:
    jobs = [await house.service.submit(submission(seed=None)) for _ in range(2)]

    assert jobs[0].submission.request.seed != jobs[1].submission.request.seed


async def test_who_is_over_quota_is_refused_and_nothing_is_drawn(house: House) -> None:
    await house.service.submit(submission(picture_count=9))

    with pytest.raises(OverQuotaError):
        await house.service.submit(submission(picture_count=1))

    await house.all_done()
    assert len(house.engine.requests) == 1


async def test_a_second_delivery_of_an_event_is_drawn_once(house: House) -> None:
    job = await house.service.submit(submission(event_id="1"))

    with pytest.raises(DuplicateEventError) as refusal:
        await house.service.submit(submission(event_id="1"))

    await house.all_done()
    assert refusal.value.job.id == job.id
    assert len(house.engine.requests) == 1


async def test_a_failing_database_refuses_and_tells_the_admin_why(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.database.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count=1"))

    with pytest.raises(UnavailableError) as refusal:
        await house.service.submit(submission(address={"big": "x" * 100_000}))

    assert explain(refusal.value, house.clock()) == (
        "The bot cannot accept requests at the moment. Please try again later; "
        "its admin finds the reason in the log. Nothing was taken from your allowance."
    )
    assert "job refused platform=discord error=store" in caplog.text
    assert "is full: free some space" in caplog.text
    assert "avocado" not in caplog.text
    assert house.engine.requests == []


async def test_a_platform_that_nobody_delivers_to_is_a_mistake_of_the_caller(house: House) -> None:
    with pytest.raises(LookupError, match="nobody is registered to deliver to x"):
        await house.service.submit(submission(by=person(platform=Platform.X)))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            DrawingFailedError("The engine process ended twice."),
            (
                "The pictures could not be drawn. Please try again. "
                "Nothing was taken from your allowance."
            ),
        ),
        (
            EngineBusyError(90),
            (
                "Too many pictures are waiting to be drawn just now. "
                "Try again at 12:01 UTC, in 2 min. Nothing was taken from your allowance."
            ),
        ),
    ],
)
async def test_pictures_that_cannot_be_drawn_are_given_back_with_an_apology(
    house: House, error: DrawingFailedError | EngineBusyError, sentence: str
) -> None:
    house.engine.errors.append(error)

    job = await house.service.submit(submission())
    await house.all_done()

    assert house.said == [sentence]
    assert await house.state_of(job) is JobState.FAILED
    assert await house.left() == 9


async def test_one_job_that_fails_leaves_the_others_alone(house: House) -> None:
    house.engine.errors.append(DrawingFailedError("no"))

    jobs = [await house.service.submit(submission()) for _ in range(3)]
    await house.all_done()

    states = sorted([str(await house.state_of(job)) for job in jobs])
    assert states == ["delivered", "delivered", "failed"]
    assert await house.left() == 3


async def test_a_delivery_that_fails_is_tried_again_and_told_so(house: House) -> None:
    house.delivery.errors.extend([DeliveryError("503"), DeliveryError("503")])

    job = await house.service.submit(submission())
    await house.all_done()

    assert [attempt.attempt_count for attempt in house.delivery.attempts] == [0, 1, 2]
    assert await house.state_of(job) is JobState.DELIVERED
    assert len(house.clock.slept_s) == 2
    assert await house.left() == 6


async def test_a_delivery_that_never_works_is_given_up_and_given_back(house: House) -> None:
    house.delivery.errors.extend(DeliveryError("503") for _ in range(9))

    job = await house.service.submit(submission())
    await house.all_done()

    assert len(house.delivery.attempts) == 5
    assert await house.state_of(job) is JobState.FAILED
    assert await house.left() == 9
    assert house.said == [
        (
            "The pictures were drawn but could not be sent here. Please try again later. "
            "Nothing was taken from your allowance."
        )
    ]


async def test_what_is_undeliverable_is_given_back_at_once(house: House) -> None:
    house.delivery.errors.append(UndeliverableError("channel gone"))

    job = await house.service.submit(submission())
    await house.all_done()

    assert len(house.delivery.attempts) == 1
    assert await house.state_of(job) is JobState.FAILED
    assert await house.left() == 9


async def test_a_bug_in_an_adapter_ends_its_job_and_nothing_else(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.delivery.errors.append(KeyError("channel"))

    job = await house.service.submit(submission())
    await house.all_done()

    assert await house.state_of(job) is JobState.FAILED
    assert house.said == [
        (
            "Something went wrong on the bot's side. Please try again later; "
            "its admin finds the reason in the log."
        )
    ]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.message.startswith(f"job stopped job_id={job.id} platform=discord")


async def test_an_apology_that_does_not_arrive_changes_nothing(house: House) -> None:
    house.engine.errors.append(DrawingFailedError("no"))
    house.delivery.apology_error = DeliveryError("503")

    job = await house.service.submit(submission())
    await house.all_done()

    assert await house.state_of(job) is JobState.FAILED
    assert await house.left() == 9


async def test_an_attempt_is_counted_before_it_is_made(house: House) -> None:
    house.delivery.open.clear()
    job = await house.service.submit(submission())
    await until(lambda: len(house.delivery.attempts) == 1)

    await house.restart()
    await house.all_done()

    ((delivered, _),) = house.delivery.delivered
    assert delivered.id == job.id
    assert delivered.attempt_count == 1


async def test_a_job_that_was_being_drawn_is_drawn_after_a_restart(house: House) -> None:
    house.engine.open.clear()
    job = await house.service.submit(submission())
    await house.until_drawing()

    await house.restart()
    await house.all_done()

    ((delivered, _),) = house.delivery.delivered
    assert (delivered.id, delivered.attempt_count) == (job.id, 0)
    assert await house.left() == 6


async def test_jobs_of_platforms_that_are_not_here_wait_for_another_start(house: House) -> None:
    on_x = submission(by=person(platform=Platform.X))
    job = await house.store.accept(on_x, now=house.clock(), allowance_count=9)

    await house.restart()
    await house.all_done()

    assert await house.state_of(job) is JobState.ACCEPTED


async def test_a_terminal_that_still_waits_keeps_its_job_to_itself(house: House) -> None:
    at_terminal = submission(by=person(platform=Platform.TERMINAL))
    job = await house.store.accept(at_terminal, now=house.clock(), allowance_count=9)
    house.clock.advance(FORGOTTEN_AFTER)

    house.service.register(Platform.TERMINAL, house.delivery)
    await house.service.start()
    await house.all_done()

    assert await house.state_of(job) is JobState.ACCEPTED


async def test_a_terminal_that_is_long_gone_gets_its_pictures_back(house: House) -> None:
    at_terminal = submission(by=person(platform=Platform.TERMINAL))
    job = await house.store.accept(at_terminal, now=house.clock(), allowance_count=9)
    house.clock.advance(FORGOTTEN_AFTER + timedelta(seconds=1))

    await house.service.start()

    assert await house.state_of(job) is JobState.FAILED
    assert await house.service.allowance_left(job.submission.person) == 9


async def test_a_closing_service_refuses_new_work(house: House) -> None:
    await house.service.close(grace_s=0)

    with pytest.raises(ClosingError):
        await house.service.submit(submission())

    assert repr(house.service) == "<Service 0 jobs running, closing>"


async def test_closing_waits_for_running_jobs(house: House) -> None:
    house.engine.open.clear()
    job = await house.service.submit(submission())
    await house.until_drawing()

    closing = asyncio.create_task(house.service.close(grace_s=20))
    await asyncio.sleep(0)
    house.engine.open.set()
    await closing

    assert await house.state_of(job) is JobState.DELIVERED


async def test_closing_leaves_what_is_not_done_in_time_to_the_next_start(house: House) -> None:
    house.engine.open.clear()
    job = await house.service.submit(submission())
    await house.until_drawing()
    assert repr(house.service) == "<Service 1 jobs running>"

    await house.service.close(grace_s=0)

    assert await house.state_of(job) is JobState.DRAWING
    assert house.delivery.apologies == []
    assert await house.left() == 6


async def test_an_engine_that_closes_first_leaves_the_job_to_the_next_start(house: House) -> None:
    house.engine.errors.append(EngineClosedError("closed"))

    job = await house.service.submit(submission())
    await house.all_done()

    assert await house.state_of(job) is JobState.DRAWING
    assert house.delivery.apologies == []
    assert [postponed.id for postponed in house.delivery.postponed] == [job.id]
    assert await house.left() == 6


@pytest.mark.parametrize("to", ["drawing", "delivering", "apologising"])
async def test_when_the_database_fails_under_a_job_the_person_is_told_that_it_waits(
    house: House, tmp_path: Path, to: str
) -> None:
    house.engine.errors.extend([DrawingFailedError("no")] if to == "apologising" else [])
    forbid_state(tmp_path / "imagine.db", to)

    job = await house.service.submit(submission())
    await house.all_done()

    assert [postponed.id for postponed in house.delivery.postponed] == [job.id]
    assert (house.delivery.delivered, house.delivery.apologies) == ([], [])
    assert await house.left() == 6

    allow_states(tmp_path / "imagine.db")
    await house.restart()
    await house.all_done()

    assert await house.state_of(job) is JobState.DELIVERED
    assert await house.left() == 6


async def test_when_the_database_fails_after_a_delivery_nothing_more_is_said(
    house: House, tmp_path: Path
) -> None:
    forbid_state(tmp_path / "imagine.db", "delivered")

    job = await house.service.submit(submission())
    await house.all_done()

    assert len(house.delivery.delivered) == 1
    assert (house.delivery.postponed, house.delivery.apologies) == ([], [])
    assert await house.state_of(job) is JobState.DELIVERING


@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_whoever_is_cancelled_while_submitting_has_submitted_or_has_not(
    house: House, turns: int
) -> None:
    task = asyncio.create_task(house.service.submit(submission(event_id="1")))
    for _ in range(turns):
        await asyncio.sleep(0)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    await house.service.close(grace_s=20)
    assert await house.left() == 9 - 3 * len(house.delivery.delivered)
    assert await house.store.unfinished(list(Platform)) == []


@pytest.mark.parametrize("turns", range(0, 120, 10))
async def test_a_process_that_stops_anywhere_delivers_in_the_end(house: House, turns: int) -> None:
    job = await house.service.submit(submission())
    for _ in range(turns):
        await asyncio.sleep(0)

    first_delivery = house.delivery
    await house.restart()
    await house.all_done()

    assert await house.state_of(job) is JobState.DELIVERED
    arrived = [*first_delivery.delivered, *house.delivery.delivered]
    # Whoever delivers again is told that it may have arrived before.
    assert all(again.attempt_count > 0 for again, _ in arrived[1:])
    assert await house.left() == 6


async def test_fifty_people_at_once_are_all_served(house: House) -> None:
    wanted = [submission(by=person(f"person-{n}"), picture_count=1) for n in range(50)]

    await asyncio.gather(*(house.service.submit(each) for each in wanted))
    await house.all_done()

    assert len(house.delivery.delivered) == 50


def test_pauses_between_attempts_double_with_jitter() -> None:
    for pause_s, whole_s in zip(retry_pauses_s(), [2, 4, 8, 16], strict=True):
        assert whole_s / 2 <= pause_s <= whole_s


# ------------------------------------------------------------------------------- more than fit


async def test_no_more_pictures_are_with_the_engine_than_there_is_room_for(house: House) -> None:
    house.begin_anew(rules=Rules(), room=6)
    house.engine.open.clear()

    jobs = [await house.service.submit(submission(picture_count=3)) for _ in range(20)]
    await house.until_drawing(2)

    states = [await house.state_of(job) for job in jobs]
    assert states == [JobState.DRAWING] * 2 + [JobState.ACCEPTED] * 18
    assert repr(house.service) == "<Service 2 jobs running>"

    house.engine.open.set()
    await until(lambda: len(house.delivery.delivered) == 20)


async def test_whoever_waits_is_told_how_many_pictures_come_first(house: House) -> None:
    house.begin_anew(rules=Rules(), room=3)
    house.engine.open.clear()
    await house.service.submit(submission(picture_count=3))
    await house.until_drawing()
    house.delivery.progress.clear()

    await house.service.submit(submission(picture_count=2))
    await until(lambda: bool(house.delivery.progress))

    assert [repr(event) for event in house.delivery.progress] == [
        "Queued(pictures_ahead=3, eta_s=None)"
    ]


async def test_waiting_jobs_are_drawn_in_fair_order(house: House) -> None:
    house.begin_anew(rules=Rules(), room=1)
    house.engine.open.clear()
    for who, count in (("ada", 4), ("bob", 2), ("eve", 1)):
        for _ in range(count):
            await house.service.submit(submission(by=person(who), picture_count=1))

    house.engine.open.set()
    await until(lambda: len(house.delivery.delivered) == 7)

    names = [job.submission.person.id for job, _ in house.delivery.delivered]
    assert names == ["ada", "ada", "bob", "eve", "ada", "bob", "ada"]


async def test_jobs_that_wait_outlive_the_process(house: House) -> None:
    house.begin_anew(rules=Rules(), room=1)
    house.engine.open.clear()
    jobs = [await house.service.submit(submission(picture_count=1)) for _ in range(5)]

    await house.restart()
    await until(lambda: len(house.delivery.delivered) == 5)

    assert {job.id for job, _ in house.delivery.delivered} == {job.id for job in jobs}


async def test_a_platform_that_cannot_be_reached_keeps_no_other_from_drawing(
    house: House,
) -> None:
    house.begin_anew(rules=Rules(), room=3)
    on_x = ScriptedDelivery()
    house.service.register(Platform.X, on_x)
    on_x.open.clear()
    for _ in range(3):
        await house.service.submit(submission(by=person(platform=Platform.X)))
    await until(lambda: len(on_x.attempts) == 3)

    await house.service.submit(submission())
    await until(lambda: len(house.delivery.delivered) == 1)

    on_x.open.set()
    await until(lambda: len(on_x.delivered) == 3)


async def test_jobs_wait_in_the_store_while_the_database_cannot_hand_them_out(
    house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house.begin_anew(rules=Rules(), room=1)
    house.engine.open.clear()
    await house.service.submit(submission(picture_count=1))
    await house.until_drawing()
    await house.service.submit(submission(picture_count=1))
    forbid_state(tmp_path / "imagine.db", "accepted")  # also while it stays so

    house.engine.open.set()
    await until(lambda: "no job taken up" in caplog.text)
    allow_states(tmp_path / "imagine.db")

    await until(lambda: len(house.delivery.delivered) == 2)


async def test_two_hundred_people_at_once_exceed_no_limit(house: House) -> None:
    house.begin_anew(rules=Rules(bot=Limits(jobs_count=30)), room=6)
    house.engine.open.clear()
    wanted = [submission(by=person(f"person-{n}"), picture_count=1) for n in range(200)]

    results = await asyncio.gather(
        *(house.service.submit(each) for each in wanted), return_exceptions=True
    )

    assert sum(isinstance(result, TooManyJobsError) for result in results) == 170
    house.engine.open.set()
    await until(lambda: len(house.delivery.delivered) == 30)
    await until(lambda: repr(house.service) == "<Service 0 jobs running>")
    left = await house.service.standing(person("person-0"))
    assert left[Scope.BOT].jobs_left_count == 30


# ------------------------------------------------------------------------------------- to cancel


async def test_a_job_that_is_being_drawn_can_be_cancelled(house: House) -> None:
    house.engine.open.clear()
    job = await house.service.submit(submission())
    await house.until_drawing()

    cancelled = await house.service.cancel(job.id, person())
    await house.all_done()

    assert cancelled.state is JobState.CANCELLED
    assert await house.left() == 9
    assert house.delivery.delivered == []
    assert (house.delivery.apologies, house.delivery.postponed) == ([], [])


async def test_a_job_that_waits_can_be_cancelled(house: House) -> None:
    house.begin_anew(rules=Rules(person=Limits(daily_count=9)), room=1)
    house.engine.open.clear()
    await house.service.submit(submission(picture_count=1))
    waiting = await house.service.submit(submission(picture_count=4))

    await house.service.cancel(waiting.id, person())
    house.engine.open.set()
    await house.all_done()

    assert await house.left() == 8
    assert len(house.delivery.delivered) == 1


async def test_what_is_done_or_anothers_or_unknown_cannot_be_cancelled(house: House) -> None:
    job = await house.service.submit(submission())
    await house.all_done()

    for job_id, who in ((job.id, person()), (job.id, person("bob")), (JobId("no"), person())):
        with pytest.raises(NotCancellableError) as refusal:
            await house.service.cancel(job_id, who)
        assert explain(refusal.value, house.clock()) == (
            "There is nothing to cancel: the pictures are done or on their way, "
            "or the request is not yours."
        )
    assert await house.left() == 6


async def test_cancelling_says_so_when_the_database_fails(house: House, tmp_path: Path) -> None:
    house.engine.open.clear()
    job = await house.service.submit(submission())
    forbid_state(tmp_path / "imagine.db", "cancelled")

    with pytest.raises(UnavailableError):
        await house.service.cancel(job.id, person())


async def test_what_somebody_else_gives_up_is_told_to_its_person(house: House) -> None:
    house.engine.open.clear()
    job = await house.service.submit(submission())
    await house.until_drawing()

    cancelled = await house.service.revoke(job.id, person())
    await house.all_done()

    assert house.delivery.given_up == [cancelled]
    assert await house.left() == 9
    assert (house.delivery.delivered, house.delivery.apologies) == ([], [])


async def test_whoever_gives_a_job_up_need_not_care_whether_that_can_be_told(house: House) -> None:
    house.engine.open.clear()
    house.delivery.given_up_error = UndeliverableError("the channel is gone")
    job = await house.service.submit(submission())
    await house.until_drawing()

    assert (await house.service.revoke(job.id, person())).state is JobState.CANCELLED
    await house.all_done()


async def test_a_job_that_another_process_cancelled_is_told_and_not_delivered(
    house: House,
) -> None:
    house.engine.open.clear()
    job = await house.service.submit(submission())
    await house.until_drawing()

    await house.store.cancel(job.id, person(), now=house.clock())
    house.engine.open.set()
    await house.all_done()

    assert [each.id for each in house.delivery.given_up] == [job.id]
    assert house.delivery.delivered == []
    assert (house.delivery.apologies, house.delivery.postponed) == ([], [])


# ------------------------------------------------------------------------------------ of crashes


async def test_a_job_that_was_being_drawn_when_the_bot_died_twice_is_given_up(
    house: House,
) -> None:
    house.engine.open.clear()
    job = await house.service.submit(submission())
    await house.until_drawing()
    await house.crash()
    house.engine.open.clear()
    await house.until_drawing()

    await house.crash()
    await house.all_done()

    assert house.engine.requests == []
    assert await house.state_of(job) is JobState.FAILED
    assert await house.left() == 9
    assert house.said == [
        (
            "The bot broke down twice while it drew this, so it has given up. "
            "Try other words or another seed. Nothing was taken from your allowance."
        )
    ]


async def test_what_may_have_arrived_is_not_given_up_however_often_the_bot_dies_while_it_redraws(
    house: House,
) -> None:
    house.delivery.open.clear()
    job = await house.service.submit(submission())
    await until(lambda: len(house.delivery.attempts) == 1)
    for _ in range(3):
        await house.crash()
        house.engine.open.clear()
        await house.until_drawing()
    house.engine.open.set()
    await house.all_done()

    assert await house.state_of(job) is JobState.DELIVERED
    ((delivered, _),) = house.delivery.delivered
    assert delivered.attempt_count == 1
    assert house.delivery.apologies == []


async def test_a_bot_that_stops_in_good_order_however_often_gives_up_nothing(
    house: House,
) -> None:
    await house.service.submit(submission())
    for _ in range(4):
        house.engine.open.clear()
        await house.restart()
    await house.all_done()

    assert len(house.delivery.delivered) + len(house.delivery.apologies) == 1
    assert house.delivery.apologies == []


async def test_what_was_drawn_when_the_bot_died_is_drawn_one_at_a_time(house: House) -> None:
    house.begin_anew(rules=Rules())
    house.engine.open.clear()
    for number in range(3):
        await house.service.submit(submission(seed=number))
    await house.until_drawing(3)

    await house.crash()
    house.engine.open.clear()
    await house.until_drawing(1)
    new = await house.service.submit(submission(by=person("bob"), seed=9))
    await house.until_drawing(2)

    assert [request.seed == 9 for request in house.engine.requests] == [False, True]
    house.engine.open.set()
    await until(lambda: len(house.delivery.delivered) == 4)
    assert await house.state_of(new) is JobState.DELIVERED


async def test_an_apology_that_was_not_made_is_made_by_the_next_start(house: House) -> None:
    job = await house.service.submit(submission())
    await house.store.give_back(
        job.id, reason="EngineBusyError: busy", label="engine_busy", now=house.clock()
    )
    await house.crash()
    await house.all_done()

    assert await house.state_of(job) is JobState.FAILED
    assert house.said == [
        (
            "Too many pictures are waiting to be drawn just now. "
            "Try again at 12:01 UTC, in 1 min. Nothing was taken from your allowance."
        )
    ]
    ((told, _),) = house.delivery.apologies
    assert told.attempt_count == 1


async def test_an_apology_that_fails_is_tried_again_and_each_time_counted(house: House) -> None:
    house.engine.errors.append(DrawingFailedError("no"))
    house.delivery.apology_error = DeliveryError("503")

    await house.service.submit(submission())
    await house.all_done()

    assert [job.attempt_count for job, _ in house.delivery.apologies] == [0, 1, 2, 3, 4]


async def test_an_apology_that_cannot_arrive_is_tried_once(house: House) -> None:
    house.engine.errors.append(DrawingFailedError("no"))
    house.delivery.apology_error = UndeliverableError("channel gone")

    job = await house.service.submit(submission())
    await house.all_done()

    assert len(house.delivery.apologies) == 1
    assert await house.state_of(job) is JobState.FAILED


# --------------------------------------------------------------------- paid for, kept, forgotten


async def test_only_pictures_that_arrived_are_paid_for(house: House) -> None:
    house.delivery.arrived_count = 2

    await house.service.submit(submission(picture_count=5))
    await house.all_done()

    assert await house.left() == 7


async def test_delivered_pictures_are_kept_with_their_tokens(house: House) -> None:
    job = await house.service.submit(submission(picture_count=2))
    await house.all_done()

    (past,) = await house.store.archive.history(person())
    assert [(picture.rank, picture.index) for picture in past.pictures] == [(1, 1), (2, 0)]
    kept = await house.store.archive.tokens(job.id, 1)
    assert kept is not None
    assert kept.tokens == (1,) * 64


async def test_old_jobs_are_forgotten_at_the_start(house: House) -> None:
    await house.service.submit(submission())
    await house.all_done()
    await house.service.close(grace_s=0)
    house.clock.advance(timedelta(days=91))

    house.service = Service(
        store=house.store,
        engine=house.engine,
        history_kept_for=timedelta(days=90),
        clock=house.clock,
    )
    await house.service.start()

    async with asyncio.timeout(20):
        while await house.store.archive.history(person()):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.002)
