"""A scripted engine whose picture check says of each candidate what a test tells it to.

As ``engine.rendering`` does, it hands no unsafe picture over: the next in rank takes its place.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.api import Drawn, PicturesWithheldError, Priority, Verdict
from tests.support.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from engine.api import DrawEvent, DrawRequest


class WaryEngine(ScriptedEngine):
    """Judges by ``verdicts``, by candidate; of the others it finds nothing wrong.

    The scripted engine ranks the highest candidate first.
    """

    def __init__(self, verdicts: Mapping[int, Verdict]) -> None:
        super().__init__()
        self.verdicts = verdicts

    async def draw(
        self, request: DrawRequest, *, requester: str = "", priority: Priority = Priority.NORMAL
    ) -> AsyncGenerator[DrawEvent]:
        drawing = super().draw(request, requester=requester, priority=priority)
        async with aclosing(drawing) as events:
            async for event in events:
                yield judged(event, self.verdicts) if isinstance(event, Drawn) else event


def judged(drawn: Drawn, verdicts: Mapping[int, Verdict]) -> Drawn:
    """What is left of these pictures.

    Raises:
        PicturesWithheldError: Nothing is.
    """
    looked_at = [
        replace(picture, verdict=verdicts.get(picture.index, Verdict.SAFE))
        for picture in drawn.pictures
    ]
    left = tuple(picture for picture in looked_at if picture.verdict is not Verdict.UNSAFE)
    if not left:
        raise PicturesWithheldError("None of them may be shown.")
    return replace(drawn, pictures=left, withheld_count=len(looked_at) - len(left))
