"""Trains the small CLIP: captions and pictures of the same scenes are pulled together.

Half of a batch is alike but for what is shown, so that it learns to tell just that apart.

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

    from numpy.typing import NDArray

    from engine.text import ClipTokenizer
    from engine.training.dataset import Dataset
    from engine.training.recipe import Recipe

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
_CHOICE = 8  # batches of scenes to choose alike ones from
_PIXEL_NOISE = 0.03  # of the range: drawn pictures are not as clean as the scenes


def train(recipe: Recipe, data: Dataset, tokenizer: ClipTokenizer, folder: Path) -> Clip:
    """Train until the recipe's last step, from where an earlier run stopped."""
    config = ClipConfig.from_json(recipe.clip_config())
    model = Clip(config, dtype=jnp.dtype(recipe.dtype), rngs=nnx.Rngs(recipe.seed + 1))
    fit = Fit("clip", model, recipe.clip, folder)
    pixels = ClipPixels(side_px=config.image_size, mean=MEAN, std=STD)

    def batch(step: int) -> dict[str, Any]:
        rng = np.random.default_rng((recipe.seed, 4, step))
        indices = alike(data, recipe.clip.batch_size, rng)
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


def alike(data: Dataset, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the scenes of a batch, half of them alike in background and colour.

    What tells these apart is what is shown: that is what candidates for one prompt differ in.
    """
    some = data.batch_indices(size - size // 2, rng)
    others = data.batch_indices(_CHOICE * size, rng)
    paints = data.paints[others].reshape(len(others), -1)
    order = np.lexsort((rng.random(len(others)), paints.max(axis=1), data.backgrounds[others]))
    start = rng.integers(0, len(others) - size // 2 + 1)
    return np.concatenate([some, others[order[start : start + size // 2]]])


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
