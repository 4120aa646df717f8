"""What a message of the bot looks like.

Every message is of Discord's second kind of components (a ``LayoutView``): such a message
can never become a plain one again, so a plain progress text would rule out the card, and
after the card a plain apology.

A card of pictures, in 40 components and 4000 characters at most: what was asked for, the
pictures, and under them what can be done with them. One picture has buttons for that; where
there are several, a menu asks which::

    1 picture                                   2 to 10 pictures
    [Upscale][Variations][Redraw][Remix]        [Upscale a picture…                 v]
    [Save to DM][Hide][Report][Delete]          [Variations of a picture…           v]
                                                [Redraw][Remix][Save to DM]
                                                [Hide][Report][Delete]
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import discord
from discord import ui

from bot.discord.buttons.control import button, menu, row_of
from bot.discord.buttons.ids import Press, Verb, press_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.discord.buttons.control import Control
    from bot.discord.files import Upload
    from bot.discord.words import Words
    from bot.jobs import Job, JobId
    from bot.store import Past
    from engine.api import Drawn

Layout = ui.LayoutView

ACCENT: Final = discord.Colour.from_str("#f2a93b")
MAX_MODEL_CHARS: Final = 80

_MOMENT: Final = re.compile(r"<t:\d+:R>")
_MARKDOWN: Final = re.compile(r"([\\`*_~|<>\[\]()#:@-])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a card says of a job's pictures, beside showing them.

    Attributes:
        picture_count: How many there are; fewer may have fitted into the message.
        withheld_count: How many were drawn and are not shown to anybody.
        model: What drew them, and ``drawn_in_s`` how long it took, where that is known.
        as_grid: Whether they are all in one picture.
    """

    job_id: JobId
    prompt: str
    seed: int
    picture_count: int
    withheld_count: int = 0
    model: str = ""
    drawn_in_s: int | None = None
    as_grid: bool = False


def result_of(job: Job, drawn: Drawn, *, as_grid: bool) -> Result:
    """Return what a card says of what was just drawn."""
    timings = drawn.timings
    return Result(
        job_id=job.id,
        prompt=job.submission.request.prompt,
        seed=drawn.seed,
        picture_count=len(drawn.pictures),
        withheld_count=drawn.withheld_count,
        model=drawn.model,
        drawn_in_s=math.ceil(timings.decoded_s + timings.rendered_s),
        as_grid=as_grid,
    )


def result_of_past(past: Past) -> Result:
    """Return what a card says of a job of the past."""
    request = past.job.submission.request
    return Result(
        job_id=past.job.id,
        prompt=request.prompt,
        seed=0 if request.seed is None else request.seed,
        picture_count=len(past.pictures),
    )


def plain(text: str) -> str:
    r"""Return ``text`` as one line that Discord shows letter for letter.

    A backslash takes the meaning from emphasis, links, headings, mentions, timestamps,
    emoji and commands: ``**hi** <@1>`` becomes ``\*\*hi\*\* \<\@1\>``.
    """
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def text_card(text: str) -> Layout:
    """A message of nothing but ``text`` (Discord markdown)."""
    layout: Layout = ui.LayoutView(timeout=None)
    layout.add_item(ui.TextDisplay[Layout](text))
    return layout


def progress_card(
    text: str, words: Words, *controls: Press, preview: discord.File | None = None
) -> Layout:
    """How far a job is: ``text``, what is there of the pictures, and ``controls`` as buttons."""
    layout = text_card(text)
    if preview is not None:
        item = discord.MediaGalleryItem(preview, description=words.say("progress_preview_alt"))
        layout.add_item(ui.MediaGallery[Layout](item))
    if controls:
        looks = (_button(press, words) for press in controls)
        layout.add_item(row_of(*looks))
    return layout


def result_card(
    result: Result, uploads: Sequence[Upload], words: Words, *, intro: str = ""
) -> Layout:
    """The pictures in ``uploads`` under their prompt; ``intro`` comes before."""
    layout: Layout = ui.LayoutView(timeout=None)
    if intro:
        layout.add_item(ui.TextDisplay[Layout](intro))
    body = _body(caption(result, len(uploads), words), uploads)
    layout.add_item(ui.Container[Layout](*body, accent_colour=ACCENT))
    for row in _rows(result, uploads, words):
        layout.add_item(row)
    return layout


def upscaled_card(past: Past, uploads: Sequence[Upload], words: Words) -> Layout:
    """One enlarged picture, which can be hidden and deleted like others."""
    prompt = plain(past.job.submission.request.prompt)
    said = words.say("card_upscaled", prompt=prompt, rank=uploads[0].rank)
    layout: Layout = ui.LayoutView(timeout=None)
    layout.add_item(ui.Container[Layout](*_body(said, uploads), accent_colour=ACCENT))
    hide = Press(verb=Verb.SPOILER, job_id=past.job.id, n=int(not uploads[0].is_spoiler))
    delete = Press(verb=Verb.DELETE, job_id=past.job.id, n=uploads[0].rank)
    layout.add_item(row_of(_button(hide, words), _button(delete, words)))
    return layout


