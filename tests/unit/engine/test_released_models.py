"""The full-size models, without their weights: names, shapes, types, and precision.

Nothing is allocated: all of it happens on shapes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jax
import jax.extend
import jax.numpy as jnp
import pytest
from flax import nnx

from engine import weights
from tests.support.tiny import DATA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OFFICIAL = DATA / "official"
CLIP_VIT_B_32: dict[str, Any] = {"model_type": "clip"}  # transformers' defaults are its values

MODELS: dict[str, tuple[weights.ModelFormat[Any], str]] = {
    "dalle_mini": (weights.DALLE_BART, "dalle_mini"),
    "dalle_mega": (weights.DALLE_BART, "dalle_mega"),
    "vqgan": (weights.VQGAN, "vqgan_imagenet_f16_16384"),
    "clip": (weights.CLIP, "clip_vit_base_patch32"),
}


def config_of(name: str) -> Any:
    form, file = MODELS[name]
    path = OFFICIAL / f"{file}.config.json"
    return form.read_config(json.loads(path.read_text()) if path.exists() else CLIP_VIT_B_32)


@pytest.mark.parametrize("name", MODELS)
def test_the_loader_asks_for_exactly_the_arrays_of_the_released_file(name: str) -> None:
    form, file = MODELS[name]
    official = json.loads((OFFICIAL / f"{file}.params.json").read_text())
    arrays_before = len(jax.live_arrays())

    expected = weights.expected_arrays(form, config_of(name))

    assert {
        name: {"shape": list(array.shape), "dtype": str(array.dtype)}
        for name, array in expected.items()
    } == official["arrays"]
    assert all(isinstance(array, jax.ShapeDtypeStruct) for array in expected.values())
    assert len(jax.live_arrays()) == arrays_before


def test_a_file_with_one_entry_per_layer_is_asked_for_the_same_numbers() -> None:
    stacked = weights.expected_arrays(weights.DALLE_BART, config_of("dalle_mini"))
    single = weights.expected_arrays(weights.DALLE_BART, config_of("dalle_mini"), stacked=False)

    assert len(single) == len(stacked) + 11 * (12 + 19)
    assert sum(array.size for array in single.values()) == 437_833_712
    assert single["model/decoder/layers/FlaxBartDecoderLayer_11/GLU_0/Dense_1/kernel"].shape == (
        1024,
        2730,
    )


def text_and_pictures(model: Any) -> Any:
    ids, tokens = jnp.zeros((1, 64), int), jnp.zeros((1, 256), int)
    mask = jnp.ones((1, 64), bool)
    return model.decoder(tokens, model.encoder(ids, mask), mask)


def there_and_back(model: Any) -> Any:
    return model.decode(model.encode(jnp.zeros((1, 256, 256, 3))))


def ranked(model: Any) -> Any:
    texts = model.embed_text(jnp.zeros((1, 77), int), jnp.ones((1, 77), bool))
    return model.logits(model.embed_pictures(jnp.zeros((1, 224, 224, 3))), texts)


PATHS: dict[str, Callable[[Any], Any]] = {
    "dalle_mini": text_and_pictures,
    "vqgan": there_and_back,
    "clip": ranked,
}

# What norms and softmax are made of; jax.nn.silu, gelu and sigmoid are not.
DELICATE = {"exp", "rsqrt", "reduce_sum", "reduce_max"}


def operations(jaxpr: Any) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            yield from operations(inner)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", PATHS)
def test_norms_and_softmax_stay_in_float32_when_all_else_has_16_bits(name: str, dtype: str) -> None:
    model = weights.abstract_model(MODELS[name][0], config_of(name), dtype=jnp.dtype(dtype))
    graph, state = nnx.split(model)

    jaxpr = jax.make_jaxpr(lambda state: PATHS[name](nnx.merge(graph, state)))(state)

    found = [
        (str(equation.primitive), variable.aval.dtype)
        for equation in operations(jaxpr.jaxpr)
        for variable in equation.invars
    ]
    floats = [(p, d) for p, d in found if p in DELICATE and jnp.issubdtype(d, jnp.floating)]
    assert {p for p, _ in floats} == DELICATE
    assert {d for _, d in floats} == {jnp.dtype("float32")}
    products = {d for p, d in found if p in {"dot_general", "conv_general_dilated"}}
    assert jnp.dtype(dtype) in products
