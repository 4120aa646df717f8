"""Score warpers and sampled sequences against the numbers of the original code."""

from __future__ import annotations

import json
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from engine import sampling
from engine.sampling import RowOptions
from tests.support.tiny import golden

TOLERANCE = 1e-5
CASES = [
    (raw, f"{prefix}{i}", case)
    for raw, prefix, cases in (
        ("raw_logits", "case", "cases_json"),
        ("raw_logits_with_inf", "inf_case", "inf_cases_json"),
    )
    for i, case in enumerate(json.loads(str(golden("logits_warpers")[cases])))
]


def options(row_count: int, case: dict[str, Any]) -> RowOptions:
    def rows(name: str, default: float) -> Any:
        value = default if case.get(name) is None else case[name]
        return jnp.full(row_count, value)

    return RowOptions(
        rows("temperature", 1.0), rows("top_k", 50), rows("top_p", 1.0), rows("scale", 1.0)
    )


@pytest.mark.parametrize(("raw", "name", "case"), CASES, ids=[case[1] for case in CASES])
def test_warped_scores_equal_those_of_the_original(
    raw: str, name: str, case: dict[str, Any]
) -> None:
    expected = golden("logits_warpers")
    logits = jnp.asarray(expected[raw])

    scores = sampling.warp(logits, options(len(logits), case))

    np.testing.assert_allclose(scores, expected[name], atol=TOLERANCE, rtol=0)


def test_of_equal_scores_the_lower_ids_survive_top_k() -> None:
    expected = golden("logits_warpers")

    scores = sampling.warp(jnp.asarray(expected["tie_logits"]), options(1, {"top_k": 3}))

    np.testing.assert_allclose(scores, expected["tie_topk3"], atol=TOLERANCE, rtol=0)


def test_rows_of_one_batch_keep_their_own_options() -> None:
    logits = jnp.asarray(golden("logits_warpers")["raw_logits"][:2])
    mixed = RowOptions(
        jnp.array([1.0, 0.5]), jnp.array([3, 0]), jnp.array([1.0, 0.4]), jnp.array([1.0, 1.0])
    )
    alone = [RowOptions(*(field[i : i + 1] for field in mixed)) for i in range(2)]

    together = sampling.warp(logits, mixed)

    for i in range(2):
        np.testing.assert_array_equal(together[i], sampling.warp(logits[i : i + 1], alone[i])[0])
    assert np.isfinite(together).sum(axis=-1).tolist()[0] == 3


def test_scale_one_is_the_conditioned_model_to_the_last_bit() -> None:
    conditioned, unconditioned = jnp.asarray(golden("logits_warpers")["raw_logits"][:2])[:, None]

    guided = sampling.guide(conditioned, unconditioned, jnp.array([1.0]))

    np.testing.assert_array_equal(guided, conditioned)
