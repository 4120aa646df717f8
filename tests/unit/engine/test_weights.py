"""Broken checkpoints get one sentence that names everything that is wrong."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx, serialization, traverse_util

from engine import msgpack_tree, weights
from engine.api import CheckpointError
from tests.support.tiny import DATA

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TINY = DATA / "dalle_mini_tiny"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(TINY, tmp_path / "dalle_bart")


def change_arrays(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "flax_model.msgpack"
    arrays = traverse_util.flatten_dict(serialization.msgpack_restore(path.read_bytes()), sep="/")
    change(arrays)
    tree = traverse_util.unflatten_dict(arrays, sep="/")
    path.write_bytes(serialization.msgpack_serialize(tree))


def change_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_missing_surplus_and_misshapen_arrays_are_all_named(folder: Path) -> None:
    def spoil(arrays: dict[str, Any]) -> None:
        del arrays["lm_head/kernel"]
        arrays["model/decoder/surprise"] = np.zeros(3, np.float32)
        arrays["model/encoder/final_ln/bias"] = np.zeros(7, np.float32)
        arrays["model/encoder/layernorm_embedding/bias"] = np.zeros(48, np.int32)

    change_arrays(folder, spoil)

    with pytest.raises(CheckpointError) as error:
        weights.load_model(weights.DALLE_BART, folder)

    assert str(error.value) == (
        f"{folder / 'flax_model.msgpack'} cannot be used: "
        "lm_head/kernel is missing; model/decoder/surprise is surplus; "
        "model/encoder/final_ln/bias has shape (7,), not (48,); "
        "model/encoder/layernorm_embedding/bias holds int32, not floating-point numbers."
    )


def test_stacked_layers_must_be_as_many_as_the_config_says(folder: Path) -> None:
    change_config(folder, encoder_layers=2)

    with pytest.raises(CheckpointError) as error:
        weights.load_model(weights.DALLE_BART, folder)

    problems = str(error.value).rstrip(".").split(": ", 1)[1].split("; ")
    layers = "model/encoder/layers/FlaxBartEncoderLayers"
    assert len(problems) == 12
    assert f"{layers}/LayerNorm_1/scale has shape (3, 48), not (2, 48)" in problems


def test_numbers_that_are_not_finite_are_all_named(folder: Path) -> None:
    stacked = "model/decoder/layers/FlaxBartDecoderLayers/LayerNorm_1/scale"

    def spoil(arrays: dict[str, Any]) -> None:
        arrays["lm_head/kernel"] = np.full_like(arrays["lm_head/kernel"], np.nan)
        arrays[stacked] = arrays[stacked].copy()
        arrays[stacked][1, :2] = np.inf, -np.inf

    change_arrays(folder, spoil)

    with pytest.raises(CheckpointError) as error:
        weights.load_model(weights.DALLE_BART, folder)

    assert str(error.value) == (
        f"{folder / 'flax_model.msgpack'} cannot be used: "
        f"{stacked} (layer 1) holds 2 numbers that are not finite in float32; "
        f"lm_head/kernel holds {48 * 257} numbers that are not finite in float32."
    )


def test_what_does_not_fit_float16_is_named(folder: Path) -> None:
    def grow(arrays: dict[str, Any]) -> None:
        arrays["model/encoder/final_ln/bias"] = np.full(48, 1e5, np.float32)

    change_arrays(folder, grow)

    with pytest.raises(CheckpointError) as error:
        weights.load_model(weights.DALLE_BART, folder, dtype=jnp.float16)

    assert str(error.value) == (
        f"{folder / 'flax_model.msgpack'} cannot be used: "
        "model/encoder/final_ln/bias holds 48 numbers that are not finite in float16."
    )


def test_a_file_that_is_cut_short_says_what_is_there_no_more(folder: Path) -> None:
    path = folder / "flax_model.msgpack"
    path.write_bytes(path.read_bytes()[:-1000])

    with pytest.raises(CheckpointError) as error:
        weights.load_model(weights.DALLE_BART, folder)

    assert str(error.value) == (
        f"{path} cannot be used: flax_model.msgpack is cut short; "
        "model/encoder/layers/FlaxBartEncoderLayers/LayerNorm_1/scale is missing; "
        "model/encoder/layers/FlaxBartEncoderLayers/LayerNorm_1/bias is cut short."
    )


@pytest.mark.parametrize(
    "content", [b"", b"\x93\x01\x02\x03", b"\x81\xa1a\xc1", b"\x81\xa1a\xc0", b"PK\x03\x04" * 9]
)
def test_a_file_of_another_kind_is_called_damaged(folder: Path, content: bytes) -> None:
    path = folder / "flax_model.msgpack"
    path.write_bytes(content)

    with pytest.raises(CheckpointError) as error:
        weights.load_model(weights.DALLE_BART, folder)

    assert str(error.value) == (
        f"{path} is damaged or no checkpoint; copy it again from where it came from."
    )


@pytest.mark.parametrize("name", ["config.json", "flax_model.msgpack"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(CheckpointError) as error:
        weights.load_model(weights.DALLE_BART, folder)

    assert str(error.value) == f"{folder / name} cannot be read (No such file or directory)."


def test_a_saved_model_is_read_back_in_the_released_layout(tmp_path: Path) -> None:
    model = weights.load_model(weights.DALLE_BART, DATA / "dalle_mini_tiny")
    config = weights.read_json(DATA / "dalle_mini_tiny" / "config.json")

    weights.save_model(weights.DALLE_BART, model, tmp_path / "copy", config)

    before = nnx.to_flat_state(nnx.state(model))
    after = dict(
        nnx.to_flat_state(nnx.state(weights.load_model(weights.DALLE_BART, tmp_path / "copy")))
    )
    for path, leaf in before:
        np.testing.assert_allclose(leaf[...], after[path][...], atol=1e-3)
    names = traverse_util.flatten_dict(
        serialization.msgpack_restore((tmp_path / "copy" / "flax_model.msgpack").read_bytes()),
        sep="/",
    ).keys()
    original = traverse_util.flatten_dict(
        serialization.msgpack_restore(
            (DATA / "dalle_mini_tiny" / "flax_model.msgpack").read_bytes()
        ),
        sep="/",
    ).keys()
    assert names == original


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_parameters_take_the_type_that_was_asked_for(dtype: str) -> None:
    model = weights.load_model(weights.DALLE_BART, DATA / "dalle_mega_tiny", dtype=jnp.dtype(dtype))

    leaves = [leaf for _, leaf in nnx.to_flat_state(nnx.state(model))]

    assert {leaf.dtype for leaf in leaves} == {jnp.dtype(dtype)}


def test_no_more_than_one_array_is_read_beside_the_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading in bfloat16 must not hold the float32 file: mega's has 10.4 GB."""
    size = (folder / "flax_model.msgpack").stat().st_size
    read_sizes: list[int] = []
    whole_read = msgpack_tree.ArrayInFile.read

    def noted(array: msgpack_tree.ArrayInFile, index: int | None = None) -> Any:
        result = whole_read(array, index)
        read_sizes.append(result.nbytes)
        return result

    monkeypatch.setattr(msgpack_tree.ArrayInFile, "read", noted)

    weights.load_model(weights.DALLE_BART, folder, dtype=jnp.bfloat16)

    assert sum(read_sizes) == pytest.approx(size, rel=0.01)
    assert max(read_sizes) == 899 * 48 * 4  # the text embedding, the largest that is not stacked


