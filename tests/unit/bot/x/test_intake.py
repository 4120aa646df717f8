"""What a stored mention gets: pictures, a sentence, obedience or nothing; with the real tweepy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from bot.jobs import ModeratedError, UnavailableError
from bot.store.x_tables import x_attempts, x_mentions
from bot.x.intake import MAX_LOOKS
from tests.support.clock import NOON
from tests.support.x_line import A_DAY_S
from tests.support.x_world import CREATE, DELETE, OWN_POSTS, Fault, rate_limited

if TYPE_CHECKING:
    import pytest

    from bot.jobs import Submission
    from tests.support.x_line import Line


def reasons(line: Line) -> list[tuple[str, str | None]]:
    query = select(x_mentions.c.state, x_mentions.c.reason).order_by(x_mentions.c.root_id)
    return [(row.state, row.reason) for row in line.database.rows(query)]


# --- sentences


async def test_a_person_over_quota_is_told_once_a_day_when_it_reopens(line: Line) -> None:
    line.ledger.allowance_count = 9
    async with line.running():
        first = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(first))
        second = line.world.mention("ada", "@imagine_bot a blue cube")
        await line.time.until(lambda: line.world.replies_to(second))
        third = line.world.mention("ada", "@imagine_bot a green cube")
        await line.time.for_hours(0.2)

    (reply,) = line.world.replies_to(second)
    assert reply.text.partition(" (ref ")[0] == (
        "Today's allowance of 9 pictures is used up. It reopens at 00:00 UTC on 10 June."
    )
    assert reply.media == ()
    assert line.world.replies_to(third) == []
    assert reasons(line)[-1] == ("ignored", "told_today")


async def test_who_has_a_few_pictures_left_gets_these(line: Line) -> None:
    line.ledger.allowance_count = 10
    async with line.running():
        first = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(first))
        second = line.world.mention("ada", "@imagine_bot a blue cube")
        await line.time.until(lambda: line.world.replies_to(second))

    (reply,) = line.world.replies_to(second)
    assert reply.text.startswith("Here is your picture, drawn by an AI. (ref ")


async def test_a_mention_without_words_gets_one_sentence(line: Line) -> None:
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot")
        await line.time.until(lambda: line.world.replies_to(post_id))

    (reply,) = line.world.bot_posts()
    assert reply.text.startswith("The prompt is empty: say in a few words what to draw. (ref ")


async def test_words_that_are_not_drawn_are_told_in_a_sentence_that_repeats_none_of_them(
    line: Line,
) -> None:
    line.ledger.stumble = lambda _: ModeratedError("gore")
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot a heap of entrails")
        await line.time.until(lambda: line.world.replies_to(post_id))

    (reply,) = line.world.bot_posts()
    assert reply.text.partition(" (ref ")[0] == (
        "The bot does not draw open wounds or cruelty here. Put it in other words, or describe "
        "something else. Nothing was taken from your allowance."
    )
    assert line.ledger.jobs == {}


async def test_who_asks_for_harm_gets_no_answer_that_would_show_it_to_more_people(
    line: Line,
) -> None:
    line.ledger.stumble = lambda _: ModeratedError("hate", is_grave=True)
    async with line.running():
        line.world.mention("ada", "@imagine_bot something hateful")
        await line.time.until(lambda: reasons(line) == [("ignored", "moderated")])

    assert line.world.bot_posts() == []


async def test_a_refusal_survives_a_restart_and_is_said_once(line: Line) -> None:
    line.world.fail(CREATE, Fault(kind="hang", is_committed=True))
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot")
        await line.time.until(lambda: line.world.replies_to(post_id))

    async with line.running():
        await line.time.until(lambda: reasons(line) == [("sent", None)])

    assert len(line.world.replies_to(post_id)) == 1
    assert line.world.calls.count(CREATE) == 1


async def test_a_refusal_that_waits_for_a_rate_limit_is_said_after_a_restart(line: Line) -> None:
    line.world.fail(CREATE, rate_limited(NOON + timedelta(minutes=10)))
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot")
        await line.time.until(lambda: line.has_noted_limit("posts"))

    async with line.running():
        await line.time.until(lambda: line.world.replies_to(post_id))

    assert len(line.world.replies_to(post_id)) == 1
    assert line.time.now >= NOON + timedelta(minutes=10)
    assert line.world.calls.count(OWN_POSTS) <= 3


async def test_a_mention_refused_before_midnight_is_not_drawn_after_it(line: Line) -> None:
    line.time.now = datetime(2026, 6, 9, 23, 59, 30, tzinfo=UTC)
    line.ledger.allowance_count = 0
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(post_id))
    line.time.now = datetime(2026, 6, 10, 0, 0, 5, tzinfo=UTC)
    line.ledger.allowance_count = 90

    async with line.running():
        other = line.world.mention("bob", "@imagine_bot a blue cube")
        await line.time.until(lambda: line.world.replies_to(other))

    assert line.prompts == ["a blue cube"]
    assert len(line.world.replies_to(post_id)) == 1


# --- control words


async def test_help_is_one_sentence_and_no_drawing(line: Line) -> None:
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot Help!")
        await line.time.until(lambda: line.world.replies_to(post_id))

    (reply,) = line.world.bot_posts()
    assert reply.text.partition(" (ref ")[0] == (
        "Mention this account with a few words, and it draws them. Say only stop and it never "
        "answers you again (start undoes that); say only delete and your last pictures go."
    )
    assert line.prompts == []


async def test_stop_is_obeyed_at_once_without_a_word_until_start(line: Line) -> None:
    async with line.running() as now:
        now.desk.is_open.clear()
        line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.ledger.jobs)
        line.world.mention("ada", "@imagine_bot STOP.")
        await line.time.until(lambda: ("done", "stop") in reasons(line))
        now.desk.is_open.set()
        await line.time.until(lambda: now.desk.failures)
        line.world.mention("ada", "@imagine_bot a blue cube")
        line.world.mention("ada", "@imagine_bot help")
        other = line.world.mention("bob", "@imagine_bot a green cube")
        await line.time.until(lambda: line.world.replies_to(other))
        assert len(line.world.bot_posts()) == 1

        line.world.mention("ada", "@imagine_bot start")
        again = line.world.mention("ada", "@imagine_bot a grey cube")
        await line.time.until(lambda: line.world.replies_to(again))

    assert [state for state, _ in reasons(line)] == [
        "opted_out", "done", "opted_out", "opted_out", "sent", "done", "sent",
    ]  # fmt: skip


async def test_stop_is_heard_in_an_answer_to_the_bot_where_x_hides_the_name(line: Line) -> None:
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(post_id))
        answer = line.world.replies_to(post_id)[0]
        line.world.reply("ada", "stop", to=str(answer.id))
        await line.time.until(lambda: ("done", "stop") in reasons(line))

    assert len(line.world.bot_posts()) == 1


async def test_delete_takes_back_the_pictures_that_it_answers(line: Line) -> None:
    async with line.running():
        first = line.world.mention("ada", "@imagine_bot a red cube")
        second = line.world.mention("ada", "@imagine_bot a blue cube")
        await line.time.until(
            lambda: line.world.replies_to(first) and line.world.replies_to(second)
        )
        answer = line.world.replies_to(first)[0]
        line.world.reply("ada", "delete", to=str(answer.id))
        await line.time.until(lambda: ("done", "delete") in reasons(line))

    assert answer.is_deleted
    assert not line.world.replies_to(second)[0].is_deleted


async def test_delete_by_itself_takes_back_the_newest_pictures_of_that_person(line: Line) -> None:
    async with line.running():
        mine = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(mine))
        theirs = line.world.mention("bob", "@imagine_bot a blue cube")
        await line.time.until(lambda: line.world.replies_to(theirs))
        line.world.mention("ada", "@imagine_bot delete")
        line.world.mention("eve", "@imagine_bot delete")
        await line.time.until(lambda: ("done", "delete") in reasons(line))

    assert line.world.replies_to(mine)[0].is_deleted
    assert not line.world.replies_to(theirs)[0].is_deleted
    assert ("done", "nothing_to_delete") in reasons(line)
    assert line.world.calls.count(DELETE) == 1


async def test_a_deletion_that_a_restart_cuts_off_is_finished_by_the_next(line: Line) -> None:
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(post_id))
        line.world.fail(DELETE, Fault(kind="hang"))
        line.world.mention("ada", "@imagine_bot delete")
        await line.time.until(lambda: DELETE in line.world.calls)

    async with line.running():
        await line.time.until(lambda: ("done", "delete") in reasons(line))

    assert line.world.replies_to(post_id)[0].is_deleted


# --- fairness and limits


async def test_authors_take_turns_and_only_so_many_mentions_are_worked_on_at_once(
    line: Line,
) -> None:
    async with line.running(poll_interval_s=60.0, max_under_way=2) as now:
        now.desk.is_open.clear()
        for number in range(4):
            line.world.mention("ada", f"@imagine_bot ada {number}")
        line.world.mention("bob", "@imagine_bot bob 0")
        line.world.mention("eve", "@imagine_bot eve 0")
        await line.time.until(lambda: len(line.ledger.jobs) == 2)
        await line.time.for_hours(0.1)
        assert line.prompts == ["ada 0", "bob 0"]
        now.desk.is_open.set()
        await line.time.until(lambda: len(line.world.bot_posts()) == 6)

    assert line.prompts[:4] == ["ada 0", "bob 0", "eve 0", "ada 1"]


async def test_one_author_is_answered_only_so_often_in_one_conversation(line: Line) -> None:
    async with line.running(answers_per_conversation=2):
        root = line.world.mention("robot", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(root))
        line.world.reply("robot", "@imagine_bot a blue cube", to=root)
        third = line.world.reply("robot", "@imagine_bot a green cube", to=root)
        other = line.world.reply("bob", "@imagine_bot a grey cube", to=root)
        await line.time.until(lambda: line.world.replies_to(other))
        await line.time.for_hours(0.05)

    assert line.world.replies_to(third) == []
    assert ("ignored", "conversation_cap") in reasons(line)


async def test_a_mention_that_is_older_than_a_day_is_not_answered(line: Line) -> None:
    async with line.running():
        pass
    line.world.mention("ada", "@imagine_bot a red cube")
    line.time.now += timedelta(hours=25)
    async with line.running(give_up_after_s=A_DAY_S):
        fresh = line.world.mention("bob", "@imagine_bot a blue cube")
        await line.time.until(lambda: line.world.replies_to(fresh))

    assert reasons(line) == [("ignored", "too_old"), ("sent", None)]


# --- mistakes of ours


async def test_a_mention_that_cannot_be_taken_holds_up_no_others_and_is_given_up_in_the_end(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble(submission: Submission) -> Exception | None:
        return KeyError("a mistake") if "stumble" in submission.request.prompt else None

    line.ledger.stumble = stumble
    async with line.running():
        broken = line.world.mention("eve", "@imagine_bot stumble over this")
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(post_id))
        await line.time.until(lambda: reasons(line)[0] == ("dead", "mistake"))

    assert caplog.text.count(f"x mention failed root_id={broken}") == MAX_LOOKS


async def test_mentions_wait_unanswered_while_the_database_fails(line: Line) -> None:
    line.ledger.stumble = lambda _: UnavailableError("the store failed")
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.for_hours(0.1)
        assert line.world.bot_posts() == []
        line.ledger.stumble = lambda _: None
        await line.time.until(lambda: line.world.replies_to(post_id))


# --- money


async def test_when_the_days_money_is_used_up_the_rest_is_answered_the_next_day(
    line: Line,
) -> None:
    # The reserve of 0.30, who the account is, and two answers of 0.016.
    async with line.running(poll_interval_s=600.0, daily_usd=0.345):
        posts = [line.world.mention(f"p{n}", "@imagine_bot a red cube") for n in range(3)]
        await line.time.until(lambda: all(line.world.replies_to(post) for post in posts))

    days = [row.started_at.day for row in line.database.rows(select(x_attempts))]
    assert days == [9, 9, 10]
    assert all(micros <= 345_000 for micros in line.world.spend_micros.values())
