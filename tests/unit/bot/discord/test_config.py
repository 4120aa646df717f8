from __future__ import annotations

import pytest

from bot.discord.config import DiscordConfig


@pytest.mark.parametrize("token", ["", " ", "a token", "to\nken", "tökén"])
def test_what_cannot_be_a_token_is_refused_with_a_sentence(token: str) -> None:
    with pytest.raises(ValueError, match="DISCORD_TOKEN") as caught:
        DiscordConfig(token=token)

    assert str(caught.value) == (
        "DISCORD_TOKEN is empty or no token: copy the bot token from "
        "discord.com/developers, your application, Bot, Reset Token."
    )


def test_the_real_discord_needs_only_a_token() -> None:
    config = DiscordConfig(token="a.b.c")

    assert (config.api_base, config.gateway_url) == (None, None)
    assert "a.b.c" not in repr(config)


def test_a_server_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="DISCORD_GATEWAY_URL may only point to this machine"):
        DiscordConfig(
            token="a.b.c",
            api_base="http://127.0.0.1:9000/api/v10",
            gateway_url="wss://gateway.example",
        )


def test_half_a_redirection_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="together") as caught:
        DiscordConfig(token="a.b.c", api_base="http://127.0.0.1:9000/api/v10")

    assert str(caught.value) == (
        "Set DISCORD_API_BASE and DISCORD_GATEWAY_URL together or neither: "
        "the bot would talk to two Discords at once."
    )
