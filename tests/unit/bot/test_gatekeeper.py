from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bot.gatekeeper import WordGate, prompt_hash
from bot.jobs import ModeratedError, Platform
from bot.moderation import Level, Moderator
from bot.observer import Observers
from bot.store.house import Strike, StrikeLimit, Struck
from tests.support.clock import NOON, Clock
from tests.support.factories import person, submission

if TYPE_CHECKING:
    from bot.jobs import Gatekeeper
    from bot.observer import Observer

LIMIT = StrikeLimit(count=3, within=timedelta(days=1), block_for=timedelta(hours=24))
MODERATOR = Moderator()


class Notebook:
    """Keeps strikes in a list; every third one blocks."""

    def __init__(self) -> None:
        self.strikes: list[Strike] = []

    async def strike(self, strike: Strike, limit: StrikeLimit) -> Struck:
        if strike.event_id in {known.event_id for known in self.strikes}:
            return Struck(is_new=False)
        self.strikes.append(strike)
        is_one_too_many = len(self.strikes) % limit.count == 0
        until = strike.at + limit.block_for if is_one_too_many else None
        return Struck(is_new=True, blocked_until=until)


class Listener(Observers):
    """Writes down what it hears of words."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def judged(self, platform: Platform, *, level: str, verdict: str, code: str) -> None:
        self.heard.append(f"{platform} {level} {verdict} {code}".strip())

    def struck(self, platform: Platform, *, code: str, is_blocked: bool) -> None:
        self.heard.append(f"{platform} struck {code}{' and blocked' * is_blocked}")


def gate(
    notebook: Notebook | None = None,
    *,
    limit: StrikeLimit | None = LIMIT,
    level: Level = Level.STANDARD,
    observer: Observer | None = None,
) -> WordGate:
    return WordGate(
        moderator=MODERATOR,
        levels=dict.fromkeys(Platform, level) | {Platform.X: Level.STRICT},
        strikes=notebook or Notebook(),
        limit=limit,
        observer=observer,
        clock=Clock(),
    )


async def test_harmless_words_pass_as_they_are() -> None:
    asked = submission(prompt="pussy willow branches in a vase")
    gatekeeper: Gatekeeper = gate()

    assert await gatekeeper.admit(asked, level=None) is asked


async def test_delicate_words_pass_and_are_marked() -> None:
    asked = submission(prompt="a marble statue of a nude goddess")

    assert await gate().admit(asked, level=None) == replace(
        asked, is_soft=True, request=replace(asked.request, strict=True)
    )


async def test_a_strict_level_looks_strictly_at_pictures_of_all_words() -> None:
    asked = submission(prompt="a red cube")

    strict = await gate().admit(asked, level="strict")

    assert (strict.request.strict, strict.is_soft) == (True, False)


async def test_what_is_not_drawn_is_refused_with_its_code_and_no_strike_if_it_is_not_grave() -> (
    None
):
    notebook = Notebook()

    with pytest.raises(ModeratedError) as caught:
        await gate(notebook).admit(submission(prompt="dismembered limbs"), level=None)

    assert (caught.value.code, caught.value.is_grave) == ("gore", False)
    assert notebook.strikes == []


async def test_a_community_chooses_its_level_and_a_platform_has_its_own() -> None:
    asked = submission(prompt="dismembered limbs")
    on_x = submission(by=person(platform=Platform.X), prompt="a woman in a bikini")

    assert (await gate().admit(asked, level="relaxed")).is_soft
    assert (await gate().admit(on_x, level=None)).is_soft
    assert not (await gate().admit(replace(on_x, person=person()), level=None)).is_soft


async def test_grave_words_are_a_strike_that_holds_a_hash_and_not_the_words() -> None:
    notebook = Notebook()
    asked = submission(prompt="a child in lingerie", community="guild", event_id="e1")

    with pytest.raises(ModeratedError) as caught:
        await gate(notebook).admit(asked, level=None)

    assert caught.value.is_grave
    assert notebook.strikes == [
        Strike(
            person=asked.person,
            event_id="e1",
            community="guild",
            code="sexual_minor",
            prompt_hash=prompt_hash("a child in lingerie"),
            at=NOON,
        )
    ]


@pytest.mark.parametrize(
    ("limit", "platform"), [(None, Platform.DISCORD), (LIMIT, Platform.TERMINAL)]
)
async def test_nobody_is_struck_without_a_limit_or_at_the_terminal(
    limit: StrikeLimit | None, platform: Platform
) -> None:
    notebook = Notebook()
    asked = submission(by=person(platform=platform), prompt="a child in lingerie")

    with pytest.raises(ModeratedError):
        await gate(notebook, limit=limit).admit(asked, level=None)

    assert notebook.strikes == []


async def test_the_log_tells_code_level_and_hash_and_never_the_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gatekeeper = gate()
    with caplog.at_level(logging.DEBUG):
        for _ in range(LIMIT.count):
            with pytest.raises(ModeratedError):
                await gatekeeper.admit(submission(prompt="kill all jews"), level=None)
        await gatekeeper.admit(submission(prompt="a marble statue, naked"), level=None)

    told = [record.getMessage() for record in caplog.records]
    assert told[0] == (
        "prompt moderated platform=discord verdict=refuse code=hate level=standard "
        f"prompt_hash={prompt_hash('kill all jews')}"
    )
    assert told[3] == "person blocked platform=discord person=ada until=2026-06-10 12:00:00+00:00"
    assert not any(word in line for line in told for word in ("kill", "jews", "marble", "naked"))


def test_the_hash_of_words_is_the_same_however_they_are_written() -> None:
    assert prompt_hash("A  Red\u200b C\u00fcbe") == prompt_hash("a red cube")
    assert prompt_hash("a red cube") != prompt_hash("a red ball")
    assert len(prompt_hash("\ud800")) == 16  # half of a letter, as JSON can carry it


def test_the_gate_tells_its_levels() -> None:
    assert repr(gate()) == (
        "<WordGate discord standard, x strict, web standard, terminal standard>"
    )


async def test_whoever_counts_hears_of_each_judgement_and_of_each_new_strike() -> None:
    listener = Listener()
    gatekeeper = gate(observer=listener)
    grave = [submission(prompt="kill all jews", event_id=f"e{n}") for n in (1, 2, 2, 3)]

    await gatekeeper.admit(submission(prompt="a red cube"), level="strict")
    await gatekeeper.admit(submission(prompt="a marble statue, naked"), level=None)
    for asked in grave:
        with pytest.raises(ModeratedError):
            await gatekeeper.admit(asked, level=None)

    assert listener.heard == [
        "discord strict allow",
        "discord standard soft nudity",
        "discord standard refuse hate",
        "discord struck hate",
        "discord standard refuse hate",
        "discord struck hate",
        "discord standard refuse hate",
        "discord standard refuse hate",
        "discord struck hate and blocked",
    ]
