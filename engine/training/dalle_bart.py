"""Trains DalleBart to continue a caption with the codes of its picture.

Some captions are dropped, so that the model also learns what pictures look like without
one: that is what super conditioning moves away from.

Source: Dayma et al. 2021, "DALL·E Mini"; Ho & Salimans 2022, "Classifier-Free Diffusion
Guidance" (dropping the condition).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from engine.models.dalle_bart import DalleBart, DalleBartConfig
from engine.training.fit import Fit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from engine.text import TextTokenizer
    from engine.training.dataset import Dataset
    from engine.training.recipe import Recipe


def train(
    recipe: Recipe,
    data: Dataset,
    codes: NDArray[np.int16],
    tokenizer: TextTokenizer,
    folder: Path,
) -> DalleBart:
    """Train until the recipe's last step, from where an earlier run stopped."""
    config = DalleBartConfig.from_json(recipe.dalle_bart_config())
    model = DalleBart(config, rngs=nnx.Rngs(recipe.seed + 2))
    fit = Fit("dalle_bart", model, recipe.dalle_bart, folder)
    texts = _Texts(tokenizer)

    def batch(step: int) -> dict[str, Any]:
        rng = np.random.default_rng((recipe.seed, 5, step))
        indices = data.batch_indices(recipe.dalle_bart.batch_size, rng)
        prompts = [
            None if rng.random() < recipe.caption_dropout else data.some_caption(i, rng)
            for i in indices
        ]
        ids, masks = zip(*(texts.of(prompt) for prompt in prompts), strict=True)
        wanted = codes[indices].astype(np.int32)
        start = np.full((len(wanted), 1), config.decoder_start_token_id, np.int32)
        return {
            "ids": np.stack(ids),
            "mask": np.stack(masks),
            "tokens": np.concatenate([start, wanted[:, :-1]], axis=1),
            "wanted": wanted,
        }

    fit.run(_loss, batch, until=recipe.dalle_bart.step_count)
    return fit.model


class _Texts:
    """Remembers the ids of captions: normalising one takes longer than using it."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str | None, tuple[NDArray[Any], NDArray[Any]]] = {}

    def of(self, prompt: str | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Ids and mask of a caption, or of no caption at all."""
        if prompt not in self._known:
            encode, nothing = self._tokenizer.encode, self._tokenizer.unconditional
            text = nothing if prompt is None else encode(prompt)
            self._known[prompt] = (text.ids, text.mask.astype(bool))
        return self._known[prompt]


def _loss(model: Any, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    states = model.encoder(batch["ids"], batch["mask"])
    logits = model.decoder(batch["tokens"], states, batch["mask"])
    chance = jax.nn.log_softmax(logits, axis=-1)
    loss = -jnp.take_along_axis(chance, batch["wanted"][..., None], axis=-1).mean()
    return loss, {"loss": loss}
