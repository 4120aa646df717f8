"""The token loop's decoder: alone and in company it is the same to the last bit."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine import weights
from engine.models import decode_step
from engine.models.dalle_bart import DalleBartConfig, Memory
from tests.support.tiny import DATA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine.models.dalle_bart import DalleBart

TEXT_LENGTH = 6


@pytest.fixture(scope="module")
def model() -> DalleBart:
    return weights.load_model(weights.DALLE_BART, DATA / "dalle_mini_tiny")


def logits(model: DalleBart, count: int, *, dtype: str = "float32") -> NDArray[np.float32]:
    """Logits [2, steps, V] of the first of ``count`` pictures, with and without the text."""
    step_weights = decode_step.step_weights(model.decoder, 256)
    step_weights = jax.tree.map(lambda x: x.astype(dtype), step_weights)
    heads, width = model.config.decoder_attention_heads, model.config.d_model
    random = np.random.default_rng(0)
    states = random.standard_normal((8, TEXT_LENGTH, width), np.float32)[:count]
    others = random.integers(0, 256, (8, 5))
    nothing = decode_step.remember_text(step_weights, jnp.asarray(states[:1, :2]), heads)
    texts = decode_step.Texts(
        memory=decode_step.remember_text(step_weights, jnp.asarray(states), heads),
        mask=jnp.ones((count, TEXT_LENGTH), bool),
        nothing=jax.tree.map(lambda x: jnp.repeat(x, count, axis=0), nothing),
    )
    cache = decode_step.empty_cache(model.config, 2 * count, jnp.dtype(dtype))
    step = jax.jit(functools.partial(decode_step.step, step_weights))
    seen: list[NDArray[np.float32]] = []
    for i in range(5):
        position = jnp.asarray([i, *[7 + i] * (count - 1)])
        out, cache = step(jnp.asarray(others[:count, i]), position, cache, texts)
        seen.append(np.asarray(out)[[0, count]])
    return np.stack(seen, axis=1)


@pytest.mark.parametrize("count", [3, 4, 8])
def test_a_row_is_near_itself_whatever_company_it_has(model: DalleBart, count: int) -> None:
    np.testing.assert_allclose(logits(model, count), logits(model, 2), atol=1e-4, rtol=0)


def test_text_and_no_text_are_read_by_different_rows(model: DalleBart) -> None:
    with_text, without = logits(model, 2)

    assert np.abs(with_text - without).max() > 0.01


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.5), ("float16", 0.15)])
def test_short_numbers_stay_near_long_ones(model: DalleBart, dtype: str, tolerance: float) -> None:
    short = logits(model, 2, dtype=dtype)

    assert short.dtype == np.float32
    np.testing.assert_allclose(short, logits(model, 2), atol=tolerance, rtol=0)


def test_a_cache_has_room_for_whole_pictures() -> None:
    config = DalleBartConfig.from_json(
        {
            "d_model": 8,
            "encoder_layers": 1,
            "decoder_layers": 3,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 8,
            "decoder_ffn_dim": 8,
            "encoder_vocab_size": 9,
            "max_text_length": 4,
            "image_vocab_size": 9,
            "image_length": 16,
            "decoder_start_token_id": 9,
        }
    )

    cache = decode_step.empty_cache(config, 6, jnp.bfloat16)

    assert len(cache) == 3
    assert all(isinstance(memory, Memory) for memory in cache)
    assert {part.shape for part in cache[0]} == {(6, 2, 16, 4)}
    assert cache[0].keys.dtype == jnp.bfloat16
