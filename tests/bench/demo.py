"""How long the demo model takes, from a cold start to forty requests at once.

Starts the engine process as ``imagine run`` does. The first start compiles, later ones read
the compiled programs from the cache.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bot.benchmark import COUNTS, draw, under_load
from engine.api import DEMO_CHECKPOINT
from engine.client import EngineProcess

if TYPE_CHECKING:
    from tests.bench.report import Report

RUNS = 7


async def measure(report: Report, slot_count: int) -> None:
    """Measure starts, requests alone, and a load."""
    with tempfile.TemporaryDirectory() as cache:
        report.add("demo: first start, compiling", [await start_and_close(Path(cache), slot_count)])
        later = [await start_and_close(Path(cache), slot_count) for _ in range(3)]
        report.add("demo: start from the cache", later)
        engine = new_engine(Path(cache), slot_count)
        await engine.start()
        try:
            await measure_drawing(report, engine)
        finally:
            await engine.close()


async def measure_drawing(report: Report, engine: EngineProcess) -> None:
    await draw(engine, 1)
    for count in COUNTS:
        report.add(f"demo: {count} pictures", [await draw(engine, count) for _ in range(RUNS)])
    load = await under_load(engine)
    rate = f"{load.pictures_per_min:.0f} pictures a minute"
    report.add(f"demo: {load.what}", [*load.seconds], note=rate)


async def start_and_close(cache: Path, slot_count: int) -> float:
    engine = new_engine(cache, slot_count)
    begun_s = time.perf_counter()
    await engine.start()
    took_s = time.perf_counter() - begun_s
    await engine.close()
    return took_s


def new_engine(cache: Path, slot_count: int) -> EngineProcess:
    return EngineProcess(checkpoint_dir=DEMO_CHECKPOINT, slot_count=slot_count, cache_dir=cache)
