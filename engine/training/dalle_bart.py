"""Trains DalleBart to continue a caption with the codes of its picture.

The pictures are collages (see ``engine.training.collage``): their codes are put together anew
in every step, so no scene is seen twice but by chance. A code is a shape and a colour, and the
model learns a vector for each of them instead of one for each of their pairs: what it learns of
a shape holds for a pair that it never saw. The vectors of the pairs are what it is saved with.

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
from engine.training.dataset import sample
from engine.training.fit import Fit
from engine.training.progress import rows_of_pictures
from engine.training.scenes import canonical_caption, held_out_scenes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from engine.models.vqgan import Vqgan
    from engine.text import TextTokenizer
    from engine.training.collage import Collages
    from engine.training.recipe import Recipe

_PAIR_WEIGHT = 0.1
"""Of what is learned of a pair of shape and colour beyond the two, such as that there is none."""

_SHEET = 4  # pictures in a row and in a column
_SHEET_TEMPERATURE = 0.5


class SplitDalleBart(nnx.Module):
    """A DalleBart whose image tokens are pairs of a shape and a colour."""

    def __init__(self, model: DalleBart, recipe: Recipe, rngs: nnx.Rngs) -> None:
        shape_count, colour_count = recipe.shape_count, recipe.colour_count
        width = model.config.d_model

        def vectors(count: int) -> nnx.Param[Any]:
            return nnx.Param(0.02 * jax.random.normal(rngs.params(), (count, width)))

        self.model = model
        self.shapes_in, self.colours_in = vectors(shape_count), vectors(colour_count)
        self.shapes_out, self.colours_out = vectors(shape_count), vectors(colour_count)
        self.pairs_out = nnx.Param(jnp.zeros((shape_count * colour_count, width)))

    def joined(self) -> DalleBart:
        """The DalleBart with the vectors of all pairs, in the order of the shapes."""
        decoder = self.model.decoder
        pair_count = self.pairs_out.shape[0]
        tokens_in = _sums(self.shapes_in[...], self.colours_in[...])
        tokens_out = _sums(self.shapes_out[...], self.colours_out[...])
        tokens_out += _PAIR_WEIGHT * self.pairs_out[...]
        embedding, kernel = decoder.tokens.embedding, decoder.lm_head.kernel
        embedding[...] = jnp.concatenate([tokens_in, embedding[...][pair_count:]])
        kernel[...] = jnp.concatenate([tokens_out.T, kernel[...][:, pair_count:]], axis=1)
        return self.model


def _sums(shapes: Any, colours: Any) -> Any:
    return (shapes[:, None] + colours[None]).reshape(-1, shapes.shape[-1])


def train(
    recipe: Recipe, vqgan: Vqgan, collages: Collages, tokenizer: TextTokenizer, folder: Path
) -> DalleBart:
    """Train until the recipe's last step, from where an earlier run stopped.

    ``collages`` knows the codes that ``vqgan`` gives to the parts of scenes.
    """
    config = DalleBartConfig.from_json(recipe.dalle_bart_config())
    rngs = nnx.Rngs(recipe.seed + 2)
    model = DalleBart(config, dtype=jnp.dtype(recipe.dtype), rngs=rngs)
    split = SplitDalleBart(model, recipe, rngs)
    texts = _Texts(tokenizer)

    def show(split: SplitDalleBart) -> Image.Image:
        ids, masks = zip(*(texts.of(canonical_caption(one)) for one in shown), strict=True)
        codes = _sampled(split.joined(), np.stack(ids), np.stack(masks))
        pictures = np.asarray(decode(vqgan, codes)).reshape(_SHEET, -1, *[recipe.side_px] * 2, 3)
        return rows_of_pictures(*pictures)

    shown = held_out_scenes(_SHEET**2, recipe.seed)
    decode = nnx.jit(lambda model, codes: model.decode(codes))
    fit = Fit("dalle_bart", split, recipe.dalle_bart, folder, show=show)
    size = recipe.dalle_bart.batch_size

    def batch(step: int) -> dict[str, Any]:
        rng = np.random.default_rng((recipe.seed, 5, step))
        # numbers below are those of the pictures that VQGAN and CLIP learn from
        numbers = range(recipe.scene_count + step * size, recipe.scene_count + (step + 1) * size)
        samples = [sample(recipe.seed, number) for number in numbers]
        prompts = [
            None if rng.random() < recipe.caption_dropout else one.captions[0] for one in samples
        ]
        ids, masks = zip(*(texts.of(prompt) for prompt in prompts), strict=True)
        wanted = np.stack([collages.codes(one.scene, one.places) for one in samples])
        start = np.full((size, 1), config.decoder_start_token_id, np.int32)
        return {
            "ids": np.stack(ids),
            "mask": np.stack(masks),
            "tokens": np.concatenate([start, wanted[:, :-1]], axis=1, dtype=np.int32),
            "wanted": wanted.astype(np.int32),
        }

    fit.run(_loss, batch, until=recipe.dalle_bart.step_count)
    return fit.model.joined()


def _sampled(model: DalleBart, ids: Any, mask: Any) -> NDArray[np.int32]:
    """Image tokens [B, S] for texts, plainly: no guidance, nothing kept between positions."""
    config = model.config

    @nnx.jit
    def next_tokens(model: Any, tokens: Any, position: Any, key: Any) -> Any:
        logits = model.decoder(tokens, model.encoder(ids, mask), mask)[:, position]
        return jax.random.categorical(key, logits.astype(jnp.float32) / _SHEET_TEMPERATURE)

    tokens = np.full((len(ids), config.image_length + 1), config.decoder_start_token_id, np.int32)
    for i, key in enumerate(jax.random.split(jax.random.key(0), config.image_length)):
        tokens[:, i + 1] = next_tokens(model, tokens[:, :-1], i, key)
    return tokens[:, 1:]


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


def _loss(split: Any, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    model = split.joined()
    states = model.encoder(batch["ids"], batch["mask"])
    logits = model.decoder(batch["tokens"], states, batch["mask"]).astype(jnp.float32)
    chance = jax.nn.log_softmax(logits, axis=-1)
    loss = -jnp.take_along_axis(chance, batch["wanted"][..., None], axis=-1).mean()
    return loss, {}
