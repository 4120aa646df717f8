"""What a ``config.json`` may say: what released checkpoints say, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.api import CheckpointError
from engine.models.clip import ClipConfig
from engine.models.dalle_bart import DalleBartConfig
from engine.models.vqgan import VqganConfig
from tests.support.tiny import DATA

OFFICIAL = DATA / "official"
MINI: dict[str, Any] = json.loads((OFFICIAL / "dalle_mini.config.json").read_text())
MEGA: dict[str, Any] = json.loads((OFFICIAL / "dalle_mega.config.json").read_text())
VQGAN: dict[str, Any] = json.loads((OFFICIAL / "vqgan_imagenet_f16_16384.config.json").read_text())


def refusal(config: Any, values: dict[str, Any]) -> str:
    with pytest.raises(CheckpointError) as error:
        config.from_json(values)
    return str(error.value)


def test_the_released_configs_are_read() -> None:
    mini, mega = DalleBartConfig.from_json(MINI), DalleBartConfig.from_json(MEGA)

    assert (mini.d_model, mini.decoder_ffn_dim, mini.image_vocab_size) == (1024, 2730, 16384)
    assert (mega.d_model, mega.decoder_ffn_dim, mega.image_vocab_size) == (2048, 4096, 16415)
    assert mega.decoder_start_token_id == 16384
    assert mega.normalize_text
    assert (mega.temperature, mega.top_k, mega.top_p, mega.condition_scale) == (1.0, 50, 1.0, 10.0)
    assert VqganConfig.from_json(VQGAN).downscale == 16


OTHER_OPTIONS = {
    "activation_function": "gelu_new",
    "do_sample": False,
    "force_ln_scale": True,
    "forced_bos_token_id": 5,
    "forced_eos_token_id": 5,
    "is_encoder_decoder": False,
    "ln_positions": "subln",
    "ln_type": "rmsnorm",
    "model_type": "bart",
    "num_beams": 4,
    "scale_embedding": True,
    "sinkhorn_iters": 3,
    "tie_word_embeddings": True,
    "use_absolute_position_embeddings": False,
    "use_alibi": True,
    "use_bias": True,
    "use_cosine_attention": True,
    "use_deepnet_scaling": True,
    "use_final_ln_decoder": False,
    "use_final_ln_encoder": False,
    "use_glu": False,
    "use_head_scale": True,
    "use_subln_init": True,
    "use_swin_position_embeddings": True,
}


@pytest.mark.parametrize("option", OTHER_OPTIONS)
def test_an_option_that_no_released_checkpoint_uses_is_refused_by_name(option: str) -> None:
    sentence = refusal(DalleBartConfig, MEGA | {option: OTHER_OPTIONS[option]})

    assert sentence.startswith(
        f"The DalleBart config.json cannot be used: {option} is {OTHER_OPTIONS[option]!r}, only "
    )


# The checkpoints of the original's own tests with other options, as their configs say it.
@pytest.mark.parametrize(
    ("variant", "named"),
    [
        (
            {
                "activation_function": "smelu",
                "ln_positions": "cogview",
                "sinkhorn_iters": 3,
                "use_final_ln_encoder": False,
                "use_head_scale": True,
            },
            (
                "activation_function is 'smelu', only 'gelu' is supported; "
                "ln_positions is 'cogview', only 'normformer' is supported; "
                "sinkhorn_iters is 3, only 1 is supported; "
                "use_final_ln_encoder is False, only True is supported; "
                "use_head_scale is True, only False is supported."
            ),
        ),
        (
            {"activation_function": "relu", "tau_init": 0.2, "use_cosine_attention": True},
            (
                "activation_function is 'relu', only 'gelu' is supported; "
                "use_cosine_attention is True, only False is supported."
            ),
        ),
        (
            {"activation_function": "gelu_new", "ln_positions": "subln", "use_subln_init": True},
            (
                "activation_function is 'gelu_new', only 'gelu' is supported; "
                "ln_positions is 'subln', only 'normformer' is supported; "
                "use_subln_init is True, only False is supported."
            ),
        ),
        (
            {
                "activation_function": "swish",
                "force_ln_scale": True,
                "ln_positions": "preln",
                "ln_type": "rmsnorm",
                "scale_embedding": True,
                "use_bias": True,
                "use_glu": False,
            },
            (
                "activation_function is 'swish', only 'gelu' is supported; "
                "force_ln_scale is True, only False is supported; "
                "ln_positions is 'preln', only 'normformer' is supported; "
                "ln_type is 'rmsnorm', only 'layernorm' is supported; "
                "scale_embedding is True, only False is supported; "
                "use_bias is True, only False is supported; "
                "use_glu is False, only True is supported."
            ),
        ),
        (
            {
                "ln_positions": "swinv2",
                "use_absolute_position_embeddings": False,
                "use_scan": False,
                "use_swin_position_embeddings": True,
            },
            (
                "ln_positions is 'swinv2', only 'normformer' is supported; "
                "use_absolute_position_embeddings is False, only True is supported; "
                "use_swin_position_embeddings is True, only False is supported."
            ),
        ),
    ],
    ids=["cogview", "cosine attention", "subln", "preln and rmsnorm", "swinv2"],
)
def test_all_options_that_are_refused_are_in_one_sentence(
    variant: dict[str, Any], named: str
) -> None:
    assert refusal(DalleBartConfig, MINI | variant) == (
        f"The DalleBart config.json cannot be used: {named}"
    )


@pytest.mark.parametrize(
    "option",
    [
        {"activation_dropout": 0.1, "attention_dropout": 0.1, "dropout": 0.1},
        {"encoder_layerdrop": 0.1, "decoder_layerdrop": 0.1},
        {"gradient_checkpointing": False, "init_std": 0.5, "tau_init": 0.2, "min_length": 3},
        {"use_scan": False},
        {"use_scan": None},
        {"a_key_of_the_future": 1},
    ],
)
def test_options_that_change_no_picture_are_accepted(option: dict[str, Any]) -> None:
    assert DalleBartConfig.from_json(MINI | option) == DalleBartConfig.from_json(MINI)


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ({"d_model": "1024"}, "d_model is '1024', not a whole number from 1"),
        ({"decoder_layers": 0}, "decoder_layers is 0, not a whole number from 1"),
        ({"encoder_ffn_dim": True}, "encoder_ffn_dim is True, not a whole number from 1"),
        ({"normalize_text": "yes"}, "normalize_text is 'yes', not true or false"),
        ({"temperature": float("nan")}, "temperature is nan, not a finite number"),
        ({"temperature": 0}, "The temperature must be between 0.01 and 10.0, not 0.0"),
        (
            {"decoder_attention_heads": 10},
            "d_model is 1024, no multiple of the 10 of decoder_attention_heads",
        ),
        (
            {"decoder_start_token_id": 16385},
            "decoder_start_token_id is 16385, outside of the tokens 0 to 16384",
        ),
        ({"eos_token_id": 7}, "eos_token_id is 7, an image token: pictures would end early"),
        ({"max_length": 100}, "max_length is 100, not image_length + 1"),
    ],
)
def test_values_that_make_no_sense_are_refused(option: dict[str, Any], problem: str) -> None:
    assert refusal(DalleBartConfig, MINI | option) == (
        f"The DalleBart config.json cannot be used: {problem}."
    )


def test_missing_keys_are_all_named() -> None:
    values = {key: value for key, value in MINI.items() if not key.startswith("encoder_")}

    assert refusal(DalleBartConfig, values) == (
        "The DalleBart config.json cannot be used: encoder_layers is missing; "
        "encoder_attention_heads is missing; encoder_ffn_dim is missing; "
        "encoder_vocab_size is missing."
    )


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ({"double_z": True}, "double_z is True, only False is supported"),
        ({"give_pre_end": True}, "give_pre_end is True, only False is supported"),
        ({"resamp_with_conv": False}, "resamp_with_conv is False, only True is supported"),
        ({"in_channels": 1}, "in_channels is 1, only 3 is supported"),
        ({"ch_mult": [1, 2.5]}, "ch_mult is [1, 2.5], not a list of whole numbers from 1"),
        ({"ch": 100}, "ch is 100, no multiple of the 32 of norm_groups"),
        ({"num_resolutions": 4}, "num_resolutions is 4, but ch_mult has 5"),
    ],
)
def test_a_vqgan_of_another_kind_is_refused(option: dict[str, Any], problem: str) -> None:
    assert refusal(VqganConfig, VQGAN | option) == (
        f"The VQGAN config.json cannot be used: {problem}."
    )


def test_a_clip_config_that_leaves_keys_out_means_vit_b_32() -> None:
    config = ClipConfig.from_json({"text_config": {"num_hidden_layers": 3}, "vision_config": None})

    assert (config.text.num_hidden_layers, config.text.hidden_size) == (3, 512)
    assert (config.vision.num_hidden_layers, config.vision.hidden_size) == (12, 768)
    assert (config.projection_dim, config.vocab_size, config.patch_size) == (512, 49408, 32)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"text_config": {"hidden_act": "gelu"}},
            (
                "The CLIP text config.json cannot be used: "
                "hidden_act is 'gelu', only 'quick_gelu' is supported."
            ),
        ),
        (
            {"vision_config": {"num_channels": 4, "hidden_size": 0}},
            (
                "The CLIP vision config.json cannot be used: "
                "num_channels is 4, only 3 is supported; "
                "hidden_size is 0, not a whole number from 1."
            ),
        ),
        (
            {"vision_config": {"num_attention_heads": 7}},
            (
                "The CLIP vision config.json cannot be used: "
                "hidden_size is 768, no multiple of the 7 of num_attention_heads."
            ),
        ),
        (
            {"vision_config": {"patch_size": 30}},
            (
                "The CLIP config.json cannot be used: "
                "image_size is 224, no multiple of the 30 of patch_size."
            ),
        ),
        (
            {"text_config": [1]},
            "The CLIP config.json cannot be used: text_config is [1], no object.",
        ),
        (
            {"model_type": "siglip"},
            (
                "The CLIP config.json cannot be used: "
                "model_type is 'siglip', only 'clip' is supported."
            ),
        ),
    ],
)
def test_a_clip_of_another_kind_is_refused(values: dict[str, Any], sentence: str) -> None:
    assert refusal(ClipConfig, values) == sentence
