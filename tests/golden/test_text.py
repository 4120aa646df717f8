"""The text path against the numbers of the original project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.text import ClipTokenizer, TextNormaliser, TextTokenizer, WordRanks

DATA = Path(__file__).parent / "data"
RELEASED = Path(__file__).parents[3] / "shared" / "tokenizer"
UNKNOWN_ID = 3
ROWS = {"mini": 899, "mega": 907}


def load_json(name: str) -> Any:
    return json.loads((DATA / "golden" / name).read_text())


@pytest.fixture(scope="module")
def ranks() -> WordRanks:
    return WordRanks.from_folder(DATA / "dalle_mini_tiny")


def tokenizer_of(model: str) -> TextTokenizer:
    return TextTokenizer.from_folder(
        DATA / f"dalle_{model}_tiny", max_text_length=64, embedding_rows=ROWS[model]
    )


def test_every_prompt_is_normalised_as_by_the_original(ranks: WordRanks) -> None:
    normaliser = TextNormaliser(ranks)
    prompts = load_json("text.json")["prompts"]

    ours = [normaliser.normalise(entry["prompt"]) for entry in prompts]

    assert ours == [entry["normalized"] for entry in prompts]


def test_every_hashtag_is_split_as_by_the_original(ranks: WordRanks) -> None:
    hashtags = load_json("text.json")["hashtags"]

    ours = [ranks.split(entry["word"]) for entry in hashtags]

    assert ours == [entry["split"] for entry in hashtags]


@pytest.mark.parametrize("model", ["mini", "mega"])
def test_ids_and_masks_equal_the_original_processor_but_for_ids_without_a_row(model: str) -> None:
    golden = np.load(DATA / "golden" / "text_processor.npz")
    expected_ids = golden[f"{model}_input_ids"]
    tokenizer = tokenizer_of(model)

    texts = [tokenizer.encode(entry["prompt"]) for entry in load_json("text.json")["prompts"]]

    ids = np.stack([text.ids for text in texts])
    without_row = expected_ids >= ROWS[model]
    np.testing.assert_array_equal(ids, np.where(without_row, UNKNOWN_ID, expected_ids))
    np.testing.assert_array_equal(
        np.stack([text.mask for text in texts]), golden[f"{model}_attention_mask"]
    )
    assert ids.dtype == np.int32
    assert without_row.sum() == (1 if model == "mini" else 0)


@pytest.mark.parametrize("what", ["token_ids", "token_ids_without_normalizing"])
def test_ids_of_texts_that_are_not_normalised_equal_those_of_the_original(what: str) -> None:
    tokenizer = TextTokenizer.from_folder(
        DATA / "dalle_mega_tiny", max_text_length=64, embedding_rows=ROWS["mega"], normalise=False
    )
    source = "normalized" if what == "token_ids" else "prompt"
    end_id, padding_id = 2, 1

    for entry in load_json("text.json")["prompts"]:
        expected = entry[what]
        expected = expected if len(expected) <= 64 else [*expected[:63], end_id]

        ids = tokenizer.encode(entry[source]).ids.tolist()

        assert ids == expected + [padding_id] * (64 - len(expected))


@pytest.mark.parametrize("model", ["mini", "mega"])
def test_the_unconditional_ids_are_those_of_no_text(model: str) -> None:
    golden = np.load(DATA / "golden" / "text_processor.npz")

    unconditional = tokenizer_of(model).unconditional

    for row in range(len(golden[f"{model}_input_ids_uncond"])):
        np.testing.assert_array_equal(unconditional.ids, golden[f"{model}_input_ids_uncond"][row])
        np.testing.assert_array_equal(
            unconditional.mask, golden[f"{model}_attention_mask_uncond"][row]
        )


def test_clip_ids_equal_the_original_cut_to_the_context() -> None:
    tokenizer = ClipTokenizer.from_folder(DATA / "clip_tiny")
    end_id = 733

    for entry in load_json("text.json")["prompts"]:
        expected = entry["clip_token_ids"]
        expected = expected if len(expected) <= 77 else [*expected[:76], end_id]
        padding = [end_id] * (77 - len(expected))

        text = tokenizer.encode(entry["prompt"])

        assert text.ids.tolist() == expected + padding
        assert text.mask.tolist() == [1] * len(expected) + [0] * len(padding)


@pytest.mark.skipif(not RELEASED.exists(), reason="the released tokenizer is not on this machine")
def test_the_released_tokenizer_gives_the_ids_of_the_original() -> None:
    golden = load_json("released_tokenizer.json")
    tokenizer = TextTokenizer.from_folder(
        RELEASED, max_text_length=64, embedding_rows=50_264, normalise=False
    )

    texts = [tokenizer.encode(entry["normalized"]) for entry in golden["prompts"]]

    assert [text.ids.tolist() for text in texts] == [
        [i if i < 50_264 else UNKNOWN_ID for i in entry["padded_ids"]]
        for entry in golden["prompts"]
    ]
    assert [text.mask.tolist() for text in texts] == [
        entry["attention_mask"] for entry in golden["prompts"]
    ]
    assert tokenizer.unconditional.ids.tolist() == golden["unconditional"]["padded_ids"]


@pytest.mark.skipif(not RELEASED.exists(), reason="the released tokenizer is not on this machine")
def test_the_released_token_without_a_row_becomes_unknown() -> None:
    tokenizer = TextTokenizer.from_folder(RELEASED, max_text_length=64, embedding_rows=50_264)

    assert tokenizer.encode("olsz").ids[:4].tolist() == [0, UNKNOWN_ID, 2, 1]
    assert tokenizer.encode("court sketch of godzilla on trial").ids[:8].tolist() == [
        0, 2634, 4189, 111, 14450, 133, 5167, 2,
    ]  # fmt: skip
