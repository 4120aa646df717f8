from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.discord.address import Address, address_from

ADDRESS = Address(
    application_id=2**63 - 1,
    token="secret",
    expires_at=datetime(2026, 6, 9, 12, 15, tzinfo=UTC),
    channel_id=2**62,
    user_id=42,
    may_post=True,
    filesize_limit_bytes=10_485_760,
    message_id=2**61,
    locale="pt-BR",
)


def test_an_address_comes_back_from_the_store_as_it_was() -> None:
    nowhere = replace(ADDRESS, channel_id=None, may_post=False)

    for address in (ADDRESS, nowhere):
        assert address_from(json.loads(json.dumps(address.to_json()))) == address


def test_an_address_that_an_older_version_stored_is_english_and_names_no_message() -> None:
    stored = ADDRESS.to_json()
    del stored["locale"], stored["message_id"]

    assert address_from(stored) == replace(ADDRESS, locale=None, message_id=None)


def test_a_token_is_left_alone_shortly_before_it_dies() -> None:
    assert ADDRESS.has_live_token(ADDRESS.expires_at - timedelta(seconds=61))
    assert not ADDRESS.has_live_token(ADDRESS.expires_at - timedelta(seconds=60))


def test_a_token_is_not_in_the_repr() -> None:
    assert "secret" not in repr(ADDRESS)
