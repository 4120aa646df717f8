"""Trains the small CLIP: captions and pictures of the same scenes are pulled together.

Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
Supervision", figure 3 (symmetric cross-entropy over the similarities of a batch).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from engine.clip_pixels import ClipPixels
from engine.models.clip import Clip, ClipConfig
from engine.training.fit import Fit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from engine.text import ClipTokenizer
    from engine.training.dataset import Dataset
    from engine.training.recipe import Recipe

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
_PIXEL_NOISE = 0.03  # of the range: drawn pictures are not as clean as the scenes


def train(recipe: Recipe, data: Dataset, tokenizer: ClipTokenizer, folder: Path) -> Clip:
    """Train until the recipe's last step, from where an earlier run stopped."""
    config = ClipConfig.from_json(recipe.clip_config())
    model = Clip(config, dtype=jnp.dtype(recipe.dtype), rngs=nnx.Rngs(recipe.seed + 1))
    fit = Fit("clip", model, recipe.clip, folder)
    pixels = ClipPixels(side_px=config.image_size, mean=MEAN, std=STD)

    def batch(step: int) -> dict[str, Any]:
        rng = np.random.default_rng((recipe.seed, 4, step))
        indices = data.batch_indices(recipe.clip.batch_size, rng)
        captions = [data.some_caption(i, rng) for i in indices]
        texts = [tokenizer.encode(one) for one in captions]
        noise = rng.normal(0, _PIXEL_NOISE, (len(indices), 1, 1, 3)).astype(np.float32)
        return {
            "pixels": pixels.prepare(data.pixels[indices])
            + noise / np.asarray(pixels.std, np.float32),
            "ids": np.stack([one.ids for one in texts]),
            "mask": np.stack([one.mask for one in texts]).astype(bool),
            "same": np.array([[one == other for other in captions] for one in captions]),
        }

    fit.run(_loss, batch, until=recipe.clip.step_count)
    return fit.model


def _loss(model: Any, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    pictures = model.embed_pictures(batch["pixels"])
    texts = model.embed_text(batch["ids"], batch["mask"])
    logits = model.logits(pictures, texts).astype(jnp.float32)
    # two scenes of a batch may have the same caption: both are right then
    wanted = batch["same"] / batch["same"].sum(-1, keepdims=True)
    loss = (_cross_entropy(logits, wanted) + _cross_entropy(logits.T, wanted)) / 2
    right = jnp.take_along_axis(batch["same"], logits.argmax(-1)[:, None], axis=-1).mean()
    return loss, {"right": right}


def _cross_entropy(logits: Any, wanted: Any) -> Any:
    return -(wanted * jax.nn.log_softmax(logits, axis=-1)).sum(-1).mean()
