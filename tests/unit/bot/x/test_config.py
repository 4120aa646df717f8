from __future__ import annotations

from dataclasses import replace

import pytest

from bot.x.config import XConfig

CONFIG = XConfig(
    api_key="key-1", api_secret="secret-1", access_token="token-1", access_token_secret="secret-2"
)


def test_keys_do_not_appear_when_the_config_is_printed() -> None:
    assert all(key not in repr(CONFIG) for key in ("key-1", "secret-1", "token-1", "secret-2"))


def test_another_server_must_be_on_this_machine() -> None:
    assert replace(CONFIG, api_base="http://127.0.0.1:9000").api_base == "http://127.0.0.1:9000"

    with pytest.raises(ValueError, match=r"^X_API_BASE may only point to this machine"):
        replace(CONFIG, api_base="https://x.example.com")
