from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.discord import files
from bot.discord.cards import Result
from bot.discord.files import (
    MAX_ALT_CHARS,
    Shown,
    alt_text,
    shown_again,
    shown_of,
    shown_upscaled,
    uploads_of,
)
from bot.discord.words import words_of
from bot.jobs import Job, JobId, JobState
from bot.store import KeptPicture, Past
from engine.api import DrawRequest, SamplingOptions, Verdict
from engine.pictures import PictureInfo, encode_png, read_info
from tests.support.clock import NOON
from tests.support.factories import submission
from tests.support.scripted_engine import drawn

ENGLISH = words_of("en-GB")
INFO = PictureInfo(prompt="a cat", seed=7, index=0, options=SamplingOptions(), model="scripted")
MIB = 1024 * 1024
THREE = Result(job_id=JobId("a"), prompt="a cat", seed=7, picture_count=3)
GRID_OF_3 = replace(THREE, as_grid=True)


def grainy(side_px: int) -> bytes:
    """A PNG that is as heavy as it is large."""
    grains = np.random.default_rng(side_px).integers(0, 256, (side_px, side_px, 3), np.uint8)
    return encode_png(grains, INFO)


LIGHT, HEAVY = grainy(16), grainy(64)


def shown(rank: int, png: bytes) -> Shown:
    return Shown(rank=rank, png=png, stem=f"imagine-7-{rank}", alt=f"Picture {rank}")


def test_pictures_that_fit_are_sent_as_they_are() -> None:
    uploads = uploads_of([shown(1, HEAVY), shown(2, LIGHT)], each_limit_bytes=10 * MIB)

    assert [(u.filename, u.content) for u in uploads] == [
        ("imagine-7-1.png", HEAVY),
        ("imagine-7-2.png", LIGHT),
    ]


def test_a_picture_that_is_too_heavy_becomes_another_kind_of_file() -> None:
    uploads = uploads_of([shown(1, HEAVY), shown(2, LIGHT)], each_limit_bytes=len(HEAVY) - 1)

    assert [u.filename for u in uploads] == ["imagine-7-1.webp", "imagine-7-2.png"]
    assert read_info(uploads[0].content) == INFO


def test_a_light_picture_leaves_its_room_to_a_heavy_one() -> None:
    room_bytes = len(HEAVY) + 2 * len(LIGHT)
    pictures = [shown(1, LIGHT), shown(2, HEAVY), shown(3, LIGHT)]

    uploads = uploads_of(pictures, each_limit_bytes=MIB, room_bytes=room_bytes)

    assert [u.filename for u in uploads] == [
        "imagine-7-1.png",
        "imagine-7-2.png",
        "imagine-7-3.png",
    ]


def test_a_picture_that_cannot_be_made_to_fit_is_left_out_and_the_others_keep_their_rank() -> None:
    pictures = [shown(1, LIGHT), shown(2, HEAVY), shown(3, LIGHT)]

    uploads = uploads_of(pictures, each_limit_bytes=len(LIGHT))

    assert [u.rank for u in uploads] == [1, 3]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.booleans(), max_size=4),
    st.integers(1, len(HEAVY) + 100),
    st.integers(1, 3 * len(HEAVY)),
)
def test_no_upload_exceeds_what_a_file_or_a_message_may_weigh(
    are_heavy: list[bool], each_limit_bytes: int, room_bytes: int
) -> None:
    pngs = [HEAVY if is_heavy else LIGHT for is_heavy in are_heavy]
    pictures = [shown(rank, png) for rank, png in enumerate(pngs, start=1)]

    uploads = uploads_of(pictures, each_limit_bytes=each_limit_bytes, room_bytes=room_bytes)

    assert all(len(u.content) <= each_limit_bytes for u in uploads)
    assert sum(len(u.content) for u in uploads) <= room_bytes
    assert [u.rank for u in uploads] == sorted(u.rank for u in uploads)


def test_an_upload_can_be_sent_again_and_again() -> None:
    (upload,) = uploads_of([shown(1, LIGHT)], each_limit_bytes=MIB)

    first, second = upload.file(), upload.file()
    first.fp.read()

    assert second.fp.read() == LIGHT
    assert second.uri == upload.uri == "attachment://imagine-7-1.png"
    assert second.description == "Picture 1"


def test_what_is_drawn_is_shown_picture_by_picture_or_as_a_grid() -> None:
    result = drawn(DrawRequest(prompt="a cat", picture_count=3, seed=7))

    gallery = shown_of(result, THREE, ENGLISH, is_covered=True)
    grid = shown_of(result, GRID_OF_3, ENGLISH, is_covered=False)

    assert [(s.stem, s.alt, s.is_spoiler) for s in gallery] == [
        ("imagine-7-3", "Picture 1 of 3: a cat", True),
        ("imagine-7-2", "Picture 2 of 3: a cat", True),
        ("imagine-7-1", "Picture 3 of 3: a cat", True),
    ]
    assert [(s.png, s.alt) for s in grid] == [
        (result.grid_png, "A grid of 3 pictures, best first: a cat")
    ]
    assert grid[0].rank == files.GRID


def test_a_doubtful_picture_is_covered_and_so_is_a_grid_with_one() -> None:
    result = drawn(DrawRequest(prompt="a cat", picture_count=3, seed=7))
    best, second, last = result.pictures
    second = replace(second, verdict=Verdict.BORDERLINE)
    result = replace(result, pictures=(best, second, last))

    gallery = shown_of(result, THREE, ENGLISH, is_covered=False)
    grid = shown_of(result, GRID_OF_3, ENGLISH, is_covered=False)

    assert [picture.is_spoiler for picture in gallery] == [False, True, False]
    assert [picture.is_spoiler for picture in grid] == [True]


def test_a_doubtful_picture_is_covered_when_it_is_shown_again() -> None:
    kept = tuple(
        KeptPicture(rank=rank, index=rank, score=0.0, verdict=verdict)
        for rank, verdict in enumerate([Verdict.SAFE, Verdict.BORDERLINE], start=1)
    )
    job = Job(
        id=JobId("j"),
        submission=submission(),
        state=JobState.DELIVERED,
        attempt_count=1,
        accepted_at=NOON,
    )
    past = Past(job=job, finished_at=NOON, pictures=kept)

    again = shown_again(past, [LIGHT, LIGHT], ENGLISH)
    upscaled = [shown_upscaled(past, rank, LIGHT, ENGLISH) for rank in (1, 2)]

    assert [picture.is_spoiler for picture in again] == [False, True]
    assert [picture.is_spoiler for picture in upscaled] == [False, True]


def test_one_message_carries_ten_pictures_at_most() -> None:
    result = drawn(DrawRequest(prompt="a cat", picture_count=16, seed=7))

    assert len(shown_of(result, THREE, ENGLISH, is_covered=False)) == 10


def test_an_alt_text_is_as_long_as_discord_takes() -> None:
    assert len(alt_text(ENGLISH, 1, 9, "x" * 2_000)) == MAX_ALT_CHARS