def shard(folder: Path, names_in_second: set[str]) -> None:
    """Write the model as transformers does when it has more than 10 GB."""
    path = folder / "flax_model.msgpack"
    arrays = traverse_util.flatten_dict(serialization.msgpack_restore(path.read_bytes()), sep="/")
    files = {
        name: f"flax_model-0000{1 + (name in names_in_second)}-of-00002.msgpack" for name in arrays
    }
    for file in set(files.values()):
        part = {name: array for name, array in arrays.items() if files[name] == file}
        tree = traverse_util.unflatten_dict(part, sep="/")
        (folder / file).write_bytes(serialization.msgpack_serialize(tree))
    index = {"metadata": {"total_size": path.stat().st_size}, "weight_map": files}
    (folder / "flax_model.msgpack.index.json").write_text(json.dumps(index))
    path.unlink()


def test_a_model_in_several_files_is_the_model_in_one(folder: Path) -> None:
    shard(folder, {"lm_head/kernel", "model/encoder/final_ln/bias"})

    split = weights.load_model(weights.DALLE_BART, folder)

    whole = weights.load_model(weights.DALLE_BART, TINY)
    for (path, one), (_, other) in zip(
        nnx.to_flat_state(nnx.state(whole)), nnx.to_flat_state(nnx.state(split)), strict=True
    ):
        np.testing.assert_array_equal(one[...], other[...], err_msg=str(path))


def test_of_several_files_what_is_missing_twice_or_cut_is_named(folder: Path) -> None:
    shard(folder, {"lm_head/kernel"})
    second = folder / "flax_model-00002-of-00002.msgpack"
    second.write_bytes(second.read_bytes()[:-10])
    first = folder / "flax_model-00001-of-00002.msgpack"
    tree = serialization.msgpack_restore(first.read_bytes())
    tree["lm_head"] = {"kernel": np.zeros((48, 257), np.float32)}
    first.write_bytes(serialization.msgpack_serialize(tree))

    with pytest.raises(CheckpointError) as error:
        weights.load_model(weights.DALLE_BART, folder)

    assert str(error.value) == (
        f"{folder / 'flax_model.msgpack.index.json'} cannot be used: "
        "flax_model-00002-of-00002.msgpack is cut short; lm_head/kernel is in more than one file; "
        "lm_head/kernel is cut short."
    )


def test_a_file_that_the_index_lists_must_be_there(folder: Path) -> None:
    shard(folder, {"lm_head/kernel"})
    (folder / "flax_model-00002-of-00002.msgpack").unlink()

    with pytest.raises(CheckpointError) as error:
        weights.load_model(weights.DALLE_BART, folder)

    assert str(error.value) == (
        f"{folder / 'flax_model-00002-of-00002.msgpack'} cannot be read "
        "(No such file or directory)."
    )


@pytest.mark.parametrize("places", [{}, {"a": "../a.msgpack"}, {"a": 3}, "a.msgpack", None])
def test_an_index_that_leads_out_of_its_folder_is_refused(folder: Path, places: Any) -> None:
    (folder / "flax_model.msgpack").unlink()
    index = folder / "flax_model.msgpack.index.json"
    index.write_text(json.dumps({"weight_map": places}))

    with pytest.raises(CheckpointError) as error:
        weights.load_model(weights.DALLE_BART, folder)

    assert str(error.value) == f"{index} lists no files beside it."
