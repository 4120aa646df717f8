"""A checkpoint of the true sizes with random numbers in it: fit for timing, not for looking.

The sizes are the released ones (``tests/golden/data/official``); the tokenizers are the demo
model's, whose ids are fewer.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from flax import nnx

from engine import weights
from engine.api import DEMO_CHECKPOINT
from tests.support.tiny import DATA

if TYPE_CHECKING:
    from pathlib import Path


def random_checkpoint(folder: Path, model: str) -> Path:
    """Write ``mini`` or ``mega`` with VQGAN and CLIP, unless it is there; float16 on disk."""
    done = folder / "done"
    if not done.exists():
        _write(weights.DALLE_BART, folder, _official(f"dalle_{model}"))
        _write(weights.VQGAN, folder, _official("vqgan_imagenet_f16_16384"))
        _write(
            weights.CLIP, folder, {"projection_dim": 512, "text_config": {}, "vision_config": {}}
        )
        for part in ("dalle_bart", "clip"):
            _copy_tokenizer(DEMO_CHECKPOINT / part, folder / part)
        done.touch()
    return folder


def _official(name: str) -> dict[str, Any]:
    return json.loads((DATA / "official" / f"{name}.config.json").read_text(encoding="utf-8"))


def _write(form: weights.ModelFormat[Any], folder: Path, config: dict[str, Any]) -> None:
    model = form.build(form.read_config(config), rngs=nnx.Rngs(0))
    weights.save_model(form, model, folder / form.folder, config)


def _copy_tokenizer(source: Path, target: Path) -> None:
    for path in source.glob("*.json"):
        if path.name not in {"config.json", "preprocessor_config.json"}:
            shutil.copy(path, target)
    size = {"size": 224, "crop_size": 224}
    stats = json.loads((DEMO_CHECKPOINT / "clip" / "preprocessor_config.json").read_text())
    if target.name == "clip":
        (target / "preprocessor_config.json").write_text(json.dumps(stats | size))
