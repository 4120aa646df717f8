"""Trains the two tokenizers on the captions, in the file formats of the released ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_BART_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]  # ids 0 to 4
_CLIP_START, _CLIP_END = "<|startoftext|>", "<|endoftext|>"
_CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def train_bart(captions: Iterable[str], vocab_size: int, folder: Path) -> None:
    """Byte-level BPE without prefix space: captions must begin with the one they will have."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=_BART_SPECIAL,
        initial_alphabet=_prompt_alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    names = {"bos": 0, "eos": 2, "unk": 3, "sep": 2, "pad": 1, "cls": 0, "mask": 4}
    special = {f"{name}_token": _BART_SPECIAL[i] for name, i in names.items()}
    _save(tokenizer, folder, special)


def train_clip(captions: Iterable[str], vocab_size: int, folder: Path) -> None:
    """Lower-case BPE with ``</w>`` at the end of words; the end token has the highest id."""
    tokenizer = Tokenizer(BPE(end_of_word_suffix="</w>", unk_token=_CLIP_END))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CLIP_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=vocab_size - 2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    tokenizer = _with_clip_ends(tokenizer)
    special = {"bos_token": _CLIP_START, "eos_token": _CLIP_END}
    _save(tokenizer, folder, special | {"pad_token": _CLIP_END, "unk_token": _CLIP_END})


def _with_clip_ends(tokenizer: Tokenizer) -> Tokenizer:
    """Give the start and the end of a text the two highest ids, in the vocabulary itself.

    CLIP reads a text's vector where the id is highest, so the order matters.
    """
    whole = json.loads(tokenizer.to_str())
    vocabulary: dict[str, int] = whole["model"]["vocab"]
    start_id = len(vocabulary)
    vocabulary |= {_CLIP_START: start_id, _CLIP_END: start_id + 1}
    whole["model"]["vocab"] = vocabulary
    finished = Tokenizer.from_str(json.dumps(whole))
    finished.post_processor = processors.RobertaProcessing(
        (_CLIP_END, start_id + 1),
        (_CLIP_START, start_id),
        trim_offsets=False,
        add_prefix_space=False,
    )
    return finished


def _prompt_alphabet() -> list[str]:
    """The characters that a normalised prompt can hold, as ByteLevel writes them."""
    plain = "abcdefghijklmnopqrstuvwxyz0123456789\"$%&'*,./<>@^"
    return [*plain, "Ġ"]  # Ġ is the space


def _save(tokenizer: Tokenizer, folder: Path, special: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    text = json.dumps(special, indent=2) + "\n"
    (folder / "special_tokens_map.json").write_text(text, encoding="utf-8")
