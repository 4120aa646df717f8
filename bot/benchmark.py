"""How fast an engine draws here: a start, requests alone, and a load. Knows no device.

``imagine bench`` shows it to admins for the model that they have set; ``make bench`` uses the
same measurements beside those of the fastest peer.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from engine.api import DrawingFailedError, Drawn, DrawRequest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from engine.api import Engine

COUNTS: Final = (1, 4, 9)
LOAD: Final = tuple(1 + number % 9 for number in range(40))
PROMPT: Final = "a red circle on a blue background"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One thing that was measured.

    Attributes:
        what: In words.
        seconds: Of each run.
        picture_count: Pictures of all of them; 0 where none were drawn.
    """

    what: str
    seconds: tuple[float, ...]
    picture_count: int = 0

    @property
    def median_s(self) -> float:
        """The time of the middle run."""
        return statistics.median(self.seconds)

    @property
    def pictures_per_min(self) -> float:
        """Pictures in a minute of all that was measured."""
        return 60 * self.picture_count / sum(self.seconds)


async def measure(
    engine: Engine, *, run_count: int, load: Sequence[int] = LOAD
) -> AsyncGenerator[Measured]:
    """Start the engine and measure; tell each outcome when it is there. Leaves it running.

    Args:
        engine: Not started.
        run_count: Runs of each request alone.
        load: Pictures of each of the requests that come at once; empty leaves it out.

    Raises:
        EngineError: It cannot start, or could not draw.
    """
    begun_s = time.perf_counter()
    await engine.start()
    yield Measured(what="start", seconds=(time.perf_counter() - begun_s,))
    await draw(engine, 1)  # the first one also fills caches
    for count in COUNTS:
        runs = tuple([await draw(engine, count) for _ in range(run_count)])
        what = "1 picture" if count == 1 else f"{count} pictures"
        yield Measured(what=what, seconds=runs, picture_count=count * run_count)
    if load:
        yield await under_load(engine, load)


async def under_load(engine: Engine, load: Sequence[int] = LOAD) -> Measured:
    """Requests of different people, all at once."""
    begun_s = time.perf_counter()
    asked = (draw(engine, count, person=str(number)) for number, count in enumerate(load))
    await asyncio.gather(*asked)
    took_s = time.perf_counter() - begun_s
    what = f"{len(load)} requests at once, {sum(load)} pictures"
    return Measured(what=what, seconds=(took_s,), picture_count=sum(load))


async def draw(engine: Engine, count: int, *, person: str = "") -> float:
    """Seconds from a request to its ranked picture files."""
    begun_s = time.perf_counter()
    await drawn(engine, count, person=person)
    return time.perf_counter() - begun_s


async def drawn(engine: Engine, count: int, *, person: str = "") -> Drawn:
    """The pictures of a request with a fixed seed."""
    request = DrawRequest(prompt=PROMPT, picture_count=count, seed=1)
    async for event in engine.draw(request, requester=person):
        if isinstance(event, Drawn):
            return event
    raise DrawingFailedError("The engine ended without pictures.")
