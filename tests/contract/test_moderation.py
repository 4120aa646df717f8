"""Words, strikes and blocks with the real service, rules and database."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.gatekeeper import WordGate
from bot.jobs import BlockedError, ModeratedError, Platform
from bot.moderation import Level, Moderator
from bot.sentences import explain
from bot.service import Service
from bot.store import Store
from bot.store.house import StrikeLimit
from tests.support.clock import Clock
from tests.support.factories import person, submission
from tests.support.scripted_delivery import ScriptedDelivery
from tests.support.scripted_engine import ScriptedEngine
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.jobs import Submission

GRAVE = "exterminate all muslims"
LIMIT = StrikeLimit(count=3, within=timedelta(days=1), block_for=timedelta(hours=12))


class Bot:
    """A service with real rules and a real database."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = Clock()
        self.engine = ScriptedEngine()
        self.delivery = ScriptedDelivery()
        self.service = Service(
            store=store,
            engine=self.engine,
            daily_pictures=9,
            gatekeeper=WordGate(
                moderator=Moderator(),
                levels=dict.fromkeys(Platform, Level.STANDARD),
                strikes=store.people,
                limit=LIMIT,
                clock=self.clock,
            ),
            clock=self.clock,
            sleep=self.clock.sleep,
        )
        self.service.register(Platform.DISCORD, self.delivery)

    async def refusal(self, asked: Submission) -> Exception:
        with pytest.raises((ModeratedError, BlockedError)) as caught:
            await self.service.submit(asked)
        return caught.value


@pytest.fixture
async def bot(any_database_url: str) -> AsyncIterator[Bot]:
    bot = Bot(await Store.open(any_database_url))
    await bot.service.start()
    yield bot
    bot.engine.open.set()
    bot.delivery.open.set()
    await bot.service.close(grace_s=20)
    await bot.store.close()


async def test_refused_words_cost_nothing_and_are_explained_without_being_repeated(
    bot: Bot,
) -> None:
    error = await bot.refusal(submission(prompt="a dog being tortured"))

    assert await bot.service.allowance_left(person()) == 9
    assert explain(error, bot.clock()) == (
        "The bot does not draw cruelty to animals here. Put it in other words, or describe "
        "something else. Nothing was taken from your allowance."
    )


async def test_three_grave_requests_in_a_day_block_a_person_for_a_while(bot: Bot) -> None:
    for _ in range(3):
        assert isinstance(await bot.refusal(submission(prompt=GRAVE)), ModeratedError)
        bot.clock.advance(timedelta(hours=1))

    blocked = await bot.refusal(submission(prompt="a red cube"))
    bot.clock.advance(LIMIT.block_for)
    job = await bot.service.submit(submission(prompt="a red cube"))

    assert isinstance(blocked, BlockedError)
    assert job.submission.request.prompt == "a red cube"


async def test_requests_that_are_far_apart_or_not_grave_block_nobody(bot: Bot) -> None:
    for _ in range(4):
        await bot.refusal(submission(prompt=GRAVE))
        await bot.refusal(submission(prompt="entrails on the floor"))
        bot.clock.advance(timedelta(hours=13))

    await bot.service.submit(submission(prompt="a red cube"))


async def test_an_event_that_is_delivered_again_is_no_second_strike(bot: Bot) -> None:
    for _ in range(5):
        await bot.refusal(submission(prompt=GRAVE, event_id="one"))

    assert len(await bot.store.people.strikes(person(), limit=10)) == 1


async def test_delicate_words_are_remembered_with_the_job_until_its_pictures_are_shown(
    bot: Bot,
) -> None:
    job = await bot.service.submit(submission(prompt="a marble statue of a nude goddess"))
    await until(lambda: bool(bot.delivery.delivered))

    ((delivered, _),) = bot.delivery.delivered
    stored = await bot.store.job(job.id)
    assert stored is not None
    assert delivered.submission.is_soft
    assert stored.submission.is_soft
    assert (stored.submission.request.strict, bot.engine.requests[0].strict) == (True, True)


async def test_neither_the_log_nor_the_strikes_hold_the_words(
    bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="bot"):
        await bot.refusal(submission(prompt=GRAVE))

    kept = str(await bot.store.people.strikes(limit=10)) + caplog.text
    assert "code=hate" in kept
    assert "muslims" not in kept
