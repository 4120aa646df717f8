"""From a folder on disk to checked parameters, and back.

A checkpoint is three folders in the released on-disk format, each with a ``config.json``
and a ``flax_model.msgpack``::

    <checkpoint>/dalle_bart/   + tokenizer files
    <checkpoint>/vqgan/
    <checkpoint>/clip/         + tokenizer files, preprocessor_config.json

Loading is all or nothing: every array that is missing, surplus, misshapen, cut short, of no
floating-point type or not finite is named at once.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx, serialization, traverse_util

from engine.api import CheckpointError
from engine.models import clip, dalle_bart, safety, upscaler, vqgan
from engine.stored_arrays import find_arrays, read_json, read_npz, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from numpy.typing import NDArray

    from engine.stored_arrays import Found

Model = TypeVar("Model", bound=nnx.Module)
Arrays = dict[str, "NDArray[Any]"]

_ASSETS: Final = Path(__file__).parent / "assets"
UPSCALER_WEIGHTS: Final = _ASSETS / "upscaler" / "realesr_animevideov3_x4.npz"
SAFETY_WEIGHTS: Final = _ASSETS / "safety" / "nsfwjs_mobilenet_v2.npz"


class Place(NamedTuple):
    """An array in a file: all of it, or one layer of those stacked in it."""

    name: str
    layer: int | None


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

    def place_of(self, ours: str, stacked: Collection[str] = ()) -> Place:
        """Where one of our parameters lies in a file that stacks the layers ``stacked``."""
        name = _renamed(ours, self.names)
        for layers, single in self.stacked:
            match = re.search("/" + single.format(r"(\d+)") + "/", name)
            if match and layers in stacked:
                return Place(name.replace(match[0], f"/{layers}/"), int(match[1]))
        return Place(name, None)


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


def load_model(form: ModelFormat[Model], folder: Path, *, dtype: Any = jnp.float32) -> Model:
    """Load one model from its folder; parameters and arithmetic in ``dtype``.

    Beside the model itself, no more than one array (of stacked layers: one layer's) is in
    memory at a time, in the type it has in the file.

    Raises:
        CheckpointError: A file is missing or damaged, or the arrays in it are not
            exactly those that its config asks for.
    """
    config = form.read_config(read_json(folder / "config.json"))
    found = find_arrays(folder)
    stacked = _stacked_in(found.arrays, form)
    abstract = abstract_model(form, config, dtype=dtype)
    return _filled(abstract, found, lambda name: form.place_of(name, stacked), dtype)


def load_upscaler(path: Path = UPSCALER_WEIGHTS) -> upscaler.Upscaler:
    """Read the upscaler's weights, by default those that ship with the package.

    Raises:
        CheckpointError: The file is missing or damaged, or the arrays in it are not
            exactly those of the network.
    """
    abstract = nnx.eval_shape(lambda: upscaler.Upscaler(rngs=_OneKey(0)))
    return _shipped(abstract, path, upscaler.NAMES)


def load_safety_net(path: Path = SAFETY_WEIGHTS) -> safety.SafetyNet:
    """Read the picture classifier's weights, by default those that ship with the package.

    Raises:
        CheckpointError: As for the upscaler: without its weights nothing counts as safe.
    """
    abstract = nnx.eval_shape(lambda: safety.SafetyNet(rngs=_OneKey(0)))
    return _shipped(abstract, path, safety.NAMES)


def _shipped(model: Model, path: Path, names: tuple[tuple[str, str], ...]) -> Model:
    found = read_npz(path)
    return _filled(model, found, lambda name: Place(_renamed(name, names), None), jnp.float32)


def abstract_model(form: ModelFormat[Model], config: Any, *, dtype: Any = jnp.float32) -> Model:
    """The model with shapes in place of arrays: nothing is allocated."""
    return nnx.eval_shape(
        lambda: form.build(config, dtype=dtype, param_dtype=dtype, rngs=_OneKey(0))
    )


class _OneKey(nnx.Rngs):
    """The same key for every parameter, where no number is ever drawn with it.

    To trace how each key is split off from the one before takes most of the time in which a
    model with shapes in place of arrays is built.
    """

    def params(self) -> jax.Array:
        """Return the key."""
        return self.default.key[...]


def save_model(
    form: ModelFormat[Model], model: Model, folder: Path, config: Mapping[str, Any]
) -> None:
    """Write a model in the released on-disk format, arrays in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        form.place_of(_name(path)).name: np.asarray(leaf[...], np.float16)
        for path, leaf in _flat(nnx.state(model, nnx.Param))
    }
    tree = traverse_util.unflatten_dict(_stack_layers(arrays, form), sep="/")
    (folder / "flax_model.msgpack").write_bytes(serialization.msgpack_serialize(tree))
    text = json.dumps(dict(config), indent=2, sort_keys=True) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")


