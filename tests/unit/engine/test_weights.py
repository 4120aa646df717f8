"""Broken checkpoints get one sentence that names everything that is wrong."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flax import nnx, serialization, traverse_util

from engine import weights
from engine.api import CheckpointError
from engine.models.clip import ClipConfig
from engine.models.dalle_bart import DalleBartConfig
from engine.models.vqgan import VqganConfig
from tests.support.tiny import DATA

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(DATA / "dalle_mini_tiny", tmp_path / "dalle_bart")


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

    change_arrays(folder, spoil)

    with pytest.raises(CheckpointError) as error:
        weights.load_model(weights.DALLE_BART, folder)

    assert str(error.value) == (
        f"{folder / 'flax_model.msgpack'} does not fit its config.json: "
        "lm_head/kernel is missing; model/decoder/surprise is surplus; "
        "model/encoder/final_ln/bias has shape (7,), not (48,)."
    )


def test_a_truncated_file_is_called_damaged(folder: Path) -> None:
    path = folder / "flax_model.msgpack"
    path.write_bytes(path.read_bytes()[:-1000])

    with pytest.raises(CheckpointError) as error:
        weights.load_model(weights.DALLE_BART, folder)

    assert str(error.value) == (
        f"{path} is damaged or cut short; copy it again from where it came from."
    )


@pytest.mark.parametrize("name", ["config.json", "flax_model.msgpack"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(CheckpointError) as error:
        weights.load_model(weights.DALLE_BART, folder)

    assert str(error.value) == f"{folder / name} cannot be read (No such file or directory)."


def test_options_that_no_released_checkpoint_uses_are_refused_by_name(folder: Path) -> None:
    change_config(folder, use_head_scale=True, ln_positions="subln")

    with pytest.raises(CheckpointError) as error:
        weights.load_model(weights.DALLE_BART, folder)

    assert str(error.value) == (
        "The DalleBart config.json cannot be used: ln_positions is 'subln', only 'normformer' "
        "is supported; use_head_scale is True, only False is supported."
    )


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


# Parameter counts of the released models (reference data of the original project).
RELEASED_COUNTS = [
    (
        weights.DALLE_BART,
        DalleBartConfig(
            d_model=1024,
            encoder_layers=12,
            decoder_layers=12,
            encoder_attention_heads=16,
            decoder_attention_heads=16,
            encoder_ffn_dim=2730,
            decoder_ffn_dim=2730,
            encoder_vocab_size=50264,
            max_text_length=64,
            image_vocab_size=16384,
            image_length=256,
            decoder_start_token_id=16384,
        ),
        437_833_712,
    ),
    (
        weights.VQGAN,
        VqganConfig(
            ch=128,
            ch_mult=(1, 1, 2, 2, 4),
            num_res_blocks=2,
            attn_resolutions=(16,),
            resolution=256,
            z_channels=256,
            embed_dim=256,
            n_embed=16384,
            in_channels=3,
            out_ch=3,
        ),
        76_073_859,
    ),
    (
        weights.CLIP,
        ClipConfig.from_json(
            {
                "projection_dim": 512,
                "text_config": {
                    "hidden_size": 512,
                    "intermediate_size": 2048,
                    "num_hidden_layers": 12,
                    "num_attention_heads": 8,
                    "vocab_size": 49408,
                    "max_position_embeddings": 77,
                },
                "vision_config": {
                    "hidden_size": 768,
                    "intermediate_size": 3072,
                    "num_hidden_layers": 12,
                    "num_attention_heads": 12,
                    "image_size": 224,
                    "patch_size": 32,
                },
            }
        ),
        151_277_313,
    ),
]


@pytest.mark.parametrize(
    ("form", "config", "count"), RELEASED_COUNTS, ids=["mini", "vqgan", "clip"]
)
def test_the_full_size_models_have_as_many_parameters_as_the_released_ones(
    form: weights.ModelFormat[Any], config: Any, count: int
) -> None:
    model = weights.abstract_model(form, config)

    assert sum(leaf.size for _, leaf in nnx.to_flat_state(nnx.state(model))) == count
