"""CLIP and its preparation of pictures against the numbers of the original code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from engine import weights
from engine.clip_pixels import ClipPixels
from engine.text import ClipTokenizer
from tests.support.tiny import DATA, golden

if TYPE_CHECKING:
    from engine.models.clip import Clip

EMBEDDING_TOLERANCE = 1e-5
LOGITS_TOLERANCE = 1e-4
# About twice what was measured: 0.0007 in float16, 0.006 in bfloat16.
COARSE_TOLERANCE = {"float16": 0.0015, "bfloat16": 0.012}


def test_embeddings_and_logits_equal_those_of_the_original(clip: Clip) -> None:
    expected = golden("clip_tiny")
    pixels = expected["pixel_values"].transpose(0, 2, 3, 1)  # NCHW -> NHWC

    texts = nnx.jit(lambda model, ids, mask: model.embed_text(ids, mask))(
        clip, expected["input_ids"], expected["attention_mask"].astype(bool)
    )
    pictures = nnx.jit(lambda model, x: model.embed_pictures(x))(clip, pixels)

    np.testing.assert_allclose(texts, expected["text_embeds"], atol=EMBEDDING_TOLERANCE, rtol=0)
    np.testing.assert_allclose(pictures, expected["image_embeds"], atol=EMBEDDING_TOLERANCE, rtol=0)
    np.testing.assert_allclose(
        clip.logits(pictures, texts), expected["logits_per_image"], atol=LOGITS_TOLERANCE, rtol=0
    )
    np.testing.assert_allclose(
        clip.logits(texts, pictures), expected["logits_per_text"], atol=LOGITS_TOLERANCE, rtol=0
    )


def test_features_before_they_are_made_unit_vectors_equal_those_of_the_original(
    clip: Clip,
) -> None:
    expected = golden("clip_tiny")
    pixels = expected["pixel_values"].transpose(0, 2, 3, 1)  # NCHW -> NHWC
    mask = expected["attention_mask"].astype(bool)

    texts = nnx.jit(lambda model, ids, mask: model.text_projection(model.text(ids, mask)))(
        clip, expected["input_ids"], mask
    )
    pictures = nnx.jit(lambda model, x: model.visual_projection(model.vision(x)))(clip, pixels)

    for ours, name in ((texts, "text"), (pictures, "image")):
        np.testing.assert_allclose(
            ours, expected[f"{name}_features_unnormalized"], atol=EMBEDDING_TOLERANCE, rtol=0
        )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_fewer_bits_stay_near_the_embeddings_of_the_original(dtype: str) -> None:
    expected = golden("clip_tiny")
    model = weights.load_model(weights.CLIP, DATA / "clip_tiny", dtype=jnp.dtype(dtype))

    texts = nnx.jit(lambda model, ids, mask: model.embed_text(ids, mask))(
        model, expected["input_ids"], expected["attention_mask"].astype(bool)
    )
    pictures = nnx.jit(lambda model, x: model.embed_pictures(x))(
        model, expected["pixel_values"].transpose(0, 2, 3, 1)
    )

    for ours, name in ((texts, "text_embeds"), (pictures, "image_embeds")):
        np.testing.assert_allclose(ours, expected[name], atol=COARSE_TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("case", [0, 1])
def test_pictures_are_prepared_as_by_the_original(case: int) -> None:
    expected = golden("clip_tiny")
    prepare = ClipPixels.from_folder(DATA / "clip_tiny", side_px=224).prepare

    pixels = prepare(expected[f"image{case}_uint8"][None])

    np.testing.assert_allclose(
        pixels[0].transpose(2, 0, 1), expected["pixel_values"][case], atol=1e-5, rtol=0
    )


def test_texts_are_tokenized_as_by_the_original() -> None:
    expected = golden("clip_tiny")
    tokenizer = ClipTokenizer.from_folder(DATA / "clip_tiny", context_length=77)

    texts = [tokenizer.encode(text) for text in json.loads(str(expected["texts_json"]))]

    np.testing.assert_array_equal([text.ids for text in texts], expected["input_ids"])
    np.testing.assert_array_equal([text.mask for text in texts], expected["attention_mask"])
