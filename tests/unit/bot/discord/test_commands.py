from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
import pytest
from discord import app_commands

from bot.desk import CommunityRules, Profile
from bot.discord.adapter import DiscordAdapter
from bot.discord.commands.admin import with_channel, with_tier
from bot.discord.commands.imagine import MAX_PICTURES, MAX_WORDS_CHARS
from bot.discord.commands.naming import CatalogueTranslator
from bot.discord.commands.own import changed
from bot.discord.commands.privacy import FILE, file_of
from bot.discord.config import DiscordConfig
from bot.discord.styles import STYLES, styled
from bot.discord.words import ENGLISH, LANGUAGE_OF, words_of
from engine.api import (
    MAX_PROMPT_CHARS,
    MAX_SEED,
    DrawRequest,
    InvalidRequestError,
    SamplingOptions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    Told = dict[str, Any]

NO: Any = None


@pytest.fixture
async def tree() -> app_commands.CommandTree[Any]:
    adapter = DiscordAdapter(
        DiscordConfig(token="a.b.c"), service=NO, cursors=NO, studio=NO, desk=NO
    )
    return adapter._client.tree  # pyright: ignore[reportPrivateUsage]


async def told(tree: app_commands.CommandTree[Any]) -> list[Told]:
    """What Discord is told of the commands."""
    return [
        await command.get_translated_payload(tree, CatalogueTranslator())
        for command in tree.get_commands()
    ]


def with_parts(command: Told) -> Iterator[Told]:
    yield command
    for part in command.get("options", ()):
        yield from with_parts(part)


async def test_all_commands_are_there_and_at_most_five_of_a_menu(
    tree: app_commands.CommandTree[Any],
) -> None:
    commands = await told(tree)

    assert {command["name"] for command in commands if command["type"] == 1} == {
        "imagine",
        "quota",
        "queue",
        "cancel",
        "history",
        "show",
        "settings",
        "help",
        "privacy",
        "imagine-admin",
    }
    assert sum(command["type"] == 3 for command in commands) <= 5


async def test_every_name_and_description_is_told_in_every_language(
    tree: app_commands.CommandTree[Any],
) -> None:
    locales = {locale for locale, language in LANGUAGE_OF.items() if language != ENGLISH}
    for command in await told(tree):
        for part in with_parts(command):
            assert part["name_localizations"].keys() == locales, part["name"]
            if part.get("description"):
                assert part["description_localizations"].keys() == locales, part["name"]


async def test_names_of_one_level_differ_in_every_language(
    tree: app_commands.CommandTree[Any],
) -> None:
    def check(level: list[Told]) -> None:
        for locale in LANGUAGE_OF:
            names = [part["name_localizations"].get(locale, part["name"]) for part in level]
            assert len(set(names)) == len(names), (locale, names)
        for part in level:
            check(part.get("options", []))

    commands = await told(tree)
    check([command for command in commands if command["type"] == 1])
    check([command for command in commands if command["type"] == 3])


async def test_a_command_is_not_longer_than_discord_allows(
    tree: app_commands.CommandTree[Any],
) -> None:
    # Source: Discord API documentation, "Application Commands", Limits: names, descriptions
    # and values of a command, each in its longest language.
    def chars(part: Told) -> int:
        count = 0
        for field in ("name", "description"):
            texts = [part.get(field, ""), *part.get(f"{field}_localizations", {}).values()]
            count += max(map(len, texts))
        choices = part.get("choices", [])
        count += sum(len(choice["name"]) + len(str(choice["value"])) for choice in choices)
        return count + sum(chars(inner) for inner in part.get("options", []))

    for command in await told(tree):
        assert chars(command) <= 8_000, command["name"]
        assert len(command.get("options", [])) <= 25


async def test_the_options_of_imagine_allow_exactly_what_the_engine_does(
    tree: app_commands.CommandTree[Any],
) -> None:
    [imagine] = [command for command in await told(tree) if command["name"] == "imagine"]
    bounds = {
        option["name"]: (option["min_value"], option["max_value"])
        for option in imagine["options"]
        if "min_value" in option
    }

    assert bounds.pop("pictures") == (1, MAX_PICTURES)
    assert bounds.pop("seed") == (0, MAX_SEED)
    assert bounds.keys() == {"temperature", "top_k", "top_p", "condition_scale"}
    for name, (low, high) in bounds.items():
        SamplingOptions(**{name: low})
        SamplingOptions(**{name: high})
        for outside in (low - 0.001, high + 0.001):
            with pytest.raises(InvalidRequestError):
                SamplingOptions(**{name: outside})


async def test_a_name_that_is_no_phrase_stays_as_it_is() -> None:
    translator = CatalogueTranslator()
    context: Any = None

    assert (
        await translator.translate(app_commands.locale_str("x"), discord.Locale.german, context)
        is None
    )


# ------------------------------------------------------------------------- pure parts


@pytest.mark.parametrize("style", STYLES)
def test_every_style_has_a_name_and_fits_behind_the_longest_prompt(style: str) -> None:
    prompt = styled("a" * MAX_WORDS_CHARS, style)

    assert DrawRequest(prompt=prompt).prompt.endswith(STYLES[style])
    assert len(prompt) <= MAX_PROMPT_CHARS
    assert words_of(ENGLISH).say(f"style_{style}")


@pytest.mark.parametrize("style", [None, "none", "a style of another version"])
def test_without_a_style_that_there_is_a_prompt_stays_as_it_is(style: str | None) -> None:
    assert styled(" a cat", style) == " a cat"


def test_settings_change_what_is_named_and_nothing_else() -> None:
    before = Profile(picture_count=3, style="oil", language="de", may_dm=True)

    def after(**chosen: Any) -> Profile:
        names = ("pictures", "style", "language", "direct_messages", "spoiler")
        every: Any = dict.fromkeys(names) | chosen
        return changed(before, **every)

    assert after() == before
    assert after(style="none", language="auto") == Profile(picture_count=3, may_dm=True)
    assert after(direct_messages=False, spoiler=True, pictures=1) == Profile(
        picture_count=1, style="oil", language="de", spoiler=True
    )


def test_a_role_has_one_tier_or_none() -> None:
    rules = with_tier(CommunityRules(role_tiers={"1": "gold"}), "2", "lead")

    assert with_tier(rules, "1", "lead").role_tiers == {"1": "lead", "2": "lead"}
    assert with_tier(rules, "1", None).role_tiers == {"2": "lead"}
    assert with_tier(rules, "3", None) == rules


def test_a_channel_is_in_the_list_once_or_not_at_all() -> None:
    rules = with_channel(CommunityRules(channels=("1",)), "2", allowed=True)

    assert with_channel(rules, "1", allowed=True).channels == ("2", "1")
    assert with_channel(rules, "1", allowed=False).channels == ("2",)
    assert with_channel(rules, "3", allowed=False) == rules


def test_an_export_is_packed_where_it_is_too_big_and_given_up_where_that_is_too() -> None:
    kept = {"prompt": "a cat " * 1_000}

    assert file_of({"ä": 1}, limit_bytes=100) == (FILE, '{\n "ä": 1\n}'.encode())
    name, packed = file_of(kept, limit_bytes=1_000)
    assert (name, packed[:2]) == (f"{FILE}.gz", b"\x1f\x8b")
    assert file_of(kept, limit_bytes=10) == (f"{FILE}.gz", b"")
