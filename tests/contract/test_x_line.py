"""From a mention to the reply with the real service and store; only the engine is scripted."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.jobs import Platform, RefusedError
from bot.service import Service
from bot.store import Store
from bot.x.adapter import XAdapter
from engine.api import DrawingFailedError
from tests.support.factories import database_url
from tests.support.scripted_engine import ScriptedEngine
from tests.support.x_line import SteppedTime, x_config
from tests.support.x_server import XServer
from tests.support.x_world import CREATE, MENTIONS, OWN_POSTS, Fault

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from bot.jobs import Job, Submission
    from tests.support.x_world import XWorld


@dataclass(slots=True, kw_only=True)
class World:
    """What outlives a restart of the process."""

    server: XServer
    time: SteppedTime
    engine: ScriptedEngine
    folder: Path

    @property
    def x(self) -> XWorld:
        return self.server.world

    @asynccontextmanager
    async def process(self, *, daily_pictures: int = 0) -> AsyncGenerator[Service]:
        """One life of the bot; leaving it is a sudden end as far as jobs are concerned."""
        store = await Store.open(database_url(self.folder))
        service = Service(
            store=store,
            engine=self.engine,
            daily_pictures=daily_pictures,
            clock=self.time,
            sleep=self.time.sleep,
        )
        adapter = XAdapter(
            x_config(self.server),
            service,
            store,
            store.x,
            clock=self.time,
            sleep=self.time.sleep,
        )
        service.register(Platform.X, adapter)
        try:
            await service.start()
            await adapter.start()
            looks = self.x.calls.count(MENTIONS)
            await self.time.until(lambda: self.x.calls.count(MENTIONS) > looks + 1)
            yield service
        finally:
            await service.close(0.0)
            await adapter.close()
            await store.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    time = SteppedTime()
    async with XServer(clock=time) as server:
        yield World(server=server, time=time, engine=ScriptedEngine(), folder=tmp_path)
        assert server.world.violations == []


def is_idle(service: Service) -> bool:
    return repr(service) == "<Service 0 jobs running>"


async def test_a_mention_is_answered_with_pictures(world: World) -> None:
    async with world.process() as service:
        post_id = world.x.mention("ada", "@imagine_bot a red cube")
        await world.time.until(lambda: world.x.replies_to(post_id) and is_idle(service))

    (reply,) = world.x.replies_to(post_id)
    assert [request.prompt for request in world.engine.requests] == ["a red cube"]
    assert reply.text.startswith("Here are your 9 pictures, drawn by an AI, best first. (ref ")
    assert len(reply.media) == 1


async def test_a_restart_while_drawing_answers_once(world: World) -> None:
    world.engine.open.clear()
    async with world.process():
        post_id = world.x.mention("ada", "@imagine_bot a red cube")
        await world.time.until(lambda: world.engine.requests)
    world.engine.open.set()

    async with world.process() as service:
        await world.time.until(lambda: world.x.replies_to(post_id) and is_idle(service))

    first, second = world.engine.requests
    assert first == second
    assert len(world.x.replies_to(post_id)) == 1
    assert world.x.calls.count(OWN_POSTS) == 0


async def test_a_restart_after_a_reply_without_an_answer_does_not_repeat_it(world: World) -> None:
    world.x.fail(CREATE, Fault(kind="hang", is_committed=True))
    async with world.process():
        post_id = world.x.mention("ada", "@imagine_bot a red cube")
        await world.time.until(lambda: world.x.replies_to(post_id))
    world.x.hidden_looks = 1

    async with world.process() as service:
        await world.time.until(lambda: is_idle(service))

    assert len(world.x.replies_to(post_id)) == 1
    assert world.x.calls.count(CREATE) == 1
    assert world.x.calls.count(OWN_POSTS) == 2


async def test_an_allowance_that_is_used_up_stays_so_over_a_restart(world: World) -> None:
    async with world.process(daily_pictures=9) as service:
        first = world.x.mention("ada", "@imagine_bot a red cube")
        await world.time.until(lambda: world.x.replies_to(first) and is_idle(service))

    async with world.process(daily_pictures=9):
        second = world.x.mention("ada", "@imagine_bot a blue cube")
        await world.time.until(lambda: world.x.replies_to(second))

    (reply,) = world.x.replies_to(second)
    assert reply.text.partition(" (ref ")[0] == (
        "Today's allowance of 9 pictures is used up. It reopens at 00:00 UTC on 10 June."
    )
    assert reply.media == ()


async def test_a_drawing_that_fails_ends_in_one_sentence(world: World) -> None:
    world.engine.errors.append(DrawingFailedError("out of memory"))
    async with world.process() as service:
        post_id = world.x.mention("ada", "@imagine_bot a red cube")
        await world.time.until(lambda: world.x.replies_to(post_id) and is_idle(service))

    (reply,) = world.x.replies_to(post_id)
    assert reply.text.partition(" (ref ")[0] == (
        "The pictures could not be drawn. Please try again. Nothing was taken from your allowance."
    )


async def test_a_restart_between_giving_back_and_saying_so_still_says_it(world: World) -> None:
    world.engine.errors.append(DrawingFailedError("out of memory"))
    world.x.fail(CREATE, Fault(kind="hang"))
    async with world.process():
        post_id = world.x.mention("ada", "@imagine_bot a red cube")
        await world.time.until(lambda: CREATE in world.x.calls)

    async with world.process():
        await world.time.until(lambda: world.x.replies_to(post_id))

    (reply,) = world.x.replies_to(post_id)
    assert reply.text.startswith("The pictures could not be drawn. Please try again.")
    assert len(world.engine.requests) == 1


class ImmodestError(RefusedError):
    """A refusal that this project does not have."""


async def test_whatever_the_service_refuses_is_told_politely_once_a_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = Store.accept

    async def accept_the_modest(store: Store, asked: Submission, **more: Any) -> Job:
        if "naked" in asked.request.prompt:
            raise ImmodestError
        return await accept(store, asked, **more)

    monkeypatch.setattr(Store, "accept", accept_the_modest)
    async with world.process() as service:
        first = world.x.mention("ada", "@imagine_bot a naked cube")
        await world.time.until(lambda: world.x.replies_to(first))
        again = world.x.mention("ada", "@imagine_bot a naked sphere")
        modest = world.x.mention("ada", "@imagine_bot a red cube")
        other = world.x.mention("bob", "@imagine_bot a naked cone")
        await world.time.until(lambda: world.x.replies_to(modest) and world.x.replies_to(other))
        world.time.now += timedelta(days=1)
        tomorrow = world.x.mention("ada", "@imagine_bot a naked house")
        await world.time.until(lambda: world.x.replies_to(tomorrow) and is_idle(service))

    for post_id in (first, other, tomorrow):
        (reply,) = world.x.replies_to(post_id)
        assert reply.media == ()
        assert reply.text.partition(" (ref ")[0] == (
            "The bot does not accept this request. Nothing was taken from your allowance."
        )
    assert world.x.replies_to(again) == []
    assert [request.prompt for request in world.engine.requests] == ["a red cube"]
