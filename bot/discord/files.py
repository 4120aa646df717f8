"""The files of a message: as good as its limits allow, rather than left out.

Discord limits each file, by where it is sent, and a whole request to 25 MiB. A picture that
is too heavy goes down the ladder of ``engine.pictures.fit``: PNG, lossless WebP, WebP, JPEG,
smaller JPEGs. Encoding blocks; callers in an event loop use a thread.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import discord

from engine.api import Verdict
from engine.pictures import MediaType, fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.discord.cards import Result
    from bot.discord.words import Words
    from bot.store import Past
    from engine.api import Drawn

MAX_ATTACHMENTS: Final = 10
MAX_ALT_CHARS: Final = 1024
GRID: Final = 0
"""The rank of a grid of all pictures."""
# One request may weigh 25 MiB; the rest is room for texts and separators.
MAX_UPLOAD_BYTES: Final = 24 * 1024 * 1024

# Discord grants everybody this much in direct messages.
DIRECT_LIMIT_BYTES: Final = 10 * 1024 * 1024

_SUFFIXES: Final = {MediaType.PNG: "png", MediaType.WEBP: "webp", MediaType.JPEG: "jpg"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A picture as it is to be shown.

    Attributes:
        rank: From 1, the best; ``GRID`` is a grid of all pictures.
        stem: Its file name without the ending, which tells of the kind of file.
        alt: What it shows, for those who do not see it.
        is_spoiler: Whether it is covered until somebody uncovers it.
    """

    rank: int
    png: bytes = field(repr=False)
    stem: str
    alt: str
    is_spoiler: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that fits. It can be sent any number of times, by one ``file`` for each try."""

    rank: int
    filename: str
    content: bytes = field(repr=False)
    alt: str
    is_spoiler: bool = False

    @property
    def uri(self) -> str:
        """How the message refers to it."""
        return f"attachment://{self.filename}"

    def file(self) -> discord.File:
        """What discord.py sends once."""
        return discord.File(io.BytesIO(self.content), self.filename, description=self.alt)


def shown_of(drawn: Drawn, result: Result, words: Words, *, is_covered: bool) -> list[Shown]:
    """Return what a message shows of what was drawn, best first: single pictures, or a grid."""
    stem = f"imagine-{drawn.seed}"
    if result.as_grid:
        alt = words.say("card_alt_grid", count=len(drawn.pictures), prompt=result.prompt)
        return [
            Shown(
                rank=GRID,
                png=drawn.grid_png,
                stem=stem,
                alt=alt[:MAX_ALT_CHARS],
                is_spoiler=is_covered or drawn.verdict is not Verdict.SAFE,
            )
        ]
    chosen = drawn.pictures[:MAX_ATTACHMENTS]
    return [
        Shown(
            rank=rank,
            png=picture.png,
            stem=f"{stem}-{picture.index + 1}",
            alt=alt_text(words, rank, len(chosen), result.prompt),
            is_spoiler=is_covered or picture.verdict is not Verdict.SAFE,
        )
        for rank, picture in enumerate(chosen, start=1)
    ]


def shown_again(past: Past, pngs: Sequence[bytes], words: Words) -> list[Shown]:
    """Return what a message shows of pictures that were painted again, best first."""
    request = past.job.submission.request
    pictures = zip(past.pictures, pngs, strict=True)
    return [
        Shown(
            rank=picture.rank,
            png=png,
            stem=f"imagine-{request.seed}-{picture.index + 1}",
            alt=alt_text(words, picture.rank, len(pngs), request.prompt),
            is_spoiler=past.job.submission.is_soft or picture.verdict is not Verdict.SAFE,
        )
        for picture, png in list(pictures)[:MAX_ATTACHMENTS]
    ]


def shown_upscaled(past: Past, rank: int, png: bytes, words: Words) -> Shown:
    """Return one picture of the past that was made larger, to be shown."""
    submission = past.job.submission
    prompt = submission.request.prompt
    return Shown(
        rank=rank,
        png=png,
        stem=f"imagine-{submission.request.seed}-large-{rank}",
        alt=words.say("card_alt_upscaled", rank=rank, prompt=prompt)[:MAX_ALT_CHARS],
        is_spoiler=submission.is_soft or _verdict_of(past, rank) is not Verdict.SAFE,
    )


def _verdict_of(past: Past, rank: int) -> Verdict:
    return next((p.verdict for p in past.pictures if p.rank == rank), Verdict.SAFE)


def alt_text(words: Words, rank: int, count: int, prompt: str) -> str:
    """Describe a picture for those who do not see it."""
    said = words.say("card_alt", rank=rank, total=count, prompt=prompt)
    return said[:MAX_ALT_CHARS]


def uploads_of(
    pictures: Sequence[Shown], *, each_limit_bytes: int, room_bytes: int = MAX_UPLOAD_BYTES
) -> list[Upload]:
    """Return files of all pictures that can be made to fit, in the order given.

    The lightest take their part of the room first, so that what they leave goes to those
    that need it. Example: of 24 MiB for PNGs of 1, 1, 9, 9 and 9 MiB, two take 1 MiB, and
    each of the others may have (24 - 2) / 3 = 7.3 MiB: only these three become WebP.
    """
    fitted: dict[int, Upload] = {}
    by_weight = sorted(range(len(pictures)), key=lambda number: len(pictures[number].png))
    for left_count, number in zip(range(len(pictures), 0, -1), by_weight, strict=True):
        limit_bytes = min(each_limit_bytes, room_bytes // left_count)
        if upload := _upload_within(pictures[number], limit_bytes):
            fitted[number] = upload
            room_bytes -= len(upload.content)
    return [fitted[number] for number in sorted(fitted)]


def _upload_within(picture: Shown, limit_bytes: int) -> Upload | None:
    encoded = fit(picture.png, limit_bytes=limit_bytes)
    if encoded is None:
        return None
    return Upload(
        rank=picture.rank,
        filename=f"{picture.stem}.{_SUFFIXES[encoded.media_type]}",
        content=encoded.content,
        alt=picture.alt,
        is_spoiler=picture.is_spoiler,
    )
