"""How long pictures take here: ``make bench`` (``python -m tests.bench.draw``).

Starts the engine process with the demo checkpoint as ``imagine run`` does and measures,
from the request to its ``Drawn``: one picture, a grid of nine, and forty requests of one
to nine pictures at once. Medians of several runs; the first start compiles, the second
reads the compiled programs from the cache.
"""

from __future__ import annotations

import asyncio
import platform
import statistics
import tempfile
import time
from pathlib import Path

import jax

from engine.api import DEMO_CHECKPOINT, Drawn, DrawRequest
from engine.client import EngineProcess

SLOT_COUNT = 9
RUNS = 7
LOAD = [1 + i % 9 for i in range(40)]


async def main() -> None:
    print(f"{platform.processor() or platform.machine()}, jax {jax.__version__}, cpu")
    print("| what | median | least | most |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as cache:
        report("first start, compiling", [await start_and_close(Path(cache))])
        report("start from the cache", [await start_and_close(Path(cache)) for _ in range(3)])
        engine = new_engine(Path(cache))
        await engine.start()
        try:
            await measure(engine)
        finally:
            await engine.close()


async def measure(engine: EngineProcess) -> None:
    await draw(engine, 1)
    for count in (1, 4, 9):
        report(f"{count} pictures", [await draw(engine, count) for _ in range(RUNS)])
    begun_s = time.perf_counter()
    await asyncio.gather(*(draw(engine, count) for count in LOAD))
    took_s = time.perf_counter() - begun_s
    report(f"{len(LOAD)} requests at once, {sum(LOAD)} pictures", [took_s])
    print(f"\n{60 * sum(LOAD) / took_s:.0f} pictures a minute under load, {SLOT_COUNT} slots")


async def start_and_close(cache: Path) -> float:
    engine = new_engine(cache)
    begun_s = time.perf_counter()
    await engine.start()
    took_s = time.perf_counter() - begun_s
    await engine.close()
    return took_s


async def draw(engine: EngineProcess, count: int) -> float:
    begun_s = time.perf_counter()
    request = DrawRequest(prompt="a red circle on a blue background", picture_count=count, seed=1)
    async for event in engine.draw(request):
        if isinstance(event, Drawn):
            return time.perf_counter() - begun_s
    raise AssertionError("an engine ends with a Drawn or an error")


def new_engine(cache: Path) -> EngineProcess:
    return EngineProcess(checkpoint_dir=DEMO_CHECKPOINT, slot_count=SLOT_COUNT, cache_dir=cache)


def report(what: str, seconds: list[float]) -> None:
    middle = statistics.median(seconds)
    print(f"| {what} | {middle:.2f} s | {min(seconds):.2f} s | {max(seconds):.2f} s |", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
