from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bot.discord.files import MAX_ALT_CHARS, Shown, shown_of, uploads_of
from bot.discord.cards import result_of
from bot.discord.words import words_of
from engine.api import DrawRequest, SamplingOptions
from engine.pictures import PictureInfo, encode_png, read_info
from tests.support.scripted_engine import drawn, solid_png

if TYPE_CHECKING:
    from engine.api import Drawn

ENGLISH = words_of("en-GB")
INFO = PictureInfo(prompt="a cat", seed=7, index=0, options=SamplingOptions(), model="scripted")


def grainy(side_px: int, number: int = 0) -> bytes:
    """A PNG that is as heavy as it is large."""
    random = np.random.default_rng(number)
    return encode_png(random.integers(0, 256, (side_px, side_px, 3), np.uint8), INFO)


def shown(rank: int, png: bytes) -> Shown:
    return Shown(rank=rank, png=png, stem=f"imagine-7-{rank}", alt=f"Picture {rank}")
