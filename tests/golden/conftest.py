"""Models that several golden tests share; loading one takes seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from engine import weights
from engine.api import PictureCheck
from engine.contract import RunnerSettings
from engine.runner import JaxRunner, load_runner
from tests.support.tiny import DATA, golden, tiny_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from engine.models.clip import Clip
    from engine.models.dalle_bart import DalleBart
    from engine.models.vqgan import Vqgan


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A tiny DalleBart, where it lies, and what the original code computed with it."""

    model: DalleBart
    folder: Path
    golden: dict[str, NDArray[Any]]


@pytest.fixture(scope="session", params=["dalle_mini_tiny", "dalle_mega_tiny"])
def reference(request: pytest.FixtureRequest) -> Reference:
    """Mini and mega: their options, sizes and vocabularies differ, mega's file is float16."""
    folder = DATA / request.param
    model = weights.load_model(weights.DALLE_BART, folder)
    return Reference(model=model, folder=folder, golden=golden(request.param))


@pytest.fixture(scope="session")
def vqgan() -> Vqgan:
    return weights.load_model(weights.VQGAN, DATA / "vqgan_tiny")


@pytest.fixture(scope="session")
def clip() -> Clip:
    return weights.load_model(weights.CLIP, DATA / "clip_tiny")


@pytest.fixture(scope="session")
def mega_runner(tmp_path_factory: pytest.TempPathFactory) -> JaxRunner:
    """Two slots; its pictures are 256 tokens, and its vocabulary has more than the codebook."""
    folder = tiny_checkpoint(tmp_path_factory.mktemp("mega"), dalle_bart="dalle_mega_tiny")
    return load_runner(
        RunnerSettings(
            checkpoint_dir=folder,
            slot_count=2,
            picture_check=PictureCheck.OFF,
        )
    )


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> JaxRunner:
    """Four slots, warmed up; its pictures are 64 tokens in 4 chunks."""
    runner = load_runner(
        RunnerSettings(
            checkpoint_dir=tiny_checkpoint(tmp_path_factory.mktemp("tiny")),
            slot_count=4,
            picture_check=PictureCheck.OFF,
        )
    )
    runner.warm_up()
    return runner
