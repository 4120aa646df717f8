"""Trains the demo checkpoint from nothing: ``python -m engine.training``.

Everything is seeded but the order in which CLIP's tokenizer numbers equal words, and every
stage is taken up again where an earlier run stopped. What comes out is a checkpoint in the
released on-disk format (see ``engine.weights``).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

import jax

from engine import weights
from engine.api import DEMO_CHECKPOINT
from engine.text import ClipTokenizer, TextNormaliser, TextTokenizer, WordRanks
from engine.training import clip, dalle_bart, tokenizers, vqgan
from engine.training.dataset import Dataset, dataset
from engine.training.objects import load_sprites
from engine.training.recipe import Recipe

_CAPTIONS_FOR_WORDS = 4_000  # enough to hold every word of the scenes many times


def main() -> None:
    """Train all stages and write the checkpoint."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--out", type=Path, default=DEMO_CHECKPOINT, help="where the checkpoint goes"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("data/training"), help="pictures, states and losses"
    )
    parser.add_argument(
        "--bfloat16", action="store_true", help="compute in bfloat16, keep weights in float32"
    )
    parser.add_argument(
        "--checkpoint-gradients", action="store_true", help="take less memory and more time"
    )
    parser.add_argument("--smoke", action="store_true", help="a few steps only: does it run?")
    options = parser.parse_args()
    # Gradients of convolutions use one core each, so every core is a device. To be said before
    # JAX looks for devices; without meaning on an accelerator.
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    options.work.mkdir(parents=True, exist_ok=True)
    recipe = _smoke(Recipe()) if options.smoke else Recipe()
    if options.bfloat16:
        recipe = dataclasses.replace(recipe, dtype="bfloat16")
    if options.checkpoint_gradients:
        recipe = _with_each_stage(recipe, checkpoint_gradients=True)
    train(recipe, options.work, options.out)


def train(recipe: Recipe, work: Path, out: Path) -> None:
    """Train the three models of ``recipe``, keeping states in ``work``."""
    started = time.monotonic()
    data = dataset(recipe, work)
    _train_tokenizers(recipe, data, work, out)
    sprites = load_sprites(work / "objects")
    picture_model, collages = vqgan.train(recipe, data, sprites, work)
    weights.save_model(weights.VQGAN, picture_model, out / "vqgan", recipe.vqgan_config())
    ranker = clip.train(recipe, data, _clip_tokenizer(recipe, out), work)
    weights.save_model(weights.CLIP, ranker, out / "clip", recipe.clip_config())
    drawer = dalle_bart.train(recipe, picture_model, collages, _text_tokenizer(recipe, out), work)
    config = recipe.dalle_bart_config() | recipe.sampling
    weights.save_model(weights.DALLE_BART, drawer, out / "dalle_bart", config)
    print(f"done in {(time.monotonic() - started) / 60:.0f} minutes: {out}")


def _train_tokenizers(recipe: Recipe, data: Dataset, work: Path, out: Path) -> None:
    captions = [wording for wordings in data.captions for wording in wordings]
    normalise = TextNormaliser(WordRanks.from_folder(out)).normalise
    some = sorted(set(captions))[:: len(captions) // _CAPTIONS_FOR_WORDS + 1]
    normalised = (normalise(one) for one in some)
    tokenizers.train_bart(normalised, recipe.text_vocab_size, out / "dalle_bart")
    if not (work / "clip.state").exists():  # a begun model knows its words by these very ids,
        # and training again gives some words others: the order of hash tables is by chance
        tokenizers.train_clip(captions, recipe.clip_vocab_size, out / "clip")
    preparation = {
        "crop_size": recipe.side_px,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "image_mean": list(clip.MEAN),
        "image_std": list(clip.STD),
        "resample": 3,
        "size": recipe.side_px,
    }
    path = out / "clip" / "preprocessor_config.json"
    path.write_text(json.dumps(preparation, indent=2) + "\n", encoding="utf-8")


def _text_tokenizer(recipe: Recipe, out: Path) -> TextTokenizer:
    return TextTokenizer.from_folder(
        out / "dalle_bart",
        max_text_length=recipe.max_text_length,
        embedding_rows=recipe.text_vocab_size,
    )


def _clip_tokenizer(recipe: Recipe, out: Path) -> ClipTokenizer:
    length = recipe.clip_config()["text_config"]["max_position_embeddings"]
    return ClipTokenizer.from_folder(out / "clip", context_length=length)


def _with_each_stage(recipe: Recipe, **values: Any) -> Recipe:
    stages = {name: getattr(recipe, name) for name in ("vqgan", "decoder", "clip", "dalle_bart")}
    changed = {name: dataclasses.replace(stage, **values) for name, stage in stages.items()}
    return dataclasses.replace(recipe, **changed)


def _smoke(recipe: Recipe) -> Recipe:
    """The same recipe with almost nothing to do."""
    short = _with_each_stage(recipe, step_count=4, batch_size=4, warmup_steps=1)
    return dataclasses.replace(short, scene_count=100, autoencoder_steps=2)


if __name__ == "__main__":
    main()
