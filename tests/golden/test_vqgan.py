"""VQGAN against the numbers of the original code, in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from engine import weights
from tests.support.tiny import DATA, golden

if TYPE_CHECKING:
    from engine.models.vqgan import Vqgan

TOLERANCE = 5e-4
# Twice what was measured: 0.015 and 0.025 in float16, 0.103 and 0.212 in bfloat16.
PIXEL_TOLERANCE = {"float16": 0.03, "bfloat16": 0.21}
LATENT_TOLERANCE = {"float16": 0.05, "bfloat16": 0.42}


@pytest.mark.parametrize("case", [0, 1])
def test_decoded_pixels_equal_those_of_the_original(vqgan: Vqgan, case: int) -> None:
    expected = golden("vqgan_tiny")

    pixels = nnx.jit(lambda model, codes: model.decode(codes))(
        vqgan, expected[f"decode{case}_codes"]
    )

    np.testing.assert_allclose(pixels, expected[f"decode{case}_pixels"], atol=TOLERANCE, rtol=0)


def test_the_pixels_of_the_pipeline_equal_those_of_the_original(vqgan: Vqgan) -> None:
    expected = golden("pipeline")

    pixels = nnx.jit(lambda model, codes: model.decode(codes))(vqgan, expected["image_tokens"])

    np.testing.assert_allclose(
        np.clip(pixels, 0, 1), expected["images_float_clipped"], atol=TOLERANCE, rtol=0
    )


@pytest.mark.parametrize("case", [0, 1])
def test_encoded_pictures_equal_those_of_the_original(vqgan: Vqgan, case: int) -> None:
    expected = golden("vqgan_tiny")
    pixels = expected[f"encode{case}_images_uint8"].astype(np.float32) / 255

    latents = nnx.jit(lambda model, x: model.latents(x))(vqgan, pixels)

    np.testing.assert_allclose(latents, expected[f"encode{case}_latents"], atol=TOLERANCE, rtol=0)
    np.testing.assert_array_equal(vqgan.nearest_codes(latents), expected[f"encode{case}_codes"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_fewer_bits_stay_near_the_numbers_of_the_original(dtype: str) -> None:
    expected = golden("vqgan_tiny")
    model = weights.load_model(weights.VQGAN, DATA / "vqgan_tiny", dtype=jnp.dtype(dtype))
    image = expected["encode0_images_uint8"].astype(np.float32) / 255

    pixels = nnx.jit(lambda model, codes: model.decode(codes))(model, expected["decode0_codes"])
    latents = nnx.jit(lambda model, x: model.latents(x))(model, image)

    assert pixels.dtype == latents.dtype == jnp.dtype(dtype)
    np.testing.assert_allclose(
        np.asarray(pixels, np.float32),
        expected["decode0_pixels"],
        atol=PIXEL_TOLERANCE[dtype],
        rtol=0,
    )
    np.testing.assert_allclose(
        np.asarray(latents, np.float32),
        expected["encode0_latents"],
        atol=LATENT_TOLERANCE[dtype],
        rtol=0,
    )


def test_the_nearest_codes_of_coarse_latents_are_found_in_float32() -> None:
    """In bfloat16 itself many distances would be equal, and others in the wrong order."""
    model = weights.load_model(weights.VQGAN, DATA / "vqgan_tiny", dtype=jnp.bfloat16)
    latents = jnp.asarray(golden("vqgan_tiny")["encode1_latents"], jnp.bfloat16)
    codebook = np.asarray(model.codebook.embedding[...], np.float64)
    difference = np.asarray(latents, np.float64)[..., None, :] - codebook
    expected = np.argmin(np.sum(difference**2, axis=-1), axis=-1)

    codes = model.nearest_codes(latents)

    np.testing.assert_array_equal(codes, expected)
