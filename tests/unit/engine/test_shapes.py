"""That the shapes in the signatures are checked while the tests run (see ``tests/conftest.py``)."""

from __future__ import annotations

import jax.numpy as jnp
import pytest
from jaxtyping import TypeCheckError

from engine import sampling


def test_arrays_of_a_wrong_shape_are_refused() -> None:
    with pytest.raises(TypeCheckError, match="unconditioned"):
        sampling.guide(jnp.ones((2, 5)), jnp.ones((2, 4)), jnp.ones(2))


def test_arrays_of_a_wrong_type_are_refused() -> None:
    with pytest.raises(TypeCheckError, match="scale"):
        sampling.guide(jnp.ones((2, 5)), jnp.ones((2, 5)), jnp.ones(2, jnp.int32))
