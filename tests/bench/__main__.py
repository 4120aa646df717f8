"""``make bench``: how fast pictures are drawn here, and how fast the fastest peer draws them.

``python -m tests.bench --device gpu:0 --model mega --dtype bfloat16`` measures the same on a
GPU. The machine should be quiet.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from tests.bench import demo, race
from tests.bench.report import Report


def main() -> None:
    """Measure, print a table and write ``bench.json``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", choices=["mini", "mega"], default="mini")
    parser.add_argument("--device", default="cpu", help="cpu, gpu, or gpu:1")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--slots", type=int, default=20, help="pictures drawn at once")
    parser.add_argument("--turns", type=int, default=3, help="0 leaves out all but the load")
    parser.add_argument("--requests", type=int, default=len(race.LOAD), help="of the load")
    parser.add_argument("--folder", type=Path, default=Path("data/bench"), help="for weights")
    parser.add_argument("--peer", type=Path, help="Python of the peer's environment")
    parser.add_argument("--json", type=Path, default=Path("data/bench/bench.json"))
    parser.add_argument("--without", choices=["demo", "race"], action="append", default=[])
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    report = Report(device=options.device, dtype=options.dtype, slots=options.slots)
    if "demo" not in options.without:
        asyncio.run(demo.measure(report, options.slots))
    if "race" not in options.without:
        course = race.Course(
            model=options.model,
            device="gpu:0" if options.device == "gpu" else options.device,
            dtype=options.dtype,
            slot_count=options.slots,
            turns=options.turns,
            request_count=options.requests,
            folder=options.folder,
            peer_python=options.peer,
        )
        asyncio.run(race.measure(report, course))
    report.write(options.json)


if __name__ == "__main__":
    main()
