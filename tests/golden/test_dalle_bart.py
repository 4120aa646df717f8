"""DalleBart against the numbers of the original code, stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from engine import weights
from tests.support.tiny import DATA, golden

if TYPE_CHECKING:
    from engine.models.dalle_bart import DalleBart

ENCODER_TOLERANCE = 1e-4
LOGITS_TOLERANCE = 2e-4


@nnx.jit
def teacher_forced(model: DalleBart, ids: Any, mask: Any, tokens: Any) -> jax.Array:
    mask = mask.astype(bool)
    return model.decoder(tokens, model.encoder(ids, mask), mask)


def test_encoder_states_equal_those_of_the_original(dalle_bart: DalleBart) -> None:
    expected = golden("dalle_mini_tiny")

    states = nnx.jit(lambda model, ids, mask: model.encoder(ids, mask))(
        dalle_bart, expected["enc_input_ids"], expected["enc_attention_mask"].astype(bool)
    )

    np.testing.assert_allclose(
        states, expected["encoder_last_hidden_state"], atol=ENCODER_TOLERANCE, rtol=0
    )


def test_teacher_forced_logits_equal_those_of_the_original(dalle_bart: DalleBart) -> None:
    expected = golden("dalle_mini_tiny")

    logits = teacher_forced(
        dalle_bart,
        expected["input_ids"][:2],
        expected["attention_mask"][:2],
        expected["tf_decoder_input_ids"],
    )

    np.testing.assert_allclose(logits, expected["tf_logits"], atol=LOGITS_TOLERANCE, rtol=0)


def test_unconditional_logits_equal_those_of_the_original(dalle_bart: DalleBart) -> None:
    expected = golden("dalle_mini_tiny")

    logits = teacher_forced(
        dalle_bart,
        expected["input_ids_uncond"][:1],
        expected["attention_mask_uncond"][:1],
        expected["tf_decoder_input_ids"][:1],
    )

    np.testing.assert_allclose(
        logits, expected["tf_logits_uncond_row0"], atol=LOGITS_TOLERANCE, rtol=0
    )


def test_a_checkpoint_with_one_entry_per_layer_gives_the_numbers_of_the_original() -> None:
    expected = golden("variant_unscanned")
    model = weights.load_model(weights.DALLE_BART, DATA / "variants" / "unscanned")

    logits = teacher_forced(
        model,
        expected["input_ids"],
        expected["attention_mask"],
        expected["tf_decoder_input_ids"],
    )

    np.testing.assert_allclose(logits, expected["tf_logits"], atol=LOGITS_TOLERANCE, rtol=0)


@pytest.mark.parametrize("offset", [0, 5])
def test_step_by_step_logits_equal_those_of_whole_sequences(
    dalle_bart: DalleBart, offset: int
) -> None:
    """Rows are at different positions: row 1 lags ``offset`` steps behind row 0."""
    expected = golden("dalle_mini_tiny")
    tokens = expected["tf_decoder_input_ids"]
    mask = expected["attention_mask"][:2].astype(bool)
    states = nnx.jit(lambda model, ids, m: model.encoder(ids, m))(
        dalle_bart, expected["input_ids"][:2], mask
    )
    text = dalle_bart.decoder.remember_text(states)
    step = nnx.jit(lambda model, *args: model.decoder.step(*args))
    cache = dalle_bart.empty_cache(2)
    got = np.zeros((2, 12, expected["tf_logits"].shape[-1]), np.float32)

    for i in range(12 + offset):
        positions = np.array([min(i, 11), max(i - offset, 0)])
        current = jnp.asarray(tokens[np.arange(2), positions])
        logits, cache = step(dalle_bart, current, jnp.asarray(positions), cache, text, mask)
        got[np.arange(2), positions] = logits

    np.testing.assert_allclose(got, expected["tf_logits"][:, :12], atol=LOGITS_TOLERANCE, rtol=0)
