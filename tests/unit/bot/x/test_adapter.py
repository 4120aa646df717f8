"""Stories of the adapter: the real tweepy against the loopback server, time stepped by hand."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest
from sqlalchemy import select

from bot.jobs import DeliveryError, JobState, Person, Platform, UndeliverableError
from bot.store import Store
from bot.store.x_tables import x_attempts
from bot.x.adapter import XAdapter, XKeysError
from bot.x.config import XConfig
from engine.api import DrawingFailedError, EngineBusyError, Verdict
from tests.support.clock import NOON
from tests.support.factories import submission
from tests.support.inline_database import InlineDatabase
from tests.support.virtual_time import VirtualLoop, run_virtually
from tests.support.x_desk import Desk, Ledger, picture
from tests.support.x_line import A_DAY_S, x_config
from tests.support.x_memory import MemoryApi
from tests.support.x_world import (
    CREATE,
    ME,
    MENTIONS,
    OWN_POSTS,
    UPLOAD,
    Fault,
    XWorld,
    rate_limited,
)

if TYPE_CHECKING:
    from bot.jobs import Job
    from bot.store.database import Database
    from tests.support.x_line import Line


async def test_a_mention_is_answered_by_one_reply_with_the_described_grid(line: Line) -> None:
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(post_id))

    (reply,) = line.world.bot_posts()
    (job,) = line.ledger.jobs.values()
    assert re.fullmatch(
        r"Here are your 9 pictures, drawn by an AI, best first\. \(ref [0-9a-f]{8}\)", reply.text
    )
    assert reply.made_with_ai
    (media,) = reply.media
    assert media.picture == picture(job.submission.request).grid_png
    assert media.alt_text == "A grid of 9 pictures, drawn by an AI from the words: a red cube"
    assert not media.is_sensitive


async def test_pictures_of_delicate_words_are_hidden_by_x_until_somebody_wants_to_see_them(
    line: Line,
) -> None:
    line.ledger.is_soft = True
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot a marble statue")
        await line.time.until(lambda: line.world.replies_to(post_id))

    ((media,),) = (reply.media for reply in line.world.bot_posts())
    assert media.is_sensitive


async def test_what_is_withheld_is_neither_in_the_reply_nor_in_its_words(line: Line) -> None:
    line.ledger.verdicts = {8: Verdict.UNSAFE, 3: Verdict.UNSAFE, 0: Verdict.BORDERLINE}
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(post_id))

    (reply,) = line.world.bot_posts()
    (media,) = reply.media
    assert reply.text.startswith("Here are your 7 pictures, drawn by an AI, best first.")
    assert media.alt_text == "A grid of 7 pictures, drawn by an AI from the words: a red cube"
    assert media.is_sensitive


async def test_the_words_of_a_person_go_into_the_alt_text_and_never_into_the_reply(
    line: Line,
) -> None:
    words = "@imagine_bot zebra https://example.com/zebra #zebra $ZEBRA " + "zebra " * 250
    async with line.running():
        post_id = line.world.mention("ada", words, whole_text=words)
        await line.time.until(lambda: line.world.replies_to(post_id) or line.world.bot_posts())

    (reply,) = line.world.bot_posts()
    assert "zebra" not in reply.text.casefold()
    assert reply.text.startswith("The prompt has 1,")


async def test_a_long_alt_text_is_cut_at_a_thousand_characters(line: Line) -> None:
    words = "@imagine_bot " + "zebra " * 165
    async with line.running():
        post_id = line.world.mention("ada", words, whole_text=words)
        await line.time.until(lambda: line.world.replies_to(post_id))

    (media,) = line.world.replies_to(post_id)[0].media
    assert media.alt_text is not None
    assert (len(media.alt_text), media.alt_text[-1]) == (1000, "…")


async def test_an_edited_mention_is_answered_once_with_its_newest_words(line: Line) -> None:
    async with line.running(poll_interval_s=60.0):
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        line.world.edit(post_id, "@imagine_bot a blue cube")
        await line.time.until(lambda: line.world.replies_to(post_id))
        line.world.edit(post_id, "@imagine_bot a green cube")
        last = line.world.mention("bob", "@imagine_bot a grey cube")
        await line.time.until(lambda: line.world.replies_to(last))

    assert line.prompts == ["a blue cube", "a grey cube"]
    assert len(line.world.bot_posts()) == 2


async def test_a_mention_that_is_edited_while_it_is_drawn_is_answered_at_its_newest_version(
    line: Line,
) -> None:
    async with line.running(poll_interval_s=3600.0) as now:
        now.desk.is_open.clear()
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.ledger.jobs)
        line.world.mention_lag_s = 100_000.0  # the bot does not see it in time
        newest = line.world.edit(post_id, "@imagine_bot a blue cube")
        now.desk.is_open.set()
        await line.time.until(lambda: line.world.replies_to(post_id))

    (reply,) = line.world.bot_posts()
    assert reply.reply_to_id == int(newest)
    assert line.world.calls.count(CREATE) == 2


async def test_a_restart_before_the_delivery_answers_once(line: Line) -> None:
    async with line.running() as now:
        now.desk.is_open.clear()
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.ledger.jobs)

    async with line.running():
        await line.time.until(lambda: line.world.replies_to(post_id))
        last = line.world.mention("bob", "@imagine_bot a blue cube")
        await line.time.until(lambda: line.world.replies_to(last))

    assert len(line.world.bot_posts()) == 2
    assert line.world.calls.count(OWN_POSTS) == 0


async def test_a_restart_after_a_reply_nobody_noted_does_not_repeat_it(line: Line) -> None:
    line.world.fail(CREATE, Fault(kind="hang", is_committed=True))
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(post_id))
    (job,) = line.ledger.jobs.values()
    assert job.state is JobState.ACCEPTED

    async with line.running():
        await line.time.until(lambda: is_done(line))

    assert len(line.world.replies_to(post_id)) == 1
    assert line.world.calls.count(CREATE) == 1


@pytest.mark.parametrize("call", [CREATE, UPLOAD, MENTIONS])
async def test_a_rate_limit_is_waited_out_to_its_end(line: Line, call: str) -> None:
    async with line.running(poll_interval_s=60.0):
        line.world.fail(call, rate_limited(NOON + timedelta(minutes=14)))
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(post_id))

    assert line.time.now >= NOON + timedelta(minutes=14)
    assert len(line.world.replies_to(post_id)) == 1


async def test_a_rate_limit_is_still_waited_out_after_a_restart(line: Line) -> None:
    line.world.fail(CREATE, rate_limited(NOON + timedelta(minutes=14)))
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.has_noted_limit("posts"))

    async with line.running(poll_interval_s=60.0):
        await line.time.until(lambda: line.world.replies_to(post_id))

    assert line.time.now >= NOON + timedelta(minutes=14)


async def test_more_replies_than_x_allows_in_a_window_are_spread_over_the_next(line: Line) -> None:
    line.world.limits[CREATE] = 2
    async with line.running(poll_interval_s=60.0) as now:
        now.desk.is_open.clear()
        for number in range(7):
            line.world.mention(f"person{number}", "@imagine_bot a red cube")
        await line.time.until(lambda: len(line.ledger.jobs) == 7)
        now.desk.is_open.set()
        await line.time.until(lambda: len(line.world.bot_posts()) == 7)

    assert line.time.now - NOON >= timedelta(minutes=45)


async def test_the_bots_own_windows_keep_it_from_ever_meeting_the_limit(line: Line) -> None:
    line.world.limits[CREATE] = 2
    async with line.running(poll_interval_s=60.0, posts_per_15_min=2, posts_per_3_h=3):
        for number in range(4):
            line.world.mention(f"person{number}", "@imagine_bot a red cube")
        await line.time.until(lambda: len(line.world.bot_posts()) == 4)

    assert line.time.now - NOON >= timedelta(hours=3)
    assert line.world.calls.count(CREATE) == 4


async def test_a_restart_does_not_empty_the_windows(line: Line) -> None:
    async with line.running(poll_interval_s=60.0, posts_per_15_min=1):
        first = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(first))

    async with line.running(poll_interval_s=60.0, posts_per_15_min=1):
        second = line.world.mention("bob", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(second))

    rows = line.database.rows(select(x_attempts.c.started_at).order_by(x_attempts.c.started_at))
    assert rows[1].started_at - rows[0].started_at >= timedelta(minutes=15)


async def test_a_deleted_mention_cannot_be_answered(line: Line) -> None:
    async with line.running() as now:
        now.desk.is_open.clear()
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.ledger.jobs)
        line.world.delete(post_id)
        now.desk.is_open.set()
        await line.time.until(lambda: now.desk.failures)
        assert await line.states() == {"gone": 1}

    (failure,) = now.desk.failures
    assert isinstance(failure, UndeliverableError)
    assert line.world.bot_posts() == []


async def test_an_answer_that_has_waited_for_a_day_is_not_posted_any_more(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    line.world.fail(CREATE, rate_limited(NOON + timedelta(hours=25)))
    async with line.running(poll_interval_s=600.0, give_up_after_s=A_DAY_S) as now:
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: now.desk.failures)
        assert await line.states() == {"expired": 1}

    assert line.world.bot_posts() == []
    told = f"x mention not answered root_id={post_id} state=expired reason=None"
    assert told in caplog.messages


async def test_a_drawing_that_fails_ends_in_one_sentence_without_pictures(line: Line) -> None:
    line.ledger.errors.append(DrawingFailedError("out of memory"))
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(post_id))

    (reply,) = line.world.bot_posts()
    assert reply.text.partition(" (ref ")[0] == (
        "The pictures could not be drawn. Please try again. Nothing was taken from your allowance."
    )
    assert reply.media == ()


async def test_a_full_engine_is_no_reason_to_post_and_the_mention_gets_its_turn(
    line: Line,
) -> None:
    line.ledger.errors.append(EngineBusyError(90.0))
    async with line.running(poll_interval_s=60.0):
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(post_id))

    (reply,) = line.world.bot_posts()
    assert len(reply.media) == 1
    assert line.time.now - NOON >= timedelta(seconds=90)
    assert list(line.ledger.jobs) == [post_id, f"{post_id}~1"]


async def test_a_job_that_waits_for_the_next_start_is_no_reason_to_post(line: Line) -> None:
    async with line.running() as now:
        now.desk.is_open.clear()
        line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.ledger.jobs)
        (job,) = line.ledger.jobs.values()
        await now.adapter.postpone(job)

    assert line.world.bot_posts() == []


async def test_a_job_from_before_the_records_is_looked_for_before_it_is_posted(line: Line) -> None:
    """An upgrade in the middle of a delivery: the job knows that it was tried, nothing else."""
    async with line.running() as now:
        post_id = line.world.mention("ada", "@imagine_bot a red cube", lag_s=10_000.0)
        old = await old_job(now.desk, post_id)
        line.world.create({"text": "Here.", "reply": {"in_reply_to_tweet_id": post_id}})
        delivery = now.adapter.deliver(old, picture(old.submission.request))
        delivering = asyncio.create_task(delivery)
        await line.time.until(delivering.done)

    assert len(line.world.replies_to(post_id)) == 1
    assert line.world.calls.count(CREATE) == 0


async def old_job(desk: Desk, post_id: str) -> Job:
    desk.is_open.clear()
    address = {"mention_id": post_id, "root_id": post_id, "author_id": "5001"}
    asked = submission(by=Person(platform=Platform.X, id="5001"), event_id=post_id, address=address)
    return replace(await desk.submit(asked), attempt_count=1)


async def test_a_delivery_is_handed_back_when_the_adapter_closes(line: Line) -> None:
    line.world.fail(CREATE, Fault(kind="hang"))
    async with line.running() as now:
        line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: CREATE in line.world.calls)
        await now.adapter.close()
        await line.time.until(lambda: now.desk.failures)

    assert type(now.desk.failures[0]) is DeliveryError
    assert await line.states() == {"posting": 1}


def test_a_reply_that_is_on_its_way_when_the_bot_stops_still_arrives() -> None:
    loop, database = VirtualLoop(), InlineDatabase()
    world, store = XWorld(clock=loop.present), Store(cast("Database", database))
    config = XConfig(api_key="", api_secret="", access_token="", access_token_secret="")

    async def take_a_second() -> None:
        await asyncio.sleep(1.0)

    async def live() -> dict[str, int]:
        desk = Desk(Ledger(), clock=loop.present)
        adapter = XAdapter(
            config,
            desk,
            store,
            store.x,
            clock=loop.present,
            connect=lambda: MemoryApi(world, take_a_second),
        )
        desk.delivery = adapter
        await adapter.start()
        while not adapter.is_listening:  # noqa: ASYNC110 (its time is virtual)
            await asyncio.sleep(0.1)
        world.mention("ada", "@imagine_bot a red cube")
        while CREATE not in world.calls:  # noqa: ASYNC110 (as above)
            await asyncio.sleep(0.1)
        await adapter.close()
        await desk.close()
        return await store.x.mentions.state_counts()

    assert run_virtually(loop, live()) == {"sent": 1}
    loop.close()
    database.close()


async def test_it_listens_once_mentions_have_been_read(line: Line) -> None:
    line.world.fail(ME, Fault(kind="html", status=502))
    adapter = new_adapter(line)

    await adapter.start()
    assert (adapter.is_connected, adapter.is_listening) == (False, False)

    await line.time.until(lambda: adapter.is_listening)
    assert adapter.is_connected
    assert repr(adapter) == "<XAdapter ready, 0 replies under way>"
    await adapter.close()
    assert not adapter.is_listening


async def test_x_being_down_at_the_start_is_waited_out(line: Line) -> None:
    line.world.fail(ME, *[Fault(kind="html", status=503)] * 3)

    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(post_id))


async def test_keys_that_x_does_not_accept_are_one_sentence(line: Line) -> None:
    adapter = new_adapter(line, api_secret="mistyped")

    with pytest.raises(XKeysError) as caught:
        await adapter.start()
    await adapter.close()

    assert str(caught.value) == (
        "X does not accept the keys of the bot (Unauthorized). Check X_API_KEY, X_API_SECRET, "
        "X_ACCESS_TOKEN and X_ACCESS_TOKEN_SECRET: all four belong to one app, which may read "
        "and write, and the access token belongs to the bot's own account."
    )


def new_adapter(line: Line, **changes: object) -> XAdapter:
    store = line.store
    desk = Desk(line.ledger, clock=line.time, sleep=line.time.sleep)
    return XAdapter(
        x_config(line.server, **changes),
        desk,
        store,
        store.x,
        clock=line.time,
        sleep=line.time.sleep,
    )


def is_done(line: Line) -> bool:
    return bool(line.ledger.jobs) and not any(
        job.state is JobState.ACCEPTED for job in line.ledger.jobs.values()
    )
