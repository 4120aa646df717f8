"""The tables of X on the real SQLite: legal moves, unique attempts, whole transactions."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any, cast

import pytest

from bot.store import Store, StoreError
from bot.store.x_pruning import old_query
from bot.store.x_statements import MENTION, NEXT_SEEN, IllegalMentionMoveError
from bot.store.x_states import (
    LEGAL_MOVES,
    OPEN,
    Cost,
    Gap,
    MentionState,
    NewMention,
)
from bot.store.x_tables import x_mentions
from tests.support.clock import NOON
from tests.support.inline_database import InlineDatabase

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.store.database import Database

FREE = Cost(call="reply", unit_count=0, unit_micros=0)
PRICE = Cost(call="reply", unit_count=1, unit_micros=10_000)
TOMORROW = NOON + timedelta(days=1)


def new(root_id: int = 7, *, latest_id: int | None = None, author: str = "ada", **more: Any) -> Any:
    fields: dict[str, Any] = {
        "root_id": root_id,
        "latest_id": latest_id or root_id,
        "author_id": author,
        "conversation_id": "7",
        "answers_id": None,
        "prompt": "a cube",
        "command": None,
        "ignored_because": None,
    }
    return NewMention(**fields | more)


async def keep(store: Store, *mentions: NewMention) -> int:
    gap = Gap(lo_id=0, hi_id=max(mention.root_id for mention in mentions))
    return await store.x.timeline.keep_page(mentions, gap, FREE, is_last=True, now=NOON)


async def put(database: Database, root_id: int, state: MentionState) -> None:
    async def use_case(connection: AsyncConnection) -> None:
        await connection.execute(
            x_mentions.update().where(x_mentions.c.root_id == root_id).values(state=state)
        )

    await database.write(use_case)


async def begin(store: Store, root_id: int = 7, **changes: Any) -> Any:
    options: dict[str, Any] = {"give_up_at": TOMORROW, "limit_micros": 0, "now": NOON}
    return await store.x.attempts.begin(root_id, "Here.", PRICE, **options | changes)


async def test_a_mention_moves_only_where_the_table_lets_it() -> None:
    database = InlineDatabase()  # there are many pairs
    store = Store(cast("Database", database))
    for root_id, (source, to) in enumerate(product(MentionState, MentionState)):
        await keep(store, new(root_id))
        await put(cast("Database", database), root_id, source)
        with suppress(IllegalMentionMoveError):
            await store.x.mentions.decide(root_id, to, now=NOON)
        moved = await store.x.mentions.mention(root_id)
        assert moved is not None
        assert moved.state is (to if to in LEGAL_MOVES[source] else source), (source, to)
    database.close()


def test_a_final_state_leads_nowhere_and_an_open_one_leads_to_one() -> None:
    for state in MentionState:
        assert bool(LEGAL_MOVES[state]) == (state in OPEN)


async def test_a_mention_that_is_done_with_forgets_its_words(store: Store) -> None:
    await keep(store, new())
    await store.x.mentions.decide(7, MentionState.SAYING, now=NOON, sentence="No.")
    await store.x.mentions.decide(7, MentionState.EXPIRED, now=NOON)

    done = await store.x.mentions.mention(7)

    assert done is not None
    assert (done.prompt, done.sentence) == ("", None)


async def test_a_mention_is_stored_once_and_an_edit_changes_what_nobody_has_read(
    store: Store,
) -> None:
    assert await keep(store, new(7), new(8, author="bob")) == 2
    assert await keep(store, new(7, latest_id=9, prompt="a red cube")) == 0
    await store.x.mentions.begin_drawing(7, now=NOON)
    assert await keep(store, new(7, latest_id=10, prompt="a blue cube")) == 0

    mention = await store.x.mentions.mention(7)

    assert mention is not None
    assert (mention.latest_id, mention.prompt) == (10, "a red cube")


async def test_the_cursor_moves_only_with_the_last_page_and_never_back(store: Store) -> None:
    await store.x.timeline.begin_reading(5, FREE, now=NOON)
    gap = Gap(lo_id=5, hi_id=100, next_until_id=50, read_count=50)

    await store.x.timeline.keep_page([new(60)], gap, FREE, is_last=False, now=NOON)
    half = await store.x.timeline.reading()
    await store.x.timeline.keep_page([new(20)], gap, FREE, is_last=True, now=NOON)
    whole = await store.x.timeline.reading()
    await store.x.timeline.keep_page(
        [new(30)], Gap(lo_id=5, hi_id=30), FREE, is_last=True, now=NOON
    )
    after = await store.x.timeline.reading()

    assert (half.cursor, half.gap, half.floor) == (5, gap, 5)
    assert (whole.cursor, whole.gap) == (100, None)
    assert after.cursor == 100


async def test_an_attempt_is_begun_once(store: Store) -> None:
    await keep(store, new())
    await store.x.mentions.begin_drawing(7, now=NOON)

    assert (await begin(store)).is_begun
    assert not (await begin(store)).is_begun
    assert await store.x.money.spent_micros(NOON.date()) == 10_000


async def test_the_database_refuses_a_second_attempt_even_if_the_state_would_let_it(
    database: Database, store: Store
) -> None:
    await keep(store, new())
    await store.x.mentions.begin_drawing(7, now=NOON)
    await begin(store)
    await put(database, 7, MentionState.DRAWING)

    with pytest.raises(StoreError):
        await begin(store)

    mention = await store.x.mentions.mention(7)
    assert mention is not None
    assert mention.attempt is not None
    assert (mention.state, mention.attempt.number) == (MentionState.DRAWING, 1)
    assert await store.x.money.spent_micros(NOON.date()) == 10_000


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"give_up_at": NOON}, MentionState.EXPIRED),
        ({"limit_micros": 9_999}, MentionState.DRAWING),
    ],
)
async def test_an_attempt_that_may_not_be_costs_nothing(
    store: Store, changes: dict[str, Any], state: MentionState
) -> None:
    await keep(store, new())
    await store.x.mentions.begin_drawing(7, now=NOON)

    begun = await begin(store, **changes)

    mention = await store.x.mentions.mention(7)
    assert mention is not None
    assert (begun.is_begun, mention.state, mention.attempt) == (False, state, None)
    assert begun.is_over_budget == ("limit_micros" in changes)
    assert await store.x.money.spent_micros(NOON.date()) == 0


async def test_nothing_of_a_person_who_said_stop_is_begun(store: Store) -> None:
    await keep(store, new(7), new(8), new(9, author="bob"))
    await store.x.mentions.begin_drawing(7, now=NOON)
    await store.x.mentions.begin_drawing(9, now=NOON)
    await store.x.people.opt_out(8, "ada", now=NOON)

    assert not (await begin(store, 7)).is_begun
    assert (await begin(store, 9)).is_begun
    assert await store.x.mentions.state_counts() == {"opted_out": 1, "done": 1, "posting": 1}


async def test_what_x_did_not_take_is_not_paid(store: Store) -> None:
    await keep(store, new())
    await store.x.mentions.begin_drawing(7, now=NOON)
    await begin(store)

    refund = Cost(call="reply", unit_count=-1, unit_micros=10_000)
    await store.x.attempts.withdraw(7, refund, now=NOON)

    assert await store.x.money.spent_micros(NOON.date()) == 0
    assert (await begin(store)).is_begun


@pytest.mark.parametrize("any_database_url", ["sqlite"], indirect=True)
async def test_the_statements_asked_again_and_again_use_an_index(
    database: Database, store: Store
) -> None:
    await keep(store, new())

    async def plan(connection: AsyncConnection, query: Any, **values: Any) -> list[str]:
        compiled = query.params(**values).compile(
            dialect=connection.dialect, compile_kwargs={"literal_binds": True}
        )
        rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")
        return [row.detail for row in rows]

    one = await database.read(lambda connection: plan(connection, MENTION, root_id=7))
    some = await database.read(
        lambda connection: plan(connection, NEXT_SEEN, room=3, now=NOON, recent=NOON)
    )

    old = await database.read(lambda connection: plan(connection, old_query(NOON)))

    assert not [step for step in (*one, *some) if step.startswith("SCAN x_")]
    assert any("ix_x_mentions_state" in step for step in some)
    assert not [step for step in old if step.startswith(("SCAN x_mentions", "SCAN jobs"))]
