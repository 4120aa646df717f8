"""Why there are no pictures, in the words and ways of Discord."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot import sentences
from bot.jobs import PlaceRefusedError

if TYPE_CHECKING:
    from datetime import datetime

    from bot.discord.words import Words


def reason(error: Exception, now: datetime, words: Words) -> str:
    """Put ``error`` into words; moments count down, and channels can be clicked."""
    if isinstance(error, PlaceRefusedError) and error.channels:
        return words.say("place_refused", channels=" ".join(f"<#{id_}>" for id_ in error.channels))
    return sentences.explain(error, now, when=sentences.discord_when, say=words.say)
