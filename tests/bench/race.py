"""The engine against its fastest peer, at the true sizes, with random numbers.

Both are started once and take turns in drawing one picture, 2 by 2 and 3 by 3; medians of
several turns. Then forty requests of one to nine pictures reach the engine one by one, and
its pictures a minute stand against those of the peer, which draws square grids of one prompt
after another: it is given the cheapest grids for every request, at its own medians.

Ours is timed from the text to the encoded file, CLIP included; the peer to pixels.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bot.benchmark import LOAD, draw, drawn
from engine.client import EngineProcess
from engine.devices import devices_of
from tests.bench.checkpoint import random_checkpoint
from tests.bench.roof import Roof, measured_roof

if TYPE_CHECKING:
    from tests.bench.report import Report

SIDES: Final = (1, 2, 3)
PEER_STEPS: Final = 24
# Source: the convolutions and attentions of `vqgan_imagenet_f16_16384`, counted by PyTorch's
# FlopCounterMode for one picture of 256 by 256.
_PIXELS_FLOP: Final = 252.7e9
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is raced, and on what."""

    model: str
    device: str
    dtype: str
    slot_count: int
    turns: int
    request_count: int
    folder: Path
    peer_python: Path | None


async def measure(report: Report, course: Course) -> None:
    """Take turns, then bear the load."""
    device = devices_of([course.device])[0]
    roof = measured_roof({**os.environ, **device.environment}, course.dtype)
    report.note("roof", read_GB_s=roof.bytes_per_s / 1e9, product_GFLOP_s=roof.flop_per_s / 1e9)
    engine = EngineProcess(
        checkpoint_dir=random_checkpoint(course.folder / course.model, course.model),
        slot_count=course.slot_count,
        cache_dir=course.folder / "compiled",
        dtype=course.dtype,
        device=device,
    )
    peer = None if course.peer_python is None else Peer(course)
    try:
        begun_s = time.perf_counter()
        await engine.start()
        report.add(f"{course.model}: start of the engine", [time.perf_counter() - begun_s])
        theirs = await take_turns(report, course, engine, peer, roof)
        await bear_the_load(report, course, engine, theirs)
    finally:
        await engine.close()
        if peer is not None:
            peer.close()


async def take_turns(
    report: Report, course: Course, engine: EngineProcess, peer: Peer | None, roof: Roof
) -> dict[int, float]:
    """Medians of the peer, by pictures."""
    theirs: dict[int, float] = {}
    if not course.turns:
        return theirs
    report.note("same tokens alone and among nine", yes=await is_the_same_in_company(engine))
    for side in SIDES:
        count = side * side
        our_runs: list[float] = []
        their_runs: list[float] = []
        for _ in range(course.turns):
            our_runs.append(await draw(engine, count))
            if peer is not None:
                their_runs.append((await asyncio.to_thread(peer.draw, side))["whole_s"])
        floors = f"{decoding_floor_s(course, count, roof):.1f} + {pixels_floor_s(count, roof):.1f}"
        note = f"at the roof: {floors} s for tokens and pixels"
        ours = report.add(f"{course.model}: {count} pictures", our_runs, note=note)
        if peer is not None:
            theirs[count] = report.add(f"{course.model}: {count} pictures, min-dalle", their_runs)
            report.note(f"{count} pictures", times_as_fast=theirs[count] / ours)
    return theirs


async def bear_the_load(
    report: Report, course: Course, engine: EngineProcess, theirs: dict[int, float]
) -> None:
    """Requests that come one by one, faster than they can be drawn."""
    load = LOAD[: course.request_count]
    begun_s = time.perf_counter()
    drawings: list[asyncio.Task[float]] = []
    for count in load:
        drawings.append(asyncio.create_task(draw(engine, count)))
        await asyncio.sleep(0.5)
    await asyncio.gather(*drawings)
    ours_s = time.perf_counter() - begun_s
    rate = 60 * sum(load) / ours_s
    what = f"{course.model}: {len(load)} requests one by one, {sum(load)} pictures"
    report.add(what, [ours_s], note=f"{rate:.1f} pictures a minute")
    if theirs:
        theirs_s = sum(cheapest_s(count, theirs) for count in load)
        their_rate = 60 * sum(load) / theirs_s
        note = f"{their_rate:.1f} pictures a minute, from the medians above"
        report.add(f"{what}, min-dalle", [theirs_s], note=note)
        report.note("load", times_as_fast=rate / their_rate)


def cheapest_s(count: int, grid_s: dict[int, float]) -> float:
    """The least time for so many pictures in grids of 1, 4 and 9; surplus ones are dropped."""
    best = [0.0]
    for wanted in range(1, count + 1):
        best.append(min(s + best[max(0, wanted - size)] for size, s in grid_s.items()))
    return best[count]


def pixels_floor_s(count: int, roof: Roof) -> float:
    """What the VQGAN's decoder takes at the roof of sums."""
    return count * _PIXELS_FLOP / roof.flop_per_s


def decoding_floor_s(course: Course, count: int, roof: Roof) -> float:
    """What 256 steps take at the roof: the bytes of matrices and cache, or the sums.

    Rows are twice the pictures (super conditioning); the cache is half full on average.
    """
    sizes = json.loads((course.folder / course.model / "dalle_bart" / "config.json").read_text())
    width, inner = sizes["d_model"], sizes["decoder_ffn_dim"]
    per_layer = 6 * width * width + 3 * width * inner  # q k v o, cross q o; gate, value, out
    numbers = sizes["decoder_layers"] * per_layer + width * 16_384
    number_bytes = 4 if course.dtype == "float32" else 2
    rows = 2 * count
    cache = sizes["decoder_layers"] * rows * sizes["image_length"] // 2 * 2 * width
    bytes_s = (numbers + cache) * number_bytes / roof.bytes_per_s
    flop_s = 2 * rows * (numbers + cache / rows) / roof.flop_per_s
    return sizes["image_length"] * max(bytes_s, flop_s)


async def is_the_same_in_company(engine: EngineProcess) -> bool:
    """Whether a picture of the true size has the same tokens alone and among nine."""
    (alone,) = (await drawn(engine, 1)).pictures
    among = {picture.index: picture.tokens for picture in (await drawn(engine, 9)).pictures}
    return among[0] == alone.tokens


class Peer:
    """The peer's process; see ``tests/bench/peer.py``."""

    def __init__(self, course: Course) -> None:
        device = "cpu" if course.device == "cpu" else "cuda"
        script = str(_ROOT / "tests" / "bench" / "peer.py")
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            [
                *(str(course.peer_python), "-W", "ignore", script),
                *("--model", course.model, "--device", device),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def draw(self, side: int) -> dict[str, Any]:
        """Seconds of a grid of ``side`` by ``side``."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"side": side, "steps": PEER_STEPS}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("min-dalle ended; its last words are above")
        return json.loads(line)
