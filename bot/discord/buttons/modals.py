"""The dialogs that some buttons open. What is typed into one is understood after a restart, too.

discord.py would remember each dialog until it is sent in. It does not here: like a button, a
dialog carries in its name all that is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import discord
from discord import ui

from engine.api import MAX_PROMPT_CHARS

if TYPE_CHECKING:
    from bot.discord.buttons.ids import Press
    from bot.discord.words import Words
    from engine.api import DrawRequest

MAX_PICTURES: Final = 9
MAX_REASON_CHARS: Final = 300

PROMPT, COUNT, REASON = "prompt", "count", "reason"


def remix_modal(press: Press, request: DrawRequest, words: Words) -> ui.Modal:
    """Asks for other words, beginning with those of ``request``, and how many pictures."""
    prompt = ui.TextInput[ui.Modal](
        custom_id=PROMPT,
        style=discord.TextStyle.paragraph,
        default=request.prompt,
        max_length=MAX_PROMPT_CHARS,
    )
    count = ui.Select[ui.Modal](
        custom_id=COUNT,
        options=[
            discord.SelectOption(label=str(n), value=str(n), default=n == request.picture_count)
            for n in range(1, MAX_PICTURES + 1)
        ],
    )
    return _modal(
        press,
        words.say("remix_title"),
        ui.Label(text=words.say("remix_prompt"), component=prompt),
        ui.Label(text=words.say("remix_count"), component=count),
    )


def report_modal(press: Press, words: Words) -> ui.Modal:
    """Asks what is wrong with pictures."""
    reason = ui.TextInput[ui.Modal](
        custom_id=REASON, style=discord.TextStyle.paragraph, max_length=MAX_REASON_CHARS
    )
    label = ui.Label[ui.Modal](text=words.say("report_reason"), component=reason)
    return _modal(press, words.say("report_title"), label)


def fields_of(data: Any) -> dict[str, str]:
    """Return what was typed and chosen, from the data of an interaction that sends a dialog."""
    inner = [component.get("component", {}) for component in data.get("components", ())]
    return {
        field["custom_id"]: field["value"] if "value" in field else "".join(field["values"][:1])
        for field in inner
        if "custom_id" in field
    }


def _modal(press: Press, title: str, *labels: ui.Label[ui.Modal]) -> ui.Modal:
    modal = ui.Modal(title=title, custom_id=press.custom_id)
    for label in labels:
        modal.add_item(label)
    modal.stop()  # so that discord.py does not wait for it
    return modal
