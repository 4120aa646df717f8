"""``make screenshots``: what the demo model draws for the examples on the page.

The words are read from the page itself; each gets the first-ranked of nine pictures.
"""

from __future__ import annotations

import re
from typing import Final

from PIL import Image

from engine.api import DEMO_CHECKPOINT, PictureCheck, SamplingOptions
from engine.contract import RunnerSettings
from engine.runner import load_runner
from engine.training.evaluate import draw_ranked
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
    examples = EXAMPLE.findall((STATIC / "page.html").read_text(encoding="utf-8"))
    prompts = [words for _, words in examples]
    ranked = draw_ranked(runner, prompts, SamplingOptions(), SEED)
    for (name, words), (best, *_) in zip(examples, ranked, strict=True):
        small = Image.fromarray(best).resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        small.save(STATIC / name, quality=85, optimize=True)
        print(f"{STATIC / name}: {words}")  # noqa: T201 - tells what was written


if __name__ == "__main__":
    main()
