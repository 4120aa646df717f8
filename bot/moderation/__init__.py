"""Reads the words of a request before anything is drawn: drawn, drawn with care, or not.

Pure: text in, judgement out. No network, no clock, no log, and no platform's ways. What is
looked for stands in ``rules/*.toml``, with reasons; the code knows no word of it.
"""

from __future__ import annotations

from bot.moderation.moderator import Moderator
from bot.moderation.spelling import plain
from bot.moderation.verdicts import Judgement, Level, TextVerdict

__all__ = ["Judgement", "Level", "Moderator", "TextVerdict", "plain"]
