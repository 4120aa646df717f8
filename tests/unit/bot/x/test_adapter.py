"""Stories of the adapter: the real tweepy against the loopback server, time stepped by hand."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bot.jobs import DeliveryError, UnavailableError, UndeliverableError
from bot.x.adapter import XAdapter, XKeysError
from bot.x.polling import MAX_TAKE_COUNT
from engine.api import EngineBusyError, InvalidRequestError
from tests.support.scripted_engine import drawn
from tests.support.x_line import NOON, Desk, MemoryCursors, SteppedTime, running_adapter, x_config
from tests.support.x_server import (
    CREATE,
    ME,
    MENTIONS,
    METADATA,
    OWN_POSTS,
    UPLOAD,
    Fault,
    XServer,
    rate_limited,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.jobs import Job, Submission


@pytest.fixture
def time() -> SteppedTime:
    return SteppedTime()


@pytest.fixture
def cursors() -> MemoryCursors:
    return MemoryCursors()


@pytest.fixture
def desk(time: SteppedTime) -> Desk:
    return Desk(time)


@pytest.fixture
async def server(time: SteppedTime) -> AsyncIterator[XServer]:
    async with XServer(clock=time) as server:
        yield server
        assert server.violations == []


async def test_a_mention_is_answered_by_one_reply_with_the_described_grid(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: server.replies_to(post_id))

    (reply,) = server.bot_posts()
    (job,) = desk.jobs.values()
    assert reply.text.startswith("Here are your 9 pictures, drawn by an AI, best first. (ref ")
    assert reply.made_with_ai
    (media,) = reply.media
    assert media.png == drawn(job.submission.request).grid_png
    assert media.alt_text == ("A grid of 9 pictures, drawn by an AI from the words: a red cube")


async def test_mentions_from_before_the_first_start_are_not_answered(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    server.mention("ada", "@imagine_bot an old wish")

    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot a new wish")
        await time.until(lambda: server.replies_to(post_id))

    assert desk.prompts == ["a new wish"]


async def test_mentions_made_while_the_bot_was_down_are_all_answered_oldest_first(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    async with running_adapter(server, desk, cursors, time):
        pass
    desk.is_open.clear()
    for number in range(150):
        server.mention(f"person{number}", f"@imagine_bot cube number {number}")

    async with running_adapter(server, desk, cursors, time):
        await time.until(lambda: len(desk.jobs) == 150)

    assert desk.prompts == [f"cube number {number}" for number in range(150)]


async def test_a_failure_between_two_pages_loses_no_mention(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    async with running_adapter(server, desk, cursors, time, poll_interval_s=60.0):
        desk.is_open.clear()
        for number in range(150):
            server.mention(f"person{number}", f"@imagine_bot cube number {number}")
        calls = server.calls.count(MENTIONS)
        await time.until(lambda: server.calls.count(MENTIONS) > calls)
        server.fail(MENTIONS, Fault(kind="html", status=502))
        await time.until(lambda: len(desk.jobs) == 150)


async def test_a_mention_that_x_shows_after_a_younger_one_is_answered(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    async with running_adapter(server, desk, cursors, time):
        late = server.mention_late("ada", "@imagine_bot a red cube")
        early = server.mention("bob", "@imagine_bot a blue cube")
        await time.until(lambda: server.replies_to(early))
        server.show(late)
        await time.until(lambda: server.replies_to(str(late.id)))

    assert desk.prompts == ["a blue cube", "a red cube"]


async def test_names_that_x_inserts_own_posts_and_retweets_are_ignored(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    async with running_adapter(server, desk, cursors, time):
        first = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: server.replies_to(first))
        answer = server.replies_to(first)[0]
        server.reply("bob", "thanks, nice", to=str(answer.id))
        server.retweet("eve", first)
        last = server.mention("ada", "@imagine_bot a blue cube")
        await time.until(lambda: server.replies_to(last))

    assert desk.prompts == ["a red cube", "a blue cube"]


async def test_an_edited_mention_is_answered_once(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: server.replies_to(post_id))
        server.edit(post_id, "@imagine_bot a red cube!")
        last = server.mention("bob", "@imagine_bot a blue cube")
        await time.until(lambda: server.replies_to(last))

    assert len(server.bot_posts()) == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="reset", is_committed=True),
        Fault(kind="hang", is_committed=True),
        Fault(kind="truncated", is_committed=True),
        Fault(kind="html", status=201, is_committed=True),
        Fault(kind="html", status=502, is_committed=True),
        Fault(kind="null", is_committed=True),
        Fault(kind="answer", status=503, is_committed=True),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
async def test_a_reply_whose_answer_was_lost_is_found_and_not_posted_again(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime, fault: Fault
) -> None:
    server.fail(CREATE, fault)
    server.hidden_looks = 3

    async with running_adapter(server, desk, cursors, time, call_timeout_s=2.0):
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: desk.jobs and not is_waiting(desk))

    assert len(server.replies_to(post_id)) == 1
    assert server.calls.count(CREATE) == 1
    assert desk.failures == []


@pytest.mark.parametrize("kind", ["reset", "answer", "truncated"])
async def test_a_reply_that_did_not_go_out_is_posted_again_after_all_looks(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime, kind: str
) -> None:
    server.fail(CREATE, Fault(kind=kind))  # pyright: ignore[reportArgumentType] (one of them)

    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: desk.jobs and not is_waiting(desk))

    assert len(server.replies_to(post_id)) == 1
    assert server.calls.count(OWN_POSTS) == 4
    assert time.now - NOON > timedelta(seconds=380)


@pytest.mark.parametrize("withheld", ["referenced_tweets", "text"])
async def test_a_reply_is_recognised_by_its_parent_or_by_its_text(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime, withheld: str
) -> None:
    server.fail(CREATE, Fault(kind="reset", is_committed=True))
    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: CREATE in server.calls)
        server.withheld = {withheld}
        await time.until(lambda: not is_waiting(desk))

    assert len(server.replies_to(post_id)) == 1
    assert server.calls.count(CREATE) == 1


async def test_an_answer_that_has_waited_for_a_day_is_not_posted_any_more(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    server.fail(CREATE, rate_limited(NOON + timedelta(hours=25)))
    async with running_adapter(server, desk, cursors, time, poll_interval_s=600.0):
        server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: desk.failures)

    (failure,) = desk.failures
    assert isinstance(failure, UndeliverableError)
    assert server.bot_posts() == []


async def test_a_look_that_fails_does_not_count_as_not_there(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    server.fail(CREATE, Fault(kind="reset", is_committed=True))
    server.fail(OWN_POSTS, *[Fault(kind="answer", status=503)] * 6)

    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: desk.jobs and not is_waiting(desk))

    assert len(server.replies_to(post_id)) == 1
    assert server.calls.count(CREATE) == 1


async def test_a_restart_before_the_delivery_answers_once(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    desk.is_open.clear()
    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: desk.jobs)
    desk.is_open.set()
    desk.resume(attempt_count=0)

    async with running_adapter(server, desk, cursors, time):
        await time.until(lambda: not is_waiting(desk))
        last = server.mention("bob", "@imagine_bot a blue cube")
        await time.until(lambda: server.replies_to(last))

    assert len(server.replies_to(post_id)) == 1
    assert server.calls.count(OWN_POSTS) == 0


async def test_a_restart_after_a_reply_nobody_noted_does_not_repeat_it(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    server.fail(CREATE, Fault(kind="hang", is_committed=True))
    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: server.replies_to(post_id))
    assert is_waiting(desk)
    desk.resume(attempt_count=1)

    async with running_adapter(server, desk, cursors, time):
        await time.until(lambda: not is_waiting(desk))

    assert len(server.replies_to(post_id)) == 1
    assert server.calls.count(CREATE) == 1


@pytest.mark.parametrize("call", [CREATE, UPLOAD, MENTIONS])
async def test_a_rate_limit_is_waited_out_to_its_end(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime, call: str
) -> None:
    async with running_adapter(server, desk, cursors, time, poll_interval_s=60.0):
        server.fail(call, rate_limited(NOON + timedelta(minutes=14)))
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: server.replies_to(post_id))

    assert time.now >= NOON + timedelta(minutes=14)
    assert len(server.replies_to(post_id)) == 1


async def test_a_rate_limit_without_a_reset_time_is_no_hot_loop(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    async with running_adapter(server, desk, cursors, time, poll_interval_s=3600.0):
        server.fail(MENTIONS, *[Fault(kind="answer", status=429, detail="slow down")] * 5)
        server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: desk.jobs)

    assert time.now - NOON >= timedelta(hours=1, minutes=5)


async def test_more_replies_than_x_allows_in_a_window_are_spread_over_the_next(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    server.limits[CREATE] = 2

    desk.is_open.clear()
    async with running_adapter(server, desk, cursors, time, poll_interval_s=60.0):
        for number in range(7):
            server.mention(f"person{number}", "@imagine_bot a red cube")
        await time.until(lambda: len(desk.jobs) == 7)
        desk.is_open.set()
        await time.until(lambda: len(server.bot_posts()) == 7)

    assert time.now - NOON >= timedelta(minutes=45)


async def test_a_person_over_quota_is_told_once_a_day_when_it_reopens(
    server: XServer, cursors: MemoryCursors, time: SteppedTime
) -> None:
    desk = Desk(time, allowance_count=9)
    async with running_adapter(server, desk, cursors, time):
        server.mention("ada", "@imagine_bot a red cube")
        second = server.mention("ada", "@imagine_bot a blue cube")
        third = server.mention("ada", "@imagine_bot a green cube")
        await time.until(lambda: server.replies_to(second))
        await time.for_hours(0.2)

    (reply,) = server.replies_to(second)
    sentence, _, ref = reply.text.partition(" (ref ")
    assert sentence == (
        "Today's allowance of 9 pictures is used up. It reopens at 00:00 UTC on 10 June."
    )
    assert len(ref) == 9
    assert reply.media == ()
    assert server.replies_to(third) == []
    assert desk.prompts == ["a red cube"]


async def test_who_has_a_few_pictures_left_gets_these(
    server: XServer, cursors: MemoryCursors, time: SteppedTime
) -> None:
    desk = Desk(time, allowance_count=10)
    async with running_adapter(server, desk, cursors, time):
        server.mention("ada", "@imagine_bot a red cube")
        second = server.mention("ada", "@imagine_bot a blue cube")
        await time.until(lambda: server.replies_to(second))

    (reply,) = server.replies_to(second)
    assert reply.text.startswith("Here is your picture, drawn by an AI. (ref ")


async def test_a_mention_without_words_gets_one_sentence(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot")
        await time.until(lambda: server.replies_to(post_id))

    (reply,) = server.bot_posts()
    assert reply.text.startswith("The prompt is empty: say in a few words what to draw. (ref ")


async def test_a_refusal_survives_a_restart_and_is_said_once(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    server.fail(CREATE, Fault(kind="hang", is_committed=True))
    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot")
        await time.until(lambda: server.replies_to(post_id))

    async with running_adapter(server, desk, cursors, time):
        await time.until(lambda: cursors.values["x.refusals"] == "[]")

    assert len(server.replies_to(post_id)) == 1
    assert server.calls.count(CREATE) == 1


async def test_a_mention_refused_before_midnight_is_not_drawn_after_it(
    server: XServer, cursors: MemoryCursors, time: SteppedTime
) -> None:
    time.now = datetime(2026, 6, 9, 23, 59, 50, tzinfo=UTC)
    async with running_adapter(server, Desk(time, allowance_count=0), cursors, time):
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: server.replies_to(post_id))
    time.now = datetime(2026, 6, 10, 0, 0, 5, tzinfo=UTC)
    desk = Desk(time)

    async with running_adapter(server, desk, cursors, time):
        other = server.mention("bob", "@imagine_bot a blue cube")
        await time.until(lambda: server.replies_to(other))

    assert desk.prompts == ["a blue cube"]
    assert len(server.replies_to(post_id)) == 1


async def test_a_refusal_that_waits_for_a_rate_limit_is_said_after_a_restart(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    server.fail(CREATE, rate_limited(NOON + timedelta(minutes=10)))
    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot")
        await time.until(lambda: CREATE in server.calls)
    time.now = NOON + timedelta(minutes=11)

    async with running_adapter(server, desk, cursors, time):
        await time.until(lambda: cursors.values["x.refusals"] == "[]")

    assert len(server.replies_to(post_id)) == 1


async def test_a_deleted_mention_cannot_be_answered(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    desk.is_open.clear()
    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: desk.jobs)
        server.delete(post_id)
        desk.is_open.set()
        await time.until(lambda: desk.failures)

    (failure,) = desk.failures
    assert isinstance(failure, UndeliverableError)
    assert server.bot_posts() == []


async def test_an_apology_is_a_reply_without_pictures(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    desk.is_open.clear()
    async with running_adapter(server, desk, cursors, time) as adapter:
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: desk.jobs)
        (job,) = desk.jobs.values()
        sentence = "Sorry, @ada: see https://example.com for #help, or pay $5."
        await adapter.apologise(job, InvalidRequestError(sentence))

    (reply,) = server.replies_to(post_id)
    assert reply.text.startswith("Sorry, ada: see  for help, or pay 5. (ref ")


async def test_an_apology_names_a_moment_that_stays_right(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    desk.is_open.clear()
    async with running_adapter(server, desk, cursors, time) as adapter:
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: desk.jobs)
        (job,) = desk.jobs.values()
        await adapter.apologise(job, EngineBusyError(90))

    (reply,) = server.replies_to(post_id)
    assert re.fullmatch(
        r"Too many pictures are waiting to be drawn just now\. Try again at \d\d:\d\d UTC on "
        r"\d+ [A-Z][a-z]+\. Nothing was taken from your allowance\. \(ref \w+\)",
        reply.text,
    )


async def test_a_job_that_waits_for_the_next_start_is_no_reason_to_post(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    desk.is_open.clear()
    async with running_adapter(server, desk, cursors, time) as adapter:
        server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: desk.jobs)
        (job,) = desk.jobs.values()
        await adapter.postpone(job)

    assert server.bot_posts() == []


class StumblingDesk(Desk):
    """Raises ``stumble`` for each prompt that holds the word; counts how often."""

    def __init__(self, time: SteppedTime, stumble: Exception) -> None:
        super().__init__(time)
        self.stumble: Exception | None = stumble
        self.stumble_count = 0

    async def submit(self, submission: Submission) -> Job:
        if self.stumble and "stumble" in submission.request.prompt:
            self.stumble_count += 1
            raise self.stumble
        return await super().submit(submission)


async def test_a_mention_that_cannot_be_taken_holds_up_no_others_and_is_passed_in_the_end(
    server: XServer,
    cursors: MemoryCursors,
    time: SteppedTime,
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = StumblingDesk(time, KeyError("a mistake of ours"))
    async with running_adapter(server, desk, cursors, time):
        cursor = cursors.values["x.mentions"]
        broken = server.mention("eve", "@imagine_bot stumble over this")
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: server.replies_to(post_id))
        await time.until(lambda: cursors.values["x.mentions"] != cursor)
        last = server.mention("bob", "@imagine_bot a blue cube")
        await time.until(lambda: server.replies_to(last))

    assert desk.stumble_count == MAX_TAKE_COUNT
    assert desk.prompts == ["a red cube", "a blue cube"]
    assert f"x mention failed root_id={broken} and is given up" in caplog.text


async def test_mentions_wait_unanswered_while_the_database_fails(
    server: XServer, cursors: MemoryCursors, time: SteppedTime
) -> None:
    desk = StumblingDesk(time, UnavailableError("the store failed"))
    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot do not stumble")
        await time.until(lambda: desk.stumble_count > 2 * MAX_TAKE_COUNT)
        desk.stumble = None
        await time.until(lambda: server.replies_to(post_id))

    (reply,) = server.bot_posts()
    assert reply.text.startswith("Here are your 9 pictures, drawn by an AI, best first. (ref ")


async def test_it_listens_once_mentions_have_been_read(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    server.fail(ME, Fault(kind="html", status=502))
    adapter = XAdapter(x_config(server), desk, cursors, clock=time, sleep=time.sleep)

    await adapter.start()
    assert (adapter.is_connected, adapter.is_listening) == (False, False)

    await time.until(lambda: adapter.is_listening)
    assert adapter.is_connected
    await adapter.close()
    assert not adapter.is_listening


async def test_pictures_are_posted_even_if_their_words_are_declined(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    server.fail(METADATA, Fault(kind="answer", status=400, detail="too long"))

    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: server.replies_to(post_id))

    assert server.violations == ["a picture without alt text"]
    server.violations.clear()


async def test_a_delivery_is_handed_back_when_the_adapter_closes(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    server.fail(CREATE, Fault(kind="hang"))
    async with running_adapter(server, desk, cursors, time) as adapter:
        server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: CREATE in server.calls)
        await adapter.close()
        await time.until(lambda: desk.failures)

    (failure,) = desk.failures
    assert type(failure) is DeliveryError


async def test_nothing_is_answered_while_posts_arrive_without_a_needed_field(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    server.withheld = {"display_text_range"}
    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.for_hours(0.1)
        assert desk.jobs == {}
        server.withheld = set()
        await time.until(lambda: server.replies_to(post_id))


async def test_the_newer_names_of_the_fields_are_understood(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    server.uses_new_names = True
    server.fail(CREATE, Fault(kind="reset", is_committed=True))

    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: desk.jobs and not is_waiting(desk))

    assert len(server.replies_to(post_id)) == 1


async def test_keys_that_x_does_not_accept_are_one_sentence(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    config = x_config(server, api_secret="mistyped")
    adapter = XAdapter(config, desk, cursors, clock=time, sleep=time.sleep)

    with pytest.raises(XKeysError) as caught:
        await adapter.start()
    await adapter.close()

    assert str(caught.value) == (
        "X does not accept the keys of the bot (Unauthorized). Check X_API_KEY, X_API_SECRET, "
        "X_ACCESS_TOKEN and X_ACCESS_TOKEN_SECRET: all four belong to one app, which may read "
        "and write, and the access token belongs to the bot's own account."
    )


async def test_x_being_down_at_the_start_is_waited_out(
    server: XServer, desk: Desk, cursors: MemoryCursors, time: SteppedTime
) -> None:
    server.fail(ME, *[Fault(kind="html", status=503)] * 3)

    async with running_adapter(server, desk, cursors, time):
        post_id = server.mention("ada", "@imagine_bot a red cube")
        await time.until(lambda: server.replies_to(post_id))


def is_waiting(desk: Desk) -> bool:
    return any(job.state == "accepted" for job in desk.jobs.values())
