from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.x.replies import reply_mark, reply_text


def test_a_reply_ends_with_a_mark_that_no_other_has() -> None:
    texts = {reply_text(root_id, "Here you are.") for root_id in range(1000)}

    assert len(texts) == 1000
    assert reply_text(7, "Here you are.") == f"Here you are. {reply_mark(7)}"
    assert reply_text(7, "Here you are.") == reply_text(7, "Here you are.")


@pytest.mark.parametrize(
    ("sentence", "tame"),
    [
        ("Sorry, @ada: see https://example.com/a or pay $5.", "Sorry, ada: see or pay 5."),
        ("Look at www.example.com and \uff20ada", "Look at and ada"),
        ("It is\nfine.", "It is fine."),
    ],
)
def test_a_reply_holds_no_link_name_or_tag(sentence: str, tame: str) -> None:
    assert reply_text(7, sentence) == f"{tame} {reply_mark(7)}"


@given(st.text(max_size=600))
def test_no_sentence_makes_a_reply_too_long_or_unwelcome(sentence: str) -> None:
    text = reply_text(7, sentence)

    assert len(text) <= 280
    assert not {"@", "#", "$", "\uff20", "\uff03", "\uff04"} & set(text)
    assert "http://" not in text
