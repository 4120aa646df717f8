"""What a message says of a job that is not done, in words, with a first look, with a way out."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import discord

from bot import sentences
from bot.discord.buttons.ids import Press, Verb
from bot.discord.cards import progress_card
from engine.api import Drawing, Preview, Queued

if TYPE_CHECKING:
    from datetime import datetime

    from bot.discord.address import Address
    from bot.discord.words import Words
    from bot.jobs import JobId

# A countdown that has run out before it is read says nothing.
LEAST_ETA_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is shown of a job.

    Attributes:
        preview: A WebP of what is there of its pictures, if anything is.
        press: What its button does.
    """

    text: str
    press: Press
    preview: bytes | None = field(default=None, repr=False)


def state_of(
    job_id: JobId,
    event: Queued | Drawing | Preview,
    words: Words,
    *,
    now: datetime,
    before: State | None,
) -> State:
    """Return what to show after ``event``; a preview stays until there is a newer one."""
    earlier = before.preview if before else None
    return State(
        text=_text(event, words, now),
        press=Press(verb=Verb.CANCEL, job_id=job_id),
        preview=event.picture if isinstance(event, Preview) else earlier,
    )


def farewell_of(job_id: JobId, address: Address, words: Words) -> State:
    """Return the last that can be shown: how the pictures will come when they are done."""
    if address.may_post and address.channel_id is not None:
        cancel = Press(verb=Verb.CANCEL, job_id=job_id)
        return State(text=words.say("progress_farewell_post"), press=cancel)
    fetch = Press(verb=Verb.FETCH, job_id=job_id)
    return State(text=words.say("progress_farewell_fetch"), press=fetch)


def composed(state: State, words: Words) -> tuple[discord.ui.LayoutView, list[discord.File]]:
    """Return the message that shows ``state``."""
    if state.preview is None:
        return progress_card(state.text, words, state.press), []
    file = discord.File(io.BytesIO(state.preview), "preview.webp")
    return progress_card(state.text, words, state.press, preview=file), [file]


def _text(event: Queued | Drawing | Preview, words: Words, now: datetime) -> str:
    said = _progress(event, words)
    eta_s = None if isinstance(event, Preview) else event.eta_s
    if eta_s is None or eta_s < LEAST_ETA_S:
        return said
    when = sentences.discord_when(now + timedelta(seconds=eta_s))
    return words.say("progress_ready", progress=said, when=when)


def _progress(event: Queued | Drawing | Preview, words: Words) -> str:
    if not isinstance(event, Queued):
        return words.say("progress_drawing", percent=round(100 * event.fraction))
    if event.pictures_ahead == 0:
        return words.say("progress_next")
    return words.say("progress_waiting", count=event.pictures_ahead)
