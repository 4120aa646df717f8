"""The training script: from nothing to a checkpoint that the engine draws with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.api import PictureCheck, SamplingOptions
from engine.contract import Placement, RunnerSettings
from engine.runner import load_runner
from tests.support.sprites import write_stand_ins

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
PROMPT = "a red circle on a blue background"


@pytest.mark.long
@pytest.mark.timeout(600)  # compiling takes a minute or two on two cores
def test_training_from_nothing_ends_in_a_checkpoint_that_draws(tmp_path: Path) -> None:
    write_stand_ins(tmp_path / "work" / "objects")
    trained(tmp_path)
    checkpoint = files(tmp_path / "out")

    told = trained(tmp_path)  # taken up again where nothing is left to do

    assert [line for line in told if "taken up" in line] == [
        "vqgan: taken up again at step 4",
        "decoder: taken up again at step 4",
        "clip: taken up again at step 4",
        "dalle_bart: taken up again at step 4",
    ]
    assert files(tmp_path / "out") == checkpoint
    assert drawn_from(tmp_path / "out").shape == (1, 256, 256, 3)  # 64 pixels, enlarged


def trained(folder: Path) -> list[str]:
    """Run the script with a few steps only; what it told."""
    out, work = str(folder / "out"), str(folder / "work")
    command = ["-m", "engine.training", "--smoke", "--out", out, "--work", work]
    # four steps of each are not worth the compiler's best
    env = os.environ | {
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
    }
    run = subprocess.run(  # noqa: S603 - this project's own module
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False, env=env
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def drawn_from(checkpoint: Path) -> NDArray[np.uint8]:
    """Draw one picture and have it ranked."""
    runner = load_runner(
        RunnerSettings(
            checkpoint_dir=checkpoint,
            slot_count=1,
            picture_check=PictureCheck.OFF,
        )
    )
    runner.place([Placement(slot=0, prompt=PROMPT, seed=1, index=0, options=SamplingOptions())])
    for _ in range(runner.chunk_count):
        runner.step()
    pixels = runner.render(runner.tokens([0]))
    assert np.isfinite(runner.rank(PROMPT, pixels).scores).all()
    return pixels
