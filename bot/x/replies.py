"""What a reply says: a sentence of ours and a mark that no other reply has.

The text is a function of the mention and the sentence alone, so every attempt posts the
same bytes, and two mentions never get the same text: X's filter of duplicates then works
for us. Nothing of the person's words is in it. A link costs twenty times as much; a name,
a hashtag or a cashtag draws in people and topics that nobody asked for.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.x.mentions import reply_target_ids

if TYPE_CHECKING:
    from bot.store.x_states import MentionRecord
    from bot.x.api import Post

# At sign, hash and dollar also in their wide forms.
_UNWELCOME = re.compile(r"https?://\S+|www\.\S+|[@#$\uff20\uff03\uff04]")
# X counts 280; most letters count 1, CJK and emoji 2. Our sentences are Latin.
_MAX_SENTENCE_CHARS = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The grid of pictures, its words for people who cannot see it, and what is said.

    Attributes:
        is_sensitive: X hides the pictures until somebody wants to see them.
    """

    picture: bytes
    alt_text: str
    sentence: str
    is_sensitive: bool = False


def reply_text(root_id: int, sentence: str) -> str:
    """Return the text to post: the same in every attempt."""
    tame = " ".join(_UNWELCOME.sub("", sentence).split())
    is_short = len(tame) <= _MAX_SENTENCE_CHARS
    short = tame if is_short else f"{tame[: _MAX_SENTENCE_CHARS - 1]}…"
    return f"{short} {reply_mark(root_id)}"


def reply_mark(root_id: int) -> str:
    """Return what tells a reply from all others and finds it again."""
    return f"(ref {hashlib.sha256(str(root_id).encode()).hexdigest()[:8]})"


def is_reply_to(mention: MentionRecord, own_post: Post) -> bool:
    """Say whether ``own_post``, one of our own, answers ``mention``."""
    versions = {mention.root_id, mention.latest_id}
    if mention.attempt is not None:
        versions.add(mention.attempt.target_id)
    is_answer = not reply_target_ids(own_post).isdisjoint(versions)
    return is_answer or reply_mark(mention.root_id) in str(own_post.get("text"))
