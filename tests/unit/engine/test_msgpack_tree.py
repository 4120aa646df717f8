"""Our reader of flax's files against flax's own writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import jax.numpy as jnp
import numpy as np
import pytest
from flax import serialization, traverse_util
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from engine.msgpack_tree import NoTreeError, read_tree

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

NAMES = st.text("abé0_", min_size=1, max_size=40)
DTYPES = st.sampled_from(["float32", "float16", "bfloat16", "int8", "uint32"]).map(jnp.dtype)
SHAPES = arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=20)


@st.composite
def arrays(draw: st.DrawFn) -> NDArray[Any]:
    shape, dtype = draw(SHAPES), draw(DTYPES)
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, (*shape, 4))
    return np.ascontiguousarray(values.astype(np.uint8)[..., : dtype.itemsize]).view(dtype)[..., 0]


TREES = st.dictionaries(
    NAMES, st.recursive(arrays(), lambda inner: st.dictionaries(NAMES, inner, max_size=20))
)
HERE = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def write(tree: Any, folder: Path, chunk_bytes: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(serialization, "MAX_CHUNK_SIZE", chunk_bytes)
    path = folder / "flax_model.msgpack"
    path.write_bytes(serialization.msgpack_serialize(tree))
    return path


def flat(tree: Any) -> dict[str, NDArray[Any]]:
    return cast("dict[str, NDArray[Any]]", traverse_util.flatten_dict(tree, sep="/"))


@HERE
@given(tree=TREES, chunk_bytes=st.sampled_from([16, 100, 2**30]))
def test_every_array_is_found_and_read_as_it_was_written(
    tree: Any, chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small chunks stand for arrays of more than 2^30 bytes, which flax cuts into pieces."""
    path = write(tree, tmp_path, chunk_bytes, monkeypatch)

    found, is_whole = read_tree(path)

    expected = flat(tree)
    assert is_whole
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].is_whole
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        assert found[name].read().tobytes() == array.tobytes()
        for i in range(array.shape[0] if array.ndim else 0):
            assert found[name].read(i).tobytes() == array[i].tobytes()


@HERE
@given(tree=TREES.filter(bool), data=st.data(), chunk_bytes=st.sampled_from([16, 2**30]))
def test_of_a_file_that_is_cut_short_no_array_is_taken_for_whole_that_is_not(
    tree: Any,
    data: st.DataObject,
    chunk_bytes: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write(tree, tmp_path, chunk_bytes, monkeypatch)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(1, len(content) - 1))])

    found, is_whole = read_tree(path)

    expected = flat(tree)
    assert not is_whole
    for name, array in found.items():
        if array.is_whole:
            assert array.read().tobytes() == expected[name].tobytes()


def test_a_chunked_array_that_is_cut_before_its_first_piece_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "flax_model.msgpack"
    chunked = {"__msgpack_chunked_array__": True, "shape": {}, "chunks": {}}
    content = serialization.msgpack_serialize({"a": chunked})
    path.write_bytes(content[:-1] + b"\x82")  # two chunks were to follow

    assert read_tree(path) == ({}, False)


@HERE
@given(content=st.binary(max_size=200))
def test_any_other_bytes_are_no_tree_or_hold_no_more_than_they_say(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "flax_model.msgpack"
    path.write_bytes(content)

    try:
        found, _ = read_tree(path)
    except NoTreeError:
        return

    assert all(array.size_bytes < len(content) for array in found.values() if array.is_whole)


def test_an_array_whose_file_was_cut_since_it_was_found_is_not_made_up(tmp_path: Path) -> None:
    path = tmp_path / "flax_model.msgpack"
    path.write_bytes(serialization.msgpack_serialize({"a": np.ones(100, np.float32)}))
    found, _ = read_tree(path)
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(OSError, match="the file ends too early"):
        found["a"].read()
