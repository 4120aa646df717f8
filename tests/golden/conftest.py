"""Models that several golden tests share; loading one takes seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine import weights
from engine.contract import RunnerSettings
from engine.runner import JaxRunner, load_runner
from tests.support.tiny import DATA, tiny_checkpoint

if TYPE_CHECKING:
    from engine.models.clip import Clip
    from engine.models.dalle_bart import DalleBart
    from engine.models.vqgan import Vqgan


@pytest.fixture(scope="session")
def dalle_bart() -> DalleBart:
    return weights.load_model(weights.DALLE_BART, DATA / "dalle_mini_tiny")


@pytest.fixture(scope="session")
def vqgan() -> Vqgan:
    return weights.load_model(weights.VQGAN, DATA / "vqgan_tiny")


@pytest.fixture(scope="session")
def clip() -> Clip:
    return weights.load_model(weights.CLIP, DATA / "clip_tiny")


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> JaxRunner:
    """Four slots, warmed up; its pictures are 64 tokens in 4 chunks."""
    runner = load_runner(
        RunnerSettings(
            checkpoint_dir=tiny_checkpoint(tmp_path_factory.mktemp("tiny")), slot_count=4
        )
    )
    runner.warm_up()
    return runner
