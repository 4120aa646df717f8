"""Reading mentions: pages, gaps, the wall, fields, pace; with the real tweepy."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from bot.store.x_tables import x_gaps, x_mentions
from bot.x.adapter import XAdapter
from tests.support.clock import NOON
from tests.support.x_desk import Desk
from tests.support.x_line import x_config
from tests.support.x_world import MENTIONS, SEARCH, Fault

if TYPE_CHECKING:
    import pytest

    from tests.support.x_line import Line


async def test_mentions_from_before_the_first_start_are_not_answered(line: Line) -> None:
    line.world.mention("ada", "@imagine_bot an old wish")

    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot a new wish")
        await line.time.until(lambda: line.world.replies_to(post_id))

    assert line.prompts == ["a new wish"]


async def test_mentions_made_while_the_bot_was_down_are_all_answered_oldest_first(
    line: Line,
) -> None:
    async with line.running():
        pass
    for number in range(150):
        line.world.mention(f"person{number}", f"@imagine_bot cube number {number}")

    async with line.running(max_under_way=200) as now:
        now.desk.is_open.clear()
        await line.time.until(lambda: len(line.ledger.jobs) == 150)

    assert line.prompts == [f"cube number {number}" for number in range(150)]


async def test_a_walk_that_a_death_cuts_off_goes_on_where_it_was(line: Line) -> None:
    async with line.running():
        pass
    for number in range(250):
        line.world.mention(f"person{number}", f"@imagine_bot cube number {number}")
    line.world.limits[MENTIONS] = line.world.calls.count(MENTIONS) + 1
    adapter = new_adapter(line)
    await adapter.start()
    await line.time.until(lambda: line.has_noted_limit("mentions"))  # before the second page
    await adapter.close()
    assert all_stored(line, 100)
    (gap,) = line.database.rows(select(x_gaps))
    line.world.limits[MENTIONS] = 300  # when the window is over

    async with line.running(max_under_way=0):
        await line.time.until(lambda: all_stored(line, 250))

    assert gap.read_count == 100
    assert line.database.rows(select(x_gaps)) == []
    assert sum(line.world.spend_micros.values()) == 250 * 1_000 + 3 * 10_000  # nothing read twice


def new_adapter(line: Line) -> XAdapter:
    store = line.store
    desk = Desk(line.ledger, clock=line.time, sleep=line.time.sleep)
    config = x_config(line.server, max_under_way=0)
    return XAdapter(config, desk, store, store.x, clock=line.time, sleep=line.time.sleep)


def all_stored(line: Line, count: int) -> bool:
    return len(line.database.rows(select(x_mentions.c.root_id))) == count


async def test_mentions_beyond_what_the_timeline_reaches_are_searched_for(line: Line) -> None:
    line.world.reachable_count = 120
    async with line.running():
        pass
    for number in range(150):
        line.world.mention(f"person{number}", f"@imagine_bot cube number {number}")

    async with line.running(reachable_count=110, max_under_way=0):
        await line.time.until(lambda: all_stored(line, 150))

    assert line.world.calls.count(SEARCH) == 2


async def test_mentions_that_even_the_search_does_not_show_are_told_in_the_log(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    line.world.reachable_count = 20
    async with line.running():
        pass
    for number in range(30):
        line.world.mention(f"person{number}", f"@imagine_bot cube number {number}")
    line.world.fail(SEARCH, Fault(kind="answer", status=400, detail="not for you"))

    async with line.running(reachable_count=15, max_under_way=0):
        await line.time.until(lambda: all_stored(line, 20))
        last = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: all_stored(line, 21))
        await line.time.until(lambda: not line.database.rows(select(x_gaps)))

    assert "x mentions lost since_id=" in caplog.text
    assert line.database.rows(select(x_gaps)) == []
    assert last in {str(row.root_id) for row in line.database.rows(select(x_mentions.c.root_id))}


async def test_a_mention_that_x_shows_after_a_younger_one_is_answered(line: Line) -> None:
    async with line.running():
        late = line.world.mention("ada", "@imagine_bot a red cube", lag_s=40.0)
        early = line.world.mention("bob", "@imagine_bot a blue cube")
        await line.time.until(lambda: line.world.replies_to(early))
        await line.time.until(lambda: line.world.replies_to(late))

    assert line.prompts == ["a blue cube", "a red cube"]


async def test_names_that_x_inserts_own_posts_tags_and_retweets_are_stored_and_ignored(
    line: Line,
) -> None:
    async with line.running(ignored_ids=frozenset({line.world.user_id("robot")})):
        first = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(first))
        answer = line.world.replies_to(first)[0]
        line.world.reply("bob", "thanks, nice", to=str(answer.id))
        line.world.retweet("eve", first)
        line.world.tag_in_photo("eve", "look")
        line.world.mention("robot", "@imagine_bot hello, fellow robot")
        last = line.world.mention("ada", "@imagine_bot a blue cube")
        await line.time.until(lambda: line.world.replies_to(last))
        await line.time.for_hours(0.05)

    assert line.prompts == ["a red cube", "a blue cube"]
    reasons = [row.reason for row in line.database.rows(select(x_mentions.c.reason))]
    assert reasons == [None, "implicit", "retweet", "implicit", "known_bot", None]


async def test_nothing_is_answered_while_posts_arrive_without_a_needed_field(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    async with line.running():
        line.world.withheld = {"display_text_range"}
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.for_hours(0.1)
        assert line.ledger.jobs == {}
        line.world.withheld = set()
        await line.time.until(lambda: line.world.replies_to(post_id))

    assert "x answers nothing because posts arrive without a field" in caplog.text


async def test_the_newer_names_of_the_fields_are_understood(line: Line) -> None:
    line.world.uses_new_names = True
    async with line.running():
        first = line.world.mention("ada", "@imagine_bot a red cube")
        line.world.reply("bob", "nice idea", to=first)
        called = line.world.reply("eve", "@imagine_bot a blue cube", to=first)
        await line.time.until(lambda: line.world.replies_to(called))

    assert line.prompts == ["a red cube", "a blue cube"]


async def test_a_rate_limit_without_a_reset_time_is_no_hot_loop(line: Line) -> None:
    async with line.running(poll_interval_s=3600.0):
        line.world.fail(MENTIONS, *[Fault(kind="answer", status=429, detail="slow down")] * 5)
        line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.ledger.jobs)

    assert line.time.now - NOON >= timedelta(hours=1, minutes=5)


async def test_the_pace_follows_what_x_allows(line: Line) -> None:
    line.world.limits[MENTIONS] = 10  # as on the old Basic plan
    async with line.running(poll_interval_s=5.0):
        call_count = line.world.calls.count(MENTIONS)
        await line.time.for_hours(0.5)

    assert 15 <= line.world.calls.count(MENTIONS) - call_count <= 20


async def test_after_a_full_page_the_next_look_comes_sooner(line: Line) -> None:
    async with line.running(poll_interval_s=600.0, max_under_way=0):
        for number in range(100):
            line.world.mention(f"person{number}", "@imagine_bot a cube")
        await line.time.until(lambda: all_stored(line, 100))
        started, call_count = line.time.now, line.world.calls.count(MENTIONS)
        await line.time.until(lambda: line.world.calls.count(MENTIONS) > call_count)

    assert line.time.now - started < timedelta(seconds=10)


async def test_a_look_that_finds_nothing_new_costs_nothing_and_writes_nothing(line: Line) -> None:
    async with line.running():
        post_id = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(post_id))
        await line.time.for_hours(0.05)
        spent = await line.store.x.money.spent_micros(line.time.now.date())
        await line.time.for_hours(0.5)
        assert await line.store.x.money.spent_micros(line.time.now.date()) == spent

    # Who the account is, one mention, the alt text, the reply.
    assert spent == 10_000 + 1_000 + 5_000 + 10_000
    assert sum(line.world.spend_micros.values()) == spent


async def test_a_quote_is_answered_if_its_own_words_name_the_bot(line: Line) -> None:
    async with line.running(poll_interval_s=60.0):
        asked = line.world.mention("ada", "@imagine_bot a red cube")
        await line.time.until(lambda: line.world.replies_to(asked))
        answer = str(line.world.replies_to(asked)[0].id)
        line.world.quote("bob", "look what I have found", of=asked)
        line.world.quote("bob", "what a cube", of=answer)
        named = line.world.quote("eve", "@imagine_bot the same in blue", of=answer)
        await line.time.until(lambda: line.world.replies_to(named))

    assert line.prompts == ["a red cube", "the same in blue"]
    reasons = [row.reason for row in line.database.rows(select(x_mentions.c.reason))]
    assert reasons == [None, "implicit", None]


async def test_mentions_of_protected_and_suspended_people_are_answered_once_x_shows_them(
    line: Line,
) -> None:
    async with line.running(poll_interval_s=60.0):
        line.world.protected.add("ada")
        line.world.suspended.add("eve")
        hidden = line.world.mention("ada", "@imagine_bot a red cube")
        gone = line.world.mention("eve", "@imagine_bot a grey cube")
        await line.time.for_hours(0.05)
        assert line.database.rows(select(x_mentions.c.root_id)) == []

        line.world.protected.clear()
        other = line.world.mention("bob", "@imagine_bot a blue cube")
        await line.time.until(lambda: line.world.replies_to(other))

    assert len(line.world.replies_to(hidden)) == 1
    assert line.world.replies_to(gone) == []
