"""Fixtures for the stories: the real process against loopback servers.

``new_bot`` makes as many bots as a test wants, not started yet; ``running_bot`` is one that
all stories of a module share, because loading the model is the slow part. A module chooses
its settings by defining ``BOT_VARIABLES``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.support.bot_process import BotProcess
from tests.support.turns import compiled_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    NewBot = Callable[..., BotProcess]


@pytest.fixture(scope="module")
def new_bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewBot]:
    """Make a bot with these variables and data of its own; it ends with the module."""
    compiled = compiled_dir(tmp_path_factory)
    bots: list[BotProcess] = []

    def make(**variables: str) -> BotProcess:
        data_dir = tmp_path_factory.mktemp("bot")
        (data_dir / "compiled").symlink_to(compiled)
        bots.append(BotProcess(data_dir, variables))
        return bots[-1]

    yield make
    for bot in bots:
        bot.reap()


@pytest.fixture(scope="module")
def running_bot(request: pytest.FixtureRequest, new_bot: NewBot) -> BotProcess:
    """The bot that all stories of this module share."""
    module = request.module  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] # pytest's
    variables: dict[str, str] = vars(cast("ModuleType", module)).get("BOT_VARIABLES", {})
    bot = new_bot(**variables)
    bot.start()
    return bot
