"""How long signs of life took is heard, in time or not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from bot.discord.intake import acknowledge

if TYPE_CHECKING:
    import discord


class Heard:
    def __init__(self) -> None:
        self.is_in_time: list[bool] = []
        self.durations_s: list[float] = []

    def acknowledged(self, duration_s: float, *, is_in_time: bool) -> None:
        self.durations_s.append(duration_s)
        self.is_in_time.append(is_in_time)


class Client:
    def __init__(self) -> None:
        self.heard = Heard()


class Interaction:
    """What ``acknowledge`` uses of discord.py's: itself the response, and its own client."""

    id = 7

    def __init__(self, *, refused_with: BaseException | None = None) -> None:
        self.client = Client()
        self.response = self
        self._refused_with = refused_with

    async def defer(self, **_: Any) -> None:
        await asyncio.sleep(0)
        if self._refused_with is not None:
            raise self._refused_with

    def as_discords(self) -> discord.Interaction[Any]:
        return cast("discord.Interaction[Any]", self)


async def test_an_acknowledgement_is_heard_with_what_it_took() -> None:
    interaction = Interaction()

    assert await acknowledge(interaction.as_discords())

    heard = interaction.client.heard
    assert heard.is_in_time == [True]
    assert 0 <= heard.durations_s[0] < 2.75


async def test_one_that_discord_lets_go_is_heard_too() -> None:
    interaction = Interaction(refused_with=TimeoutError())

    assert not await acknowledge(interaction.as_discords())

    assert interaction.client.heard.is_in_time == [False]


async def test_one_that_is_cancelled_is_heard_as_not_in_time() -> None:
    interaction = Interaction(refused_with=asyncio.CancelledError())

    with pytest.raises(asyncio.CancelledError):
        await acknowledge(interaction.as_discords())

    assert interaction.client.heard.is_in_time == [False]
