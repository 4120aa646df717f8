"""An engine that draws plain squares at once, or waits, or fails, as a test tells it to."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from typing import TYPE_CHECKING

from PIL import Image

from engine.api import (
    Drawing,
    Drawn,
    DrawRequest,
    EngineError,
    EngineStats,
    InvalidRequestError,
    Picture,
    Preview,
    Priority,
    Queued,
    Timings,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from engine.api import DrawEvent


TOKEN_COUNT = 64


def solid_png(red: int, green: int, blue: int, *, side_px: int = 16) -> bytes:
    return solid_picture("PNG", red, green, blue, side_px=side_px)


def solid_picture(kind: str, red: int, green: int, blue: int, *, side_px: int = 16) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side_px, side_px), (red, green, blue)).save(buffer, kind)
    return buffer.getvalue()


class ScriptedEngine:
    """Implements ``engine.api.Engine`` without a model.

    ``requests`` holds every request seen, ``requesters`` and ``priorities`` what came with
    each. Clear ``open`` to make drawings wait after
    their first ``Drawing`` event, set it to let them go on; ``halfway`` does the same after the
    preview. Each error put into
    ``errors`` fails one request.
    """

    def __init__(self) -> None:
        self.requests: list[DrawRequest] = []
        self.requesters: list[str] = []
        self.priorities: list[Priority] = []
        self.errors: deque[EngineError] = deque()
        self.open = asyncio.Event()
        self.open.set()
        self.halfway = asyncio.Event()
        self.halfway.set()
        self.is_started = False

    async def start(self) -> None:
        self.is_started = True

    async def close(self) -> None:
        self.is_started = False

    async def draw(
        self, request: DrawRequest, *, requester: str = "", priority: Priority = Priority.NORMAL
    ) -> AsyncGenerator[DrawEvent]:
        self.requests.append(request)
        self.requesters.append(requester)
        self.priorities.append(priority)
        yield Queued(pictures_ahead=0, eta_s=2.0)
        yield Drawing(fraction=0.0, eta_s=1.0)
        await self.open.wait()
        if self.errors:
            raise self.errors.popleft()
        if request.preview:
            yield Preview(fraction=0.5, picture=solid_picture("WEBP", 90, 90, 90))
        await self.halfway.wait()
        yield Drawing(fraction=0.5, eta_s=0.5)
        yield drawn(request)

    async def upscale(self, picture: bytes) -> bytes:
        self._raise_next()
        with _opened(picture) as image:
            enlarged = image.resize((4 * image.width, 4 * image.height))
        buffer = io.BytesIO()
        enlarged.save(buffer, "PNG")
        return buffer.getvalue()

    async def encode(self, picture: bytes) -> tuple[int, ...]:
        """The tokens of a picture are 64 times its first pixel's red."""
        self._raise_next()
        with _opened(picture) as image:
            return (image.convert("RGB").tobytes()[0],) * TOKEN_COUNT

    async def render(self, request: DrawRequest, index: int, tokens: tuple[int, ...]) -> bytes:
        """The file of any picture that this engine drew."""
        self._raise_next()
        if len(tokens) != TOKEN_COUNT:
            raise InvalidRequestError("This picture was not drawn by this model (scripted).")
        return _png_of(request, index)

    async def stats(self) -> EngineStats:
        return EngineStats(slot_count=4)

    def _raise_next(self) -> None:
        if self.errors:
            raise self.errors.popleft()


def _opened(picture: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(picture))
    except OSError as error:
        raise InvalidRequestError("This file is no picture.") from error


def _png_of(request: DrawRequest, index: int) -> bytes:
    assert request.seed is not None, "the service chooses a seed before it draws"
    return solid_png(10 * index, request.seed % 256, 200)


def drawn(request: DrawRequest) -> Drawn:
    """The picture ``i`` of a request is a solid square whose red is ``10 * i``."""
    assert request.seed is not None, "the service chooses a seed before it draws"
    return Drawn(
        pictures=tuple(
            Picture(
                png=_png_of(request, index),
                score=float(-rank),
                index=index,
                tokens=(request.keep + (index,) * TOKEN_COUNT)[:TOKEN_COUNT],
            )
            for rank, index in enumerate(reversed(range(request.picture_count)))
        ),
        grid_png=solid_png(90, request.seed % 256, 200, side_px=48),
        seed=request.seed,
        model="scripted",
        timings=Timings(waited_s=0.0, decoded_s=0.1, rendered_s=0.1),
    )
