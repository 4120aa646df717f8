"""VQGAN against the numbers of the original code, in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from flax import nnx

from tests.support.tiny import golden

if TYPE_CHECKING:
    from engine.models.vqgan import Vqgan

TOLERANCE = 5e-4


@pytest.mark.parametrize("case", [0, 1])
def test_decoded_pixels_equal_those_of_the_original(vqgan: Vqgan, case: int) -> None:
    expected = golden("vqgan_tiny")

    pixels = nnx.jit(lambda model, codes: model.decode(codes))(
        vqgan, expected[f"decode{case}_codes"]
    )

    np.testing.assert_allclose(pixels, expected[f"decode{case}_pixels"], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("case", [0, 1])
def test_encoded_pictures_equal_those_of_the_original(vqgan: Vqgan, case: int) -> None:
    expected = golden("vqgan_tiny")
    pixels = expected[f"encode{case}_images_uint8"].astype(np.float32) / 255

    latents = nnx.jit(lambda model, x: model.latents(x))(vqgan, pixels)

    np.testing.assert_allclose(latents, expected[f"encode{case}_latents"], atol=TOLERANCE, rtol=0)
    np.testing.assert_array_equal(vqgan.nearest_codes(latents), expected[f"encode{case}_codes"])
