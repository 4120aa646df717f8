"""Names and descriptions of commands, from the catalogue, in every language.

The keys in the catalogue are ``command_<name>`` for a name and ``command_<name>_about`` for
its description, and the same with ``option_``; a subcommand's name holds its group's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from discord import app_commands
from discord.app_commands import locale_str

from bot.discord.words import ENGLISH, LANGUAGE_OF, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import discord

T = TypeVar("T")


class Named(TypedDict):
    """The arguments that name a command."""

    name: locale_str
    description: locale_str


class CatalogueTranslator(app_commands.Translator):
    """Gives discord.py the names in the languages of the catalogue."""

    async def translate(
        self,
        string: locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContextTypes,  # noqa: ARG002 - the key says enough
    ) -> str | None:
        """Return the text in that language; ``None`` where Discord shows the English one."""
        language = LANGUAGE_OF.get(locale.value, ENGLISH)
        key = string.extras.get("key")
        if key is None or language == ENGLISH:
            return None
        return words_of(language).say(key)


def told(key: str) -> locale_str:
    """Return the phrase ``key``, to be translated."""
    return locale_str(words_of(ENGLISH).say(key), key=key)


def named(name: str) -> Named:
    """Return name and description of the command ``name``, in the catalogue's spelling."""
    return Named(name=told(f"command_{name}"), description=told(f"command_{name}_about"))


def options(*names: str, **renamed: str) -> Callable[[T], T]:
    """Name and describe the parameters of a callback.

    Args:
        names: Parameters that are called as in the catalogue.
        renamed: The names in the catalogue of the others.
    """
    keys = {**{name: name for name in names}, **renamed}

    def decorate(callback: T) -> T:
        shown: dict[str, Any] = {name: told(f"option_{key}") for name, key in keys.items()}
        about: dict[str, Any] = {name: told(f"option_{key}_about") for name, key in keys.items()}
        return app_commands.describe(**about)(app_commands.rename(**shown)(callback))

    return decorate


def choices_of(kind: str, values: Iterable[str]) -> list[app_commands.Choice[str]]:
    """Return choices whose names are the phrases ``<kind>_<value>``."""
    return [app_commands.Choice(name=told(f"{kind}_{value}"), value=value) for value in values]