def expected_arrays(
    form: ModelFormat[Any], config: Any, *, stacked: bool = True
) -> dict[str, jax.ShapeDtypeStruct]:
    """What a file of this model holds, in float32; nothing is allocated.

    Args:
        form: The model.
        config: Its config.
        stacked: Whether all layers are in one array each, as in released files.
    """
    names = [stacked_name for stacked_name, _ in form.stacked] if stacked else []
    state = nnx.state(abstract_model(form, config))
    return _wanted([(form.place_of(_name(path), names), leaf) for path, leaf in _flat(state)])


def _filled(model: Model, found: Found, place_of: Callable[[str], Place], dtype: Any) -> Model:
    """Give an abstract model the arrays that were found, or name all that is wrong."""
    graph, state = nnx.split(model)
    leaves = [(path, leaf, place_of(_name(path))) for path, leaf in _flat(state)]
    _refuse(found, _differences(_wanted([(place, leaf) for _, leaf, place in leaves]), found))
    arrays = [_read(found, place, dtype) for _, _, place in leaves]
    _refuse(found, [array for array in arrays if isinstance(array, str)])
    filled = [
        (path, leaf.replace(array)) for (path, leaf, _), array in zip(leaves, arrays, strict=True)
    ]
    return nnx.merge(graph, nnx.from_flat_state(filled))


def _refuse(found: Found, problems: list[str]) -> None:
    if problems:
        raise CheckpointError(f"{found.source} cannot be used: {'; '.join(problems)}.")


def _wanted(leaves: list[tuple[Place, Any]]) -> dict[str, jax.ShapeDtypeStruct]:
    """The file's arrays, from ours: layers that are stacked in the file are counted."""
    counts = Counter(place.name for place, _ in leaves)
    return {
        place.name: jax.ShapeDtypeStruct(
            leaf.shape if place.layer is None else (counts[place.name], *leaf.shape), leaf.dtype
        )
        for place, leaf in leaves
    }


def _differences(wanted: Mapping[str, jax.ShapeDtypeStruct], found: Found) -> list[str]:
    arrays = found.arrays
    problems = [*found.problems]
    problems += [f"{name} is missing" for name in sorted(wanted.keys() - arrays.keys())]
    problems += [f"{name} is surplus" for name in sorted(arrays.keys() - wanted.keys())]
    for name in sorted(wanted.keys() & arrays.keys()):
        array, shape = arrays[name], wanted[name].shape
        if array.shape != shape:
            problems.append(f"{name} has shape {array.shape}, not {shape}")
        if not jnp.issubdtype(array.dtype, jnp.floating):
            problems.append(f"{name} holds {array.dtype}, not floating-point numbers")
        if not array.is_whole:
            problems.append(f"{name} is cut short")
    return problems


def _read(found: Found, place: Place, dtype: Any) -> jax.Array | str:
    """One of our arrays, or what is wrong with it."""
    try:
        stored = found.arrays[place.name].read(place.layer)
    except OSError as error:
        raise unreadable(found.source, error) from error
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is told
        array = stored.astype(dtype, copy=False)
    bad_count = array.size - np.count_nonzero(np.isfinite(array))
    if bad_count:
        layer = "" if place.layer is None else f" (layer {place.layer})"
        return f"{place.name}{layer} holds {bad_count} numbers that are not finite in {array.dtype}"
    return jax.device_put(array)  # jnp.asarray would compile a program for each shape


def _stacked_in(arrays: Mapping[str, Any], form: ModelFormat[Any]) -> list[str]:
    """Which layers the file stacks; those that it does not hold at all count as stacked."""
    return [
        stacked
        for stacked, single in form.stacked
        if any(f"/{stacked}/" in name for name in arrays)
        or not any(f"/{single.format(0)}/" in name for name in arrays)
    ]


def _renamed(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _name(path: tuple[Any, ...]) -> str:
    return "/".join(map(str, path))


def _flat(state: Any) -> list[tuple[tuple[Any, ...], Any]]:
    return list(nnx.to_flat_state(state))


def _stack_layers(arrays: Arrays, form: ModelFormat[Any]) -> Arrays:
    """Join the layers: ``…Layer_0/x``, ``…Layer_1/x`` become ``…Layers/x`` [L, …]."""
    result = dict(arrays)
    for stacked, single in form.stacked:
        first = single.format(0)
        for name in [n for n in arrays if f"/{first}/" in n]:
            layers: list[NDArray[Any]] = []
            while (other := name.replace(first, single.format(len(layers)))) in arrays:
                layers.append(result.pop(other))
            result[name.replace(first, stacked)] = np.stack(layers)
    return result
