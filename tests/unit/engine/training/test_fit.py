from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from PIL import Image

from engine.training.fit import Fit, keeping_little
from engine.training.recipe import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

STAGE = Stage(step_count=8, batch_size=4, peak_rate=1e-2, warmup_steps=2)


def fit_in(folder: Path) -> Fit:
    return Fit("line", nnx.Linear(3, 2, rngs=nnx.Rngs(0)), STAGE, folder)


def batch(step: int) -> dict[str, Any]:
    rng = np.random.default_rng(step)
    seen = rng.normal(size=(STAGE.batch_size, 3)).astype(np.float32)
    return {"seen": seen, "wanted": seen[:, :2] * 3}


def loss(model: Any, batch: Mapping[str, Any]) -> tuple[jax.Array, dict[str, jax.Array]]:
    error = jnp.mean((model(batch["seen"]) - batch["wanted"]) ** 2)
    return error, {}


def test_a_run_that_is_taken_up_again_ends_where_one_without_a_break_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    unbroken.mkdir()
    broken.mkdir()
    whole = fit_in(unbroken)
    whole.run(loss, batch, until=8)
    fit_in(broken).run(loss, batch, until=3)

    second = fit_in(broken)
    second.run(loss, batch, until=8)

    assert capsys.readouterr().out == "line: taken up again at step 3\n"
    np.testing.assert_array_equal(second.model.kernel[...], whole.model.kernel[...])
    np.testing.assert_array_equal(second.model.bias[...], whole.model.bias[...])


def test_a_step_is_told_what_was_measured(tmp_path: Path) -> None:
    seen: list[tuple[int, float]] = []
    fit = fit_in(tmp_path)

    fit.run(
        loss,
        batch,
        until=2,
        each=lambda fit, measured: seen.append((fit.step, float(measured["loss"]))),
    )

    assert [step for step, _ in seen] == [1, 2]
    assert seen[0][1] > 0.0


def test_training_goes_on_from_replaced_weights(tmp_path: Path) -> None:
    fit = fit_in(tmp_path)
    right = fit.model
    right.kernel[...] = jnp.asarray([[3.0, 0.0], [0.0, 3.0], [0.0, 0.0]])
    losses: list[float] = []

    fit.replace(right)
    fit.run(loss, batch, until=1, each=lambda _, measured: losses.append(float(measured["loss"])))

    assert losses == [0.0]


def test_losses_and_a_sheet_are_written_as_it_goes(tmp_path: Path) -> None:
    model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    stage = dataclasses.replace(STAGE, step_count=150)
    fit = Fit("line", model, stage, tmp_path, show=lambda _: Image.new("RGB", (7, 5)))

    fit.run(loss, batch, until=150)

    lines = (tmp_path / "line.losses.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [50, 100, 150]
    with Image.open(tmp_path / "line.losses.png") as curve:
        assert curve.getextrema() != ((255, 255),) * 3
    with Image.open(tmp_path / "line.sheet.png") as sheet:
        assert sheet.size == (7, 5)


def test_checkpointed_gradients_end_where_the_others_end(tmp_path: Path) -> None:
    ends: list[np.ndarray[Any, Any]] = []
    for checkpoints in (False, True):
        folder = tmp_path / str(checkpoints)
        folder.mkdir()
        stage = dataclasses.replace(STAGE, checkpoint_gradients=checkpoints)
        fit = Fit("line", nnx.Linear(3, 2, rngs=nnx.Rngs(0)), stage, folder)
        fit.run(loss, batch, until=8)
        ends.append(np.asarray(fit.model.kernel[...]))

    np.testing.assert_allclose(*ends, rtol=1e-5)


def test_checkpointed_gradients_keep_less_for_the_way_back() -> None:
    weights, x = jnp.ones((12, 64, 64)), jnp.ones((256, 64))

    def deep(weights: jax.Array) -> jax.Array:
        y = x
        for one in weights:
            y = jnp.tanh(jnp.sin(jnp.exp(jnp.tanh(y @ one))))
        return y.sum()

    def kept_bytes(loss: Any) -> int:
        _, way_back = jax.vjp(loss, weights)
        return sum(one.nbytes for one in jax.tree.leaves(way_back))

    assert kept_bytes(keeping_little(deep)) < 0.5 * kept_bytes(deep)


def test_a_matrix_is_changed_alike_in_all_directions_and_vectors_of_tokens_number_by_number(
    tmp_path: Path,
) -> None:
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(
        nnx.Conv(3, 4, kernel_size=(3, 3), rngs=rngs),
        nnx.Linear(4, 8, rngs=rngs),
        nnx.Embed(5, 8, rngs=rngs),
    )
    rng = np.random.default_rng(0)

    def weights(model: Any) -> list[Any]:
        conv, linear, tokens = model.layers
        return [conv.kernel[...].reshape(-1, 4), linear.kernel[...], tokens.embedding[...]]

    # pulled a hundred times as hard in one direction as in the others
    pulls = [
        (pull := rng.normal(size=one.shape)) + 100 * np.outer(pull[:, 0], pull[0])
        for one in weights(model)
    ]

    def loss(model: Any, batch: Mapping[str, Any]) -> tuple[jax.Array, dict[str, jax.Array]]:
        pulled = [(one * pull).sum() for one, pull in zip(weights(model), pulls, strict=True)]
        return jnp.asarray(pulled).sum() + 0 * batch["seen"].sum(), {}

    stage = dataclasses.replace(STAGE, weight_decay=0.0)
    fit = Fit("layers", model, stage, tmp_path)
    before = [np.array(one) for one in weights(model)]  # training takes the model's own
    fit.run(loss, batch, until=3)

    conv, linear, tokens = (a - b for a, b in zip(weights(fit.model), before, strict=True))
    for change in (conv, linear):
        sizes = np.linalg.svd(change, compute_uv=False)
        assert sizes.max() < 2 * sizes.min()
    sizes = np.abs(tokens)
    assert sizes.max() < 1.01 * sizes.min()
