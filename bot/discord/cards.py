"""What a message of the bot looks like.

Every message is of Discord's second kind of components (a ``LayoutView``): such a message
can never become a plain one again, so a plain progress text would rule out the card, and
after the card a plain apology.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final

import discord
from discord import ui

from bot import sentences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.api import Drawn, Picture

Layout = ui.LayoutView

ACCENT: Final = discord.Colour.from_str("#f2a93b")
MAX_ATTACHMENTS: Final = 10
MAX_ALT_CHARS: Final = 1024
# One request may weigh 25 MiB; the rest is room for texts and separators.
MAX_UPLOAD_BYTES: Final = 24 * 1024 * 1024

_MARKDOWN: Final = re.compile(r"([\\`*_~|<>\[\]()#:@-])")


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


def result_card(prompt: str, drawn: Drawn, files: list[discord.File], *, intro: str = "") -> Layout:
    """The pictures in ``files``, best first, under their prompt; ``intro`` comes before."""
    caption = sentences.discord_caption(
        prompt=plain(prompt),
        shown_count=len(files),
        drawn_count=len(drawn.pictures),
        seed=drawn.seed,
    )
    layout: Layout = ui.LayoutView(timeout=None)
    if intro:
        layout.add_item(ui.TextDisplay[Layout](intro))
    layout.add_item(ui.Container[Layout](*_body(caption, files), accent_colour=ACCENT))
    return layout


def _body(caption: str, files: list[discord.File]) -> Iterator[ui.Item[Any]]:
    yield ui.TextDisplay[Layout](caption)
    if files:  # Discord refuses an empty gallery
        gallery = (discord.MediaGalleryItem(f, description=f.description) for f in files)
        yield ui.MediaGallery[Layout](*gallery)


def picture_files(prompt: str, drawn: Drawn, *, each_limit_bytes: int) -> list[discord.File]:
    """Return uploads of the best pictures that Discord takes in one message."""
    chosen = list(_that_fit(drawn.pictures, each_limit_bytes=each_limit_bytes))
    return [
        discord.File(
            io.BytesIO(picture.png),
            filename=f"imagine-{drawn.seed}-{picture.index + 1}.png",
            description=sentences.alt_text(rank, len(chosen), prompt)[:MAX_ALT_CHARS],
        )
        for rank, picture in enumerate(chosen, start=1)
    ]


def _that_fit(pictures: tuple[Picture, ...], *, each_limit_bytes: int) -> Iterator[Picture]:
    room_bytes = MAX_UPLOAD_BYTES
    for picture in pictures[:MAX_ATTACHMENTS]:
        if len(picture.png) <= min(each_limit_bytes, room_bytes):
            room_bytes -= len(picture.png)
            yield picture