def caption(result: Result, shown_count: int, words: Words) -> str:
    """Return the text above the pictures."""
    facts = [
        _counted(result, shown_count, words),
        *([words.say("card_withheld", count=result.withheld_count)] * bool(result.withheld_count)),
        words.say("card_seed", seed=str(result.seed)),
        *([plain(result.model[:MAX_MODEL_CHARS])] if result.model else []),
        *([] if result.drawn_in_s is None else [words.say("card_time", seconds=result.drawn_in_s)]),
    ]
    return f"**{plain(result.prompt)}**\n-# {' · '.join(facts)}"


def toggled(message: discord.Message, words: Words, *, is_hidden: bool) -> Layout:
    """The same message with its pictures covered, or uncovered.

    The pictures stay where they are: Discord keeps the files that an edit does not speak of,
    and knows them by their names.
    """
    layout = ui.LayoutView.from_message(message, timeout=None)
    layout.stop()  # so that discord.py does not keep it for the message
    for item in layout.walk_children():
        if isinstance(item, ui.MediaGallery):
            item.items = [_covered(media, is_hidden=is_hidden) for media in item.items]
        elif isinstance(item, ui.Button):
            _turn(item, words, is_hidden=is_hidden)
    return layout


def shows_result_of(message: discord.Message, job_id: JobId) -> bool:
    """Whether a message is the card of that job's pictures, which alone can be deleted."""
    delete = Press(verb=Verb.DELETE, job_id=job_id).custom_id
    layout = ui.LayoutView.from_message(message, timeout=None)
    return any(getattr(item, "custom_id", None) == delete for item in layout.walk_children())


def says(message: discord.Message, sentence: str) -> bool:
    """Whether a message holds a sentence, whatever the moment that is named in it."""
    layout = ui.LayoutView.from_message(message, timeout=None)
    texts = (item.content for item in layout.walk_children() if isinstance(item, ui.TextDisplay))
    return any(_MOMENT.sub("", text) == _MOMENT.sub("", sentence) for text in texts)


def _body(text: str, uploads: Sequence[Upload]) -> Iterator[ui.Item[Any]]:
    yield ui.TextDisplay[Layout](text)
    if uploads:  # Discord refuses an empty gallery
        yield ui.MediaGallery[Layout](
            *(
                discord.MediaGalleryItem(u.uri, description=u.alt, spoiler=u.is_spoiler)
                for u in uploads
            )
        )


def _counted(result: Result, shown_count: int, words: Words) -> str:
    if result.as_grid and shown_count:
        return words.say("card_pictures", count=result.picture_count)
    if shown_count < result.picture_count:
        return words.say("card_left_out", shown=shown_count, count=result.picture_count)
    return words.say("card_pictures", count=shown_count)


def _rows(
    result: Result, uploads: Sequence[Upload], words: Words
) -> Iterator[ui.ActionRow[Layout]]:
    ranks = range(1, result.picture_count + 1) if result.as_grid else [u.rank for u in uploads]
    is_hidden = any(upload.is_spoiler for upload in uploads)

    def buttons(*verbs: Verb, n: int = 0) -> list[Control]:
        return [_button(Press(verb=verb, job_id=result.job_id, n=n), words) for verb in verbs]

    hide = _button(Press(verb=Verb.SPOILER, job_id=result.job_id, n=int(not is_hidden)), words)
    keep, away = buttons(Verb.REDRAW, Verb.REMIX, Verb.SAVE), buttons(Verb.REPORT, Verb.DELETE)
    if len(ranks) == 1:
        of_one = buttons(Verb.UPSCALE, Verb.VARIATIONS, n=ranks[0])
        yield row_of(*of_one, *keep[:2])
        yield row_of(keep[2], hide, *away)
        return
    if ranks:
        options = {rank: words.say("button_option", rank=rank) for rank in ranks}
        for verb in (Verb.UPSCALE, Verb.VARIATIONS):
            yield row_of(menu(verb, result.job_id, words.say(f"button_{verb}_menu"), options))
    yield row_of(*keep)
    yield row_of(hide, *away)


_EMOJI: Final = {
    Verb.UPSCALE: "🔍",
    Verb.VARIATIONS: "🎨",
    Verb.REDRAW: "🔁",
    Verb.REMIX: "✏️",
    Verb.SAVE: "📥",
    Verb.SPOILER: "🙈",
    Verb.REPORT: "🚩",
    Verb.DELETE: "🗑️",
    Verb.CANCEL: "✖️",
    Verb.FETCH: "🖼️",
}


def _button(press: Press, words: Words) -> Control:
    return button(press, _label(press, words), _EMOJI[press.verb])


def _label(press: Press, words: Words) -> str:
    if press.verb is Verb.SPOILER:
        return words.say("button_hide" if press.n else "button_uncover")
    return words.say(f"button_{press.verb}")


def _covered(item: discord.MediaGalleryItem, *, is_hidden: bool) -> discord.MediaGalleryItem:
    """The picture as the message knows it, instead of by an address that Discord gave out."""
    media = item.media
    is_ours = media.attachment_id is not None
    uri = f"attachment://{PurePosixPath(urlsplit(media.url).path).name}" if is_ours else media.url
    return discord.MediaGalleryItem(uri, description=item.description, spoiler=is_hidden)


def _turn(button: ui.Button[Any], words: Words, *, is_hidden: bool) -> None:
    """Let the button that hid the pictures show them, and the other way round."""
    press = press_of(button.custom_id or "")
    if press is not None and press.verb is Verb.SPOILER:
        turned = replace(press, n=int(not is_hidden))
        button.custom_id, button.label = turned.custom_id, _label(turned, words)
