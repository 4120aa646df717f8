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

import jax

from engine import weights
from engine.api import DEMO_CHECKPOINT
from engine.text import ClipTokenizer, TextNormaliser, TextTokenizer, WordRanks
from engine.training import clip, dalle_bart, tokenizers, vqgan
from engine.training.dataset import Dataset, dataset
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
    parser.add_argument("--smoke", action="store_true", help="a few steps only: does it run?")
    options = parser.parse_args()
    # Gradients of convolutions use one core each, so every core is a device. To be said before
    # JAX looks for devices; without meaning on an accelerator.
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    options.work.mkdir(parents=True, exist_ok=True)
    train(_smoke(Recipe()) if options.smoke else Recipe(), options.work, options.out)


def train(recipe: Recipe, work: Path, out: Path) -> None:
    """Train the three models of ``recipe``, keeping states in ``work``."""
    started = time.monotonic()
    data = dataset(recipe, work)
    _train_tokenizers(recipe, data, work, out)
    picture_model = vqgan.train(recipe, data, work)
    weights.save_model(weights.VQGAN, picture_model, out / "vqgan", recipe.vqgan_config())
    ranker = clip.train(recipe, data, _clip_tokenizer(recipe, out), work)
    weights.save_model(weights.CLIP, ranker, out / "clip", recipe.clip_config())
    codes = vqgan.encode_all(picture_model, data, work / "codes.npy")
    drawer = dalle_bart.train(recipe, data, codes, _text_tokenizer(recipe, out), work)
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


def _smoke(recipe: Recipe) -> Recipe:
    """The same recipe with almost nothing to do."""
    few = {"step_count": 4, "batch_size": 4, "warmup_steps": 1}
    return dataclasses.replace(
        recipe,
        scene_count=300,
        autoencoder_steps=2,
        vqgan=dataclasses.replace(recipe.vqgan, **few),
        clip=dataclasses.replace(recipe.clip, **few),
        dalle_bart=dataclasses.replace(recipe.dalle_bart, **few),
    )


if __name__ == "__main__":
    main()
