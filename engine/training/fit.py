"""The training loop that all models share: steps, losses and sheets written down, resumable."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import optax  # pyright: ignore[reportMissingTypeStubs]  # it has none
from flax import nnx, serialization
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from optax import contrib  # pyright: ignore[reportMissingTypeStubs]  # it has none

from engine.training.progress import loss_curve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from PIL import Image

    from engine.training.recipe import Stage

    Batch = Mapping[str, Any]
    Loss = Callable[[nnx.Module, Batch], tuple[jax.Array, dict[str, jax.Array]]]

_SAVE_EVERY_S = 120.0
_SHOW_EVERY_S = 600.0
_REPORT_EVERY_STEPS = 50
_RMS_OF_ADAMW = 0.2  # of a step, in learning rates


class Fit:
    """One model on its way from random to trained.

    The state of the run lies in ``folder/<name>.state`` and is taken up again from there. What
    was measured goes to ``<name>.losses.jsonl`` and ``.png``; ``show``, if given, draws the sheet
    ``<name>.sheet.png`` now and then.
    """

    def __init__(
        self,
        name: str,
        model: nnx.Module,
        stage: Stage,
        folder: Path,
        *,
        show: Callable[[Any], Image.Image] | None = None,
    ) -> None:
        self.name = name
        self.stage = stage
        self.step = 0
        self._show = show
        self._path = folder / f"{name}.state"
        self._log_path = folder / f"{name}.losses.jsonl"
        self._graph, self._params = nnx.split(model)
        self._optimiser = _optimiser(stage)
        self._memory = self._optimiser.init(self._params)
        self._saved_at = self._shown_at = time.monotonic()
        self._mesh = jax.make_mesh((jax.device_count(),), ("batch",), axis_types=(AxisType.Auto,))
        self._load()
        self._spread()

    @property
    def model(self) -> Any:
        """The model with the weights of this moment, on one device."""
        weights = jax.tree.map(jnp.asarray, jax.device_get(self._params))
        return nnx.merge(self._graph, weights)

    def replace(self, model: nnx.Module) -> None:
        """Go on from changed weights (a codebook that was set anew)."""
        self._graph, self._params = nnx.split(model)
        self._spread()

    def run(
        self,
        loss: Loss,
        batch: Callable[[int], Batch],
        *,
        until: int,
        each: Callable[[Fit, dict[str, Any]], None] | None = None,
    ) -> None:
        """Train until step ``until``; ``batch(step)`` must depend on nothing but the step.

        ``each`` is called after every step with what ``loss`` measured and with its value.
        """
        update = jax.jit(self._update_with(loss), donate_argnums=(0, 1))
        if self.step >= until:
            return
        started, first = time.monotonic(), self.step
        while self.step < until:
            self._params, self._memory, measured = update(
                self._params, self._memory, self._shared_out(batch(self.step))
            )
            self.step += 1
            if each is not None:
                each(self, measured)
            if self.step % _REPORT_EVERY_STEPS == 0:
                self._report(measured, (self.step - first) / (time.monotonic() - started))
            if time.monotonic() - self._saved_at > _SAVE_EVERY_S:
                self.save()
            if time.monotonic() - self._shown_at > _SHOW_EVERY_S:
                self._write_pictures()
        self.save()
        self._write_pictures()

    def save(self) -> None:
        """Write the state of the run, so that it can be taken up again."""
        whole = {
            "step": self.step,
            "params": nnx.to_pure_dict(self._params),
            "memory": serialization.to_state_dict(jax.tree.leaves(self._memory)),
        }
        beside = self._path.with_suffix(".new")
        beside.write_bytes(serialization.to_bytes(whole))
        beside.replace(self._path)
        self._saved_at = time.monotonic()

    def _write_pictures(self) -> None:
        if self._show is not None:
            self._show(self.model).save(self._log_path.with_name(f"{self.name}.sheet.png"))
        if self._log_path.exists():
            lines = map(json.loads, self._log_path.read_text(encoding="utf-8").splitlines())
            steps, losses = zip(*((one["step"], one["loss"]) for one in lines), strict=True)
            loss_curve(steps, losses).save(self._log_path.with_suffix(".png"))
        self._shown_at = time.monotonic()

    def _load(self) -> None:
        if not self._path.exists():
            return
        leaves, tree = jax.tree.flatten(self._memory)
        whole: Any = serialization.msgpack_restore(self._path.read_bytes())
        self.step = int(whole["step"])
        restored = nnx.restore_int_paths(whole["params"])
        nnx.replace_by_pure_dict(self._params, restored)
        self._memory = jax.tree.unflatten(
            tree, serialization.from_state_dict(leaves, whole["memory"])
        )
        print(f"{self.name}: taken up again at step {self.step}")

    def _spread(self) -> None:
        """Give every device the same weights; each then works on its part of a batch."""
        everywhere = NamedSharding(self._mesh, PartitionSpec())
        self._params = jax.device_put(self._params, everywhere)
        self._memory = jax.device_put(self._memory, everywhere)

    def _shared_out(self, batch: Batch) -> Batch:
        return jax.device_put(dict(batch), NamedSharding(self._mesh, PartitionSpec("batch")))

    def _update_with(self, loss: Loss) -> Callable[..., Any]:
        def scalar(params: Any, batch: Batch) -> Any:
            return loss(nnx.merge(self._graph, params), batch)

        if self.stage.checkpoint_gradients:
            scalar = keeping_little(scalar)

        def update(params: Any, memory: Any, batch: Batch) -> Any:
            (value, measured), gradients = jax.value_and_grad(scalar, has_aux=True)(params, batch)
            changes, memory = self._optimiser.update(gradients, memory, params)
            return optax.apply_updates(params, changes), memory, {"loss": value} | measured

        return update

    def _report(self, measured: Mapping[str, Any], steps_per_s: float) -> None:
        line = {"step": self.step, "steps_per_s": round(steps_per_s, 3)} | {
            key: round(float(value), 5) for key, value in measured.items() if value.ndim == 0
        }
        print(self.name, line, flush=True)
        with self._log_path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")


def keeping_little(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``loss`` so that its gradient takes less memory and more time.

    Only results of convolutions and matrix products are kept; all else is computed twice.

    Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".
    """

    def is_worth_keeping(primitive: Any, *_: Any, **__: Any) -> bool:
        return primitive.name in {"conv_general_dilated", "dot_general"}

    return jax.checkpoint(loss, policy=is_worth_keeping)  # pyright: ignore[reportPrivateImportUsage]  # JAX's public name


def _optimiser(stage: Stage) -> optax.GradientTransformation:
    """Muon for matrices and convolutions, AdamW for all else.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; Liu et
    al. 2025, "Muon is Scalable for LLM Training" (steps as large as AdamW's, so one rate serves).
    """
    rate = optax.warmup_cosine_decay_schedule(
        0.0, stage.peak_rate, stage.warmup_steps, stage.step_count, stage.peak_rate * 0.02
    )
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        contrib.muon(
            rate,
            adam_b2=0.98,
            weight_decay=stage.weight_decay,
            adam_weight_decay=stage.weight_decay,
            muon_weight_dimension_numbers=_matrices,
            consistent_rms=_RMS_OF_ADAMW,
        ),
    )


def _matrices(params: Any) -> Any:
    """Say which axes of every kernel are summed over and which one comes out, else ``None``."""

    def axes(path: Any, weight: Any) -> contrib.MuonDimensionNumbers | None:
        name = jax.tree_util.keystr(path)
        if "kernel" not in name or "lm_head" in name:  # vectors of tokens are no matrix inside
            return None
        return contrib.MuonDimensionNumbers(tuple(range(weight.ndim - 1)), weight.ndim - 1)

    return jax.tree.map_with_path(axes, params)
