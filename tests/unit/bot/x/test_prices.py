from __future__ import annotations

import pytest

from bot.settings import Settings
from bot.x.prices import Call, Prices


def test_a_table_changes_what_it_names_and_nothing_else() -> None:
    prices = Prices.parse("reply=0.02, alt_text=0")

    assert (prices.reply, prices.alt_text, prices.mention) == (20_000, 0, 1_000)


def test_the_default_setting_is_the_default_table() -> None:
    assert Prices.parse(Settings.model_fields["x_prices_usd"].default) == Prices()


@pytest.mark.parametrize("entry", ["reply", "reply=", "reply=cheap", "reply=-1", "coffee=1"])
def test_a_table_that_cannot_be_right_is_refused_with_a_sentence(entry: str) -> None:
    with pytest.raises(ValueError, match="X_PRICES_USD has") as caught:
        Prices.parse(f"mention=0.001 {entry}")

    assert str(caught.value) == (
        f"X_PRICES_USD has {entry!r}: write name=dollars with the names alt_text, delete, "
        "mention, own_post, post, reply, user."
    )


def test_a_cost_is_units_times_price() -> None:
    assert Prices().cost(Call.MENTION, 100).micros == 100_000
    assert Prices().cost(Call.REPLY, -1).micros == -10_000


def test_the_reserve_covers_one_full_page_of_each_kind_of_read() -> None:
    assert Prices().reserve_micros == 100 * 1_000 + 100 * 1_000 + 20 * 5_000
