"""What becomes of a reply when X answers badly, with the real tweepy."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from bot.store.x_tables import x_attempts, x_mentions, x_people
from tests.support.clock import NOON
from tests.support.x_world import (
    BLOCKED,
    CREATE,
    EDITED,
    LOOKUP,
    METADATA,
    NOT_MENTIONED,
    NOT_SUMMONED,
    OWN_POSTS,
    RESTRICTED,
    UPLOAD,
    Fault,
    late,
)

if TYPE_CHECKING:
    from tests.support.x_line import Line


def refused(detail: str, status: int = 403) -> Fault:
    return Fault(kind="answer", status=status, detail=detail)


async def answered(line: Line, **changes: object) -> str:
    """Let one mention be answered, whatever it takes; returns its id."""
    async with line.running(**changes):
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(post_id))
        await line.time.until(lambda: is_sent(line))
    return post_id


def is_sent(line: Line) -> bool:
    return [row.outcome for row in attempts(line)][-1:] == ["sent"]


def attempts(line: Line) -> list[Any]:
    return line.database.rows(select(x_attempts).order_by(x_attempts.c.number))


LOST = [
    Fault(kind="reset", is_committed=True),
    Fault(kind="hang", is_committed=True),
    Fault(kind="slow", is_committed=True),
    Fault(kind="truncated", is_committed=True),
    Fault(kind="badjson", is_committed=True),
    Fault(kind="errors", is_committed=True),
    Fault(kind="html", status=201, is_committed=True),
    Fault(kind="html", status=502, is_committed=True),
    Fault(kind="null", is_committed=True),
    Fault(kind="answer", status=503, is_committed=True),
]


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: f"{fault.kind}-{fault.status}")
async def test_a_reply_whose_answer_was_lost_is_found_and_not_posted_again(
    line: Line, fault: Fault
) -> None:
    line.world.fail(CREATE, fault)
    line.world.hidden_looks = 2

    post_id = await answered(line, call_timeout_s=2.0)

    assert len(line.world.replies_to(post_id)) == 1
    assert line.world.calls.count(CREATE) == 1
    assert line.world.calls.count(OWN_POSTS) == 3
    assert line.time.now - NOON >= timedelta(seconds=380)


async def test_a_reply_that_x_makes_late_is_found_by_a_later_look(line: Line) -> None:
    line.world.fail(CREATE, late(Fault(kind="html", status=504), 100))

    post_id = await answered(line)

    assert len(line.world.replies_to(post_id)) == 1
    assert line.world.calls.count(CREATE) == 1


@pytest.mark.parametrize("kind", ["reset", "answer", "truncated"])
async def test_a_reply_that_did_not_go_out_is_posted_again_after_all_looks(
    line: Line, kind: str
) -> None:
    line.world.fail(CREATE, Fault(kind=kind))  # pyright: ignore[reportArgumentType] (one of them)

    post_id = await answered(line)

    first, second = attempts(line)
    assert len(line.world.replies_to(post_id)) == 1
    assert line.world.calls.count(OWN_POSTS) == 3
    assert (first.outcome, second.outcome) == ("absent", "sent")
    assert first.body_sha256 == second.body_sha256
    assert line.world.calls.count(UPLOAD) == line.world.calls.count(METADATA) == 1


async def test_after_three_attempts_in_doubt_a_mention_is_given_up(line: Line) -> None:
    line.world.fail(CREATE, *[Fault(kind="reset")] * 9)
    async with line.running(poll_interval_s=60.0) as now:
        line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: now.desk.failures)
        assert await line.states() == {"dead": 1}

    assert line.world.calls.count(CREATE) == 3
    assert line.world.calls.count(OWN_POSTS) == 9


@pytest.mark.parametrize("withheld", ["referenced_tweets", "text"])
async def test_a_reply_is_recognised_by_its_parent_or_by_its_text(
    line: Line, withheld: str
) -> None:
    line.world.fail(CREATE, Fault(kind="reset", is_committed=True))
    async with line.running(poll_interval_s=3600.0):
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: CREATE in line.world.calls)
        line.world.withheld = {withheld}
        await line.time.until(lambda: is_sent(line))

    assert len(line.world.replies_to(post_id)) == 1
    assert line.world.calls.count(CREATE) == 1


async def test_a_look_that_fails_does_not_count_as_not_there(line: Line) -> None:
    line.world.fail(CREATE, Fault(kind="reset", is_committed=True))
    line.world.fail(OWN_POSTS, *[Fault(kind="answer", status=503)] * 6)

    post_id = await answered(line)

    assert len(line.world.replies_to(post_id)) == 1
    assert line.world.calls.count(CREATE) == 1


async def test_duplicate_content_is_a_hint_that_the_reply_is_out(line: Line) -> None:
    line.world.fail(CREATE, Fault(kind="answer", status=403, detail="duplicate content"))

    post_id = await answered(line)

    assert len(line.world.replies_to(post_id)) == 1
    assert line.world.calls.count(OWN_POSTS) == 3


async def test_the_database_forbids_a_second_live_attempt(line: Line) -> None:
    await answered(line)
    (attempt,) = attempts(line)
    values = attempt._asdict() | {"number": 2, "outcome": None}

    with pytest.raises(IntegrityError, match="UNIQUE"):
        line.database.rows(x_attempts.insert().values(**values).returning(x_attempts.c.number))


@pytest.mark.parametrize(
    ("detail", "reason"),
    [
        (NOT_SUMMONED, "not_summoned"),
        (NOT_MENTIONED, "not_summoned"),
        (RESTRICTED, "restricted"),
        (BLOCKED, "blocked"),
    ],
)
async def test_a_no_for_good_is_taken_as_one(line: Line, detail: str, reason: str) -> None:
    line.world.fail(CREATE, refused(detail))
    async with line.running() as now:
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: now.desk.failures)
        mention = await line.store.x.mentions.mention(int(post_id))

    assert mention is not None
    assert (mention.state, mention.reason) == ("rejected", reason)
    assert mention.prompt == ""
    assert line.world.calls.count(CREATE) == 1
    assert line.world.bot_posts() == []


async def test_who_has_blocked_the_bot_is_not_answered_for_a_week(line: Line) -> None:
    line.world.fail(CREATE, refused(BLOCKED))
    async with line.running(poll_interval_s=3600.0) as now:
        line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: now.desk.failures)
        line.world.mention("ada", "@imagine_bot a blue cube")
        other = line.world.mention("bob", "@imagine_bot a green cube")
        await line.time.until(lambda: line.world.replies_to(other))
        (person,) = line.database.rows(select(x_people))
        line.time.now = person.blocked_until + timedelta(seconds=1)
        late_one = line.world.mention("ada", "@imagine_bot a grey cube")
        await line.time.until(lambda: line.world.replies_to(late_one))

    assert line.prompts == ["a red cube", "a green cube", "a grey cube"]


async def test_a_no_without_a_reason_is_asked_again_hours_later_and_twice_at_most(
    line: Line,
) -> None:
    line.world.fail(CREATE, *[refused("You are not permitted to perform this action.")] * 9)
    async with line.running(poll_interval_s=3600.0) as now:
        line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: now.desk.failures)

    assert line.world.calls.count(CREATE) == 3
    assert line.time.now - NOON >= timedelta(hours=4)


async def test_a_version_that_x_calls_old_but_is_the_newest_is_given_up(line: Line) -> None:
    line.world.fail(CREATE, refused(EDITED))
    async with line.running() as now:
        line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: now.desk.failures)
        assert await line.states() == {"rejected": 1}

    assert line.world.calls.count(LOOKUP) == 1


async def test_pictures_are_posted_even_if_their_words_are_declined(line: Line) -> None:
    line.world.fail(METADATA, refused("too long", 400))

    await answered(line)

    assert line.world.violations == ["a picture without alt text"]
    line.world.violations.clear()


async def test_words_that_cannot_be_added_for_now_are_tried_three_times(line: Line) -> None:
    line.world.fail(METADATA, *[refused("try later", 503)] * 2)

    post_id = await answered(line)

    (media,) = line.world.replies_to(post_id)[0].media
    assert media.alt_text is not None
    assert line.world.calls.count(METADATA) == 3


async def test_a_picture_that_x_has_dropped_is_uploaded_anew(line: Line) -> None:
    line.world.fail(CREATE, refused("Your media IDs are invalid.", 400))

    post_id = await answered(line)

    assert len(line.world.replies_to(post_id)) == 1
    assert line.world.calls.count(UPLOAD) == 2


async def test_an_account_that_has_posted_too_much_pauses_longer_each_time(line: Line) -> None:
    line.world.fail(CREATE, *[refused("User is over daily status update limit.")] * 3)

    await answered(line, poll_interval_s=600.0)

    assert line.time.now - NOON >= timedelta(minutes=15 + 30 + 60)


async def test_without_credit_nothing_is_called_until_the_pause_is_over(line: Line) -> None:
    async with line.running(poll_interval_s=5.0):
        line.world.fail(CREATE, refused("CreditsDepleted", 402))
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: CREATE in line.world.calls)
        call_count = len(line.world.calls)
        await line.time.for_hours(0.2)
        assert len(line.world.calls) <= call_count + 1  # a poll that was under way
        await line.time.until(lambda: line.world.replies_to(post_id))

    assert line.time.now - NOON >= timedelta(minutes=15)


async def test_a_picture_that_x_does_not_take_ends_in_a_sentence(line: Line) -> None:
    line.world.fail(UPLOAD, refused("media type unrecognized", 400))

    post_id = await answered(line)

    (reply,) = line.world.replies_to(post_id)
    assert reply.media == ()
    assert reply.text.startswith("The pictures were drawn but may not or can no longer be sent")


async def test_a_sentence_that_a_failing_database_stopped_is_said_after_the_next_poll(
    line: Line,
) -> None:
    async with line.running():
        await line.store.x.timeline.reading()
        line.database.fail_next("x_attempts")
        post_id = line.world.mention("ada", "@imagine_bot help")
        await line.time.until(lambda: line.world.replies_to(post_id))

    assert len(line.world.bot_posts()) == 1


@pytest.mark.parametrize(
    ("crowd", "state", "reason"),
    [("protected", "rejected", "blocked"), ("suspended", "gone", "gone")],
)
async def test_who_is_protected_or_suspended_while_it_is_drawn_cannot_be_answered(
    line: Line, crowd: str, state: str, reason: str
) -> None:
    async with line.running() as now:
        now.desk.is_open.clear()
        line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.ledger.jobs)
        getattr(line.world, crowd).add("ada")
        now.desk.is_open.set()
        await line.time.until(lambda: now.desk.failures)

    (row,) = line.database.rows(select(x_mentions.c.state, x_mentions.c.reason))
    assert tuple(row) == (state, reason)
    assert line.world.bot_posts() == []
    assert line.world.calls.count(CREATE) == 1
