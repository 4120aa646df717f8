"""``make screenshots``: what the demo model draws for the examples on the page.

The words are read from the page itself; each gets the first-ranked of nine pictures.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from PIL import Image

from engine.api import DEMO_CHECKPOINT, PictureCheck, SamplingOptions
from engine.contract import Placement, RunnerSettings
from engine.runner import load_runner
from tests.support.bot_process import ROOT

STATIC: Final = ROOT / "bot" / "web" / "static"
EXAMPLE: Final = re.compile(r'src="/static/(examples/\d\.jpg)".*?<span>(.*?)</span>', re.DOTALL)
SIDE_PX: Final = 128
SEED: Final = 7
CANDIDATES: Final = 9


def main() -> None:
    """Draw every example anew."""
    runner = load_runner(
        RunnerSettings(
            checkpoint_dir=DEMO_CHECKPOINT,
            slot_count=CANDIDATES,
            picture_check=PictureCheck.OFF,
        )
    )
    slots = range(CANDIDATES)
    for name, words in EXAMPLE.findall((STATIC / "page.html").read_text(encoding="utf-8")):
        runner.place(
            [
                Placement(slot=i, prompt=words, seed=SEED, index=i, options=SamplingOptions())
                for i in slots
            ]
        )
        for _ in range(runner.chunk_count):
            runner.step()
        pixels = runner.render(runner.tokens(slots))
        best = pixels[int(np.argmax(runner.rank(words, pixels).scores))]
        small = Image.fromarray(best).resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        small.save(STATIC / name, quality=85, optimize=True)
        print(f"{STATIC / name}: {words}")  # noqa: T201 - tells what was written


if __name__ == "__main__":
    main()
