"""What CLIP holds against pictures, by two routes; with the tiny CLIP, whose numbers are noise."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from flax import nnx

from engine import weights
from engine.clip_pixels import ClipPixels
from engine.models.clip import Clip, ClipConfig
from engine.painting import Ranker
from engine.programs import Tracer
from engine.text import ClipTokenizer
from engine.verdicts import HARMLESS_CAPTIONS, UNSAFE_CAPTIONS
from tests.support.tiny import DATA

PIXELS = np.random.default_rng(1).integers(0, 256, (3, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def clip() -> Clip:
    """The sharper its logits, the more they tell apart."""
    clip = weights.load_model(weights.CLIP, DATA / "clip_tiny")
    clip.logit_scale = nnx.Param(clip.logit_scale[...] + 3)
    return clip


def ranker(clip: Clip, tracer: Tracer, *, is_suspicious: bool) -> Ranker:
    return Ranker(
        tracer,
        clip,
        ClipTokenizer.from_folder(DATA / "clip_tiny", context_length=77),
        ClipPixels.from_folder(DATA / "clip_tiny", side_px=clip.config.image_size),
        is_suspicious=is_suspicious,
    )


def test_the_suspicion_is_the_share_of_unsafe_captions(clip: Clip) -> None:
    plain = ranker(clip, Tracer(), is_suspicious=False)
    captions = (*UNSAFE_CAPTIONS, *HARMLESS_CAPTIONS)
    logits = np.stack([plain.rank(caption, PIXELS).scores for caption in captions], axis=1)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    scores, suspicions = ranker(clip, Tracer(), is_suspicious=True).rank("a cat", PIXELS)

    np.testing.assert_allclose(suspicions, shares[:, : len(UNSAFE_CAPTIONS)].sum(axis=1), rtol=1e-4)
    np.testing.assert_allclose(scores, plain.rank("a cat", PIXELS).scores, rtol=1e-5)
    assert plain.rank("a cat", PIXELS).suspicions is None


def test_captions_are_embedded_once_and_compile_nothing_later(clip: Clip) -> None:
    tracer = Tracer()
    suspicious = ranker(clip, tracer, is_suspicious=True)
    first = suspicious.rank("a cat", PIXELS)
    traced = tracer.count

    again = suspicious.rank("a dog", PIXELS)

    np.testing.assert_array_equal(again.suspicions, first.suspicions)
    assert tracer.count == traced


def test_only_a_clip_with_the_released_vocabulary_knows_words(clip: Clip) -> None:
    released = ClipConfig.from_json({"text_config": {}, "vision_config": {}})
    demo = json.loads((weights.SAFETY_WEIGHTS.parents[1] / "demo/clip/config.json").read_text())

    assert released.knows_words
    assert not ClipConfig.from_json(demo).knows_words
    assert not clip.config.knows_words
    assert dataclasses.replace(clip.config, vocab_size=49_408).knows_words
