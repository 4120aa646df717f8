"""What ships is what the recipe says, and what training would make again."""

from __future__ import annotations

import json

import pytest

from engine.api import DEMO_CHECKPOINT
from engine.training.recipe import Recipe

RECIPE = Recipe()
CONFIGS = {
    "vqgan": RECIPE.vqgan_config(),
    "clip": RECIPE.clip_config(),
    "dalle_bart": RECIPE.dalle_bart_config() | RECIPE.sampling,
}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_demo_checkpoint_is_of_this_recipe(name: str) -> None:
    shipped = json.loads((DEMO_CHECKPOINT / name / "config.json").read_text("utf-8"))

    assert shipped == CONFIGS[name]
