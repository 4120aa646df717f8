"""From a folder on disk to checked parameters, and back.

A checkpoint is three folders in the released on-disk format, each with a ``config.json``
and a ``flax_model.msgpack``::

    <checkpoint>/dalle_bart/   + tokenizer files
    <checkpoint>/vqgan/
    <checkpoint>/clip/         + tokenizer files, preprocessor_config.json

Loading is all or nothing: every missing, surplus and misshapen array is named at once.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx, serialization, traverse_util

from engine.api import CheckpointError
from engine.models import clip, dalle_bart, vqgan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

Model = TypeVar("Model", bound=nnx.Module)
Arrays = dict[str, "NDArray[Any]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFormat(Generic[Model]):
    """How one model lies on disk.

    Attributes:
        folder: Its folder in a checkpoint.
        read_config: ``config.json`` to the model's config.
        build: Config and keywords (dtype, param_dtype, rngs) to a module.
        names: Regular expressions from our parameter names to the file's, in order.
        stacked: Pairs (name of stacked layers, template of a single layer's name).
    """

    folder: str
    read_config: Callable[[Mapping[str, Any]], Any]
    build: Callable[..., Model]
    names: tuple[tuple[str, str], ...]
    stacked: tuple[tuple[str, str], ...] = ()

    def file_name_of(self, ours: str) -> str:
        """The name in the file (one entry per layer) of one of our parameters."""
        for pattern, replacement in self.names:
            ours = re.sub(pattern, replacement, ours)
        return ours


DALLE_BART = ModelFormat(
    folder="dalle_bart",
    read_config=dalle_bart.DalleBartConfig.from_json,
    build=dalle_bart.DalleBart,
    names=dalle_bart.NAMES,
    stacked=dalle_bart.STACKED,
)
VQGAN = ModelFormat(
    folder="vqgan",
    read_config=vqgan.VqganConfig.from_json,
    build=vqgan.Vqgan,
    names=vqgan.NAMES,
)
CLIP = ModelFormat(
    folder="clip", read_config=clip.ClipConfig.from_json, build=clip.Clip, names=clip.NAMES
)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a checkpoint.

    Raises:
        CheckpointError: It is not there, not readable, or not a JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({_reason(error)}).") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is not a JSON object.")
    return values  # pyright: ignore[reportUnknownVariableType]  # JSON


def load_model(form: ModelFormat[Model], folder: Path, *, dtype: Any = jnp.float32) -> Model:
    """Load one model from its folder; parameters and arithmetic in ``dtype``.

    Raises:
        CheckpointError: A file is missing or damaged, or the arrays in it are not
            exactly those that its config asks for.
    """
    config = form.read_config(read_json(folder / "config.json"))
    arrays = _one_entry_per_layer(_read_arrays(folder / "flax_model.msgpack"), form)
    abstract = abstract_model(form, config, dtype=dtype)
    graph, state = nnx.split(abstract)
    wanted = {path: form.file_name_of("/".join(map(str, path))) for path, _ in _flat(state)}
    _check(folder, {wanted[path]: leaf.shape for path, leaf in _flat(state)}, arrays)
    filled = [
        (path, leaf.replace(_cast(arrays[wanted[path]], dtype))) for path, leaf in _flat(state)
    ]
    return nnx.merge(graph, nnx.from_flat_state(filled))


def abstract_model(form: ModelFormat[Model], config: Any, *, dtype: Any = jnp.float32) -> Model:
    """The model with shapes in place of arrays: nothing is allocated."""
    return nnx.eval_shape(
        lambda: form.build(config, dtype=dtype, param_dtype=dtype, rngs=nnx.Rngs(0))
    )


def save_model(
    form: ModelFormat[Model], model: Model, folder: Path, config: Mapping[str, Any]
) -> None:
    """Write a model in the released on-disk format, arrays in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        form.file_name_of("/".join(map(str, path))): np.asarray(leaf[...], np.float16)
        for path, leaf in _flat(nnx.state(model, nnx.Param))
    }
    tree = traverse_util.unflatten_dict(_stack_layers(arrays, form), sep="/")
    (folder / "flax_model.msgpack").write_bytes(serialization.msgpack_serialize(tree))
    text = json.dumps(dict(config), indent=2, sort_keys=True) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")


def _flat(state: Any) -> list[tuple[tuple[Any, ...], Any]]:
    return list(nnx.to_flat_state(state))


def _cast(array: NDArray[Any], dtype: Any) -> jax.Array:
    return jnp.asarray(array, dtype=dtype)


def _read_arrays(path: Path) -> Arrays:
    try:
        tree: Any = serialization.msgpack_restore(path.read_bytes())
        return cast("Arrays", traverse_util.flatten_dict(tree, sep="/"))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({_reason(error)}).") from error
    except Exception as error:  # whatever msgpack and numpy make of damaged bytes
        raise CheckpointError(
            f"{path} is damaged or cut short; copy it again from where it came from."
        ) from error


def _one_entry_per_layer(arrays: Arrays, form: ModelFormat[Any]) -> Arrays:
    """Split stacked layers: ``…Layers/x`` [L, …] becomes ``…Layer_0/x``, ``…Layer_1/x``."""
    result: Arrays = {}
    for name, array in arrays.items():
        for stacked, single in form.stacked:
            if f"/{stacked}/" in name and array.ndim:
                split = {name.replace(stacked, single.format(i)): a for i, a in enumerate(array)}
                result.update(split)
                break
        else:
            result[name] = array
    return result


def _stack_layers(arrays: Arrays, form: ModelFormat[Any]) -> Arrays:
    """The inverse of ``_one_entry_per_layer``."""
    result = dict(arrays)
    for stacked, single in form.stacked:
        first = single.format(0)
        for name in [n for n in arrays if f"/{first}/" in n]:
            layers: list[NDArray[Any]] = []
            while (other := name.replace(first, single.format(len(layers)))) in arrays:
                layers.append(result.pop(other))
            result[name.replace(first, stacked)] = np.stack(layers)
    return result


def _check(folder: Path, wanted: Mapping[str, tuple[int, ...]], found: Arrays) -> None:
    problems = [f"{name} is missing" for name in sorted(wanted.keys() - found.keys())]
    problems += [f"{name} is surplus" for name in sorted(found.keys() - wanted.keys())]
    problems += [
        f"{name} has shape {found[name].shape}, not {wanted[name]}"
        for name in sorted(wanted.keys() & found.keys())
        if found[name].shape != wanted[name]
    ]
    if problems:
        raise CheckpointError(
            f"{folder / 'flax_model.msgpack'} does not fit its config.json: {'; '.join(problems)}."
        )


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
