"""``imagine bench``: how fast the configured model draws on this machine."""

from __future__ import annotations

import contextlib
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bot import admin_sentences as sentences
from bot import benchmark
from bot.commands.console import out, say

if TYPE_CHECKING:
    from bot.benchmark import Measured
    from bot.settings import Settings
    from engine.api import Engine


def introduce(settings: Settings) -> None:
    """Say what is measured, and on what: numbers without that are worth nothing."""
    say(
        sentences.bench_of(
            model=str(settings.engine_checkpoint),
            devices=settings.engine_devices,
            dtype=settings.engine_dtype,
            slot_count=settings.engine_slots,
            processor=processor(),
            core_count=os.cpu_count() or 0,
            jax=version("jax"),
        )
    )


async def bench(engine: Engine, *, run_count: int, has_load: bool) -> None:
    """Measure and print row by row; closes the engine."""
    out.print(f"{sentences.BENCH_WHAT:44}{sentences.BENCH_MEDIAN:>12}  {sentences.BENCH_RATE:>18}")
    load = benchmark.LOAD if has_load else ()
    measuring = benchmark.measure(engine, run_count=run_count, load=load)
    try:
        async with contextlib.aclosing(measuring) as rows:
            async for row in rows:
                say(_line(row))
    finally:
        await engine.close()


def _line(row: Measured) -> str:
    rate = f"{row.pictures_per_min:,.1f}" if row.picture_count else ""
    return f"{row.what:44}{row.median_s:>10.2f} s  {rate:>18}".rstrip()


def processor() -> str:
    """The processor's name as the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
