from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.api import CheckpointError
from engine.text import ClipTokenizer, TextNormaliser, TextTokenizer, WordRanks

TINY = Path(__file__).parents[2] / "golden" / "data" / "dalle_mini_tiny"
NORMALISER = TextNormaliser(WordRanks(["the", "a", "cat", "sun", "set"]))


def tokenizer(folder: Path) -> TextTokenizer:
    return TextTokenizer.from_folder(folder, max_text_length=64, embedding_rows=899)


def test_a_lone_person_becomes_the_same_words_every_time() -> None:
    first = NORMALISER.normalise("<person> with a hat")

    assert first in {f" {word} with a hat" for word in ("a person", "someone", "somebody")}
    assert {NORMALISER.normalise("<person> with a hat") for _ in range(5)} == {first}


def test_different_texts_choose_different_words_for_a_person() -> None:
    texts = {NORMALISER.normalise(f"<person> number {number}") for number in range(20)}

    assert {text.split(" number")[0] for text in texts} > {" a person"}


def test_a_protected_dot_in_a_hashtag_separates_its_words() -> None:
    assert NORMALISER.normalise("#cat.sunset") == " cat sun set"


def test_without_a_word_list_in_the_checkpoint_hashtags_split_by_the_one_of_wordninja(
    tmp_path: Path,
) -> None:
    ranks = WordRanks.from_folder(tmp_path)

    assert ranks.split("throwbackthursday") == "throwback thursday"


def test_a_list_without_words_splits_into_letters() -> None:
    assert WordRanks([]).split("cat2024") == "c a t 2024"


@settings(deadline=None)
@given(st.text(max_size=200))
def test_a_normalised_text_is_ascii_words_after_one_space_each(
    prompt: str,
) -> None:
    text = NORMALISER.normalise(prompt)

    assert text.isascii()
    assert text == " " + " ".join(text.split())


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=[]), max_size=100))
def test_any_text_has_ids_within_the_embedding(prompt: str) -> None:
    ids = TINY_TOKENIZER.encode(prompt).ids

    assert ids.shape == (64,)
    assert 0 <= ids.min() <= ids.max() < 899


def test_clip_takes_half_a_surrogate_pair_for_a_question_mark() -> None:
    clip = ClipTokenizer.from_folder(TINY.parent / "clip_tiny")

    assert clip.encode("cat \ud83d").ids.tolist() == clip.encode("cat ?").ids.tolist()


def test_a_missing_tokenizer_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        tokenizer(tmp_path)

    assert str(caught.value) == (
        f"The checkpoint file {tmp_path}/tokenizer.json cannot be read (it is missing): "
        "fetch the checkpoint again."
    )


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"model": {}}', b'{"model": {"vocab": {"<pad>": 1}}}']
)
def test_a_damaged_tokenizer_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)

    with pytest.raises(CheckpointError) as caught:
        tokenizer(tmp_path)

    assert str(caught.value) == (
        f"The checkpoint file {tmp_path}/tokenizer.json cannot be read (it is damaged): "
        "fetch the checkpoint again."
    )


def test_a_damaged_word_list_is_one_sentence(tmp_path: Path) -> None:
    shutil.copy(TINY / "tokenizer.json", tmp_path)
    (tmp_path / "enwiki-words-frequency.txt").write_bytes(b"the 10\n\xff\xfe 9\n")

    with pytest.raises(CheckpointError) as caught:
        tokenizer(tmp_path)

    assert str(caught.value) == (
        f"The checkpoint file {tmp_path}/enwiki-words-frequency.txt cannot be read "
        "(it is damaged): fetch the checkpoint again."
    )


TINY_TOKENIZER = tokenizer(TINY)
