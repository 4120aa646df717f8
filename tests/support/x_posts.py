"""What the world of X keeps of a post: who wrote it, what X makes of it, how it is sent.

Source: X API OpenAPI 2.167; docs "X IDs", "Counting characters".
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from PIL import Image

EPOCH_MS = 1_288_834_974_657
# Each of these characters counts once, every other twice, a link always 23.
_COUNTED_ONCE = re.compile("[\u0000-\u10ff\u2000-\u200d\u2010-\u201f\u2032-\u2037]")
_LINK = re.compile(r"https?://\S+")
_LINK_LENGTH = 23


@dataclass(slots=True, kw_only=True)
class StoredMedia:
    picture: bytes
    expires_at: datetime
    alt_text: str | None = None
    is_sensitive: bool = False


@dataclass(slots=True, kw_only=True)
class StoredPost:
    """A post.

    Attributes:
        text: As its author wrote it; of people's replies with the names that X puts in front.
        hidden_length: Of these names.
        prefix: The names that X puts in front of a reply of the bot.
    """

    id: int
    root_id: int
    author: str
    author_id: str
    text: str
    conversation_id: int
    hidden_length: int = 0
    prefix: str = ""
    reply_to_id: int | None = None
    reply_to_author_id: str | None = None
    retweet_of_id: int | None = None
    quote_of_id: int | None = None
    is_photo_tag: bool = False
    is_restricted: bool = False
    is_deleted: bool = False
    whole_text: str | None = None
    shown_at: datetime
    media: tuple[StoredMedia, ...] = ()
    made_with_ai: bool = False
    mentions: tuple[dict[str, Any], ...] = ()

    def explicitly_names(self, name: str) -> bool:
        return any(
            mention["username"].casefold() == name.casefold()
            and mention["start"] >= self.hidden_length
            for mention in self.mentions
        )

    def as_json(self, versions: list[str]) -> dict[str, Any]:
        text, hidden_length = self.prefix + self.text, len(self.prefix) or self.hidden_length
        fields: dict[str, Any] = {
            "id": str(self.id),
            "text": text,
            "author_id": self.author_id,
            "conversation_id": str(self.conversation_id),
            "created_at": f"{moment_of(self.id):%Y-%m-%dT%H:%M:%S.000Z}",
            "display_text_range": [hidden_length, len(text)],
            "edit_history_tweet_ids": versions,
        }
        if self.mentions:
            fields["entities"] = {"mentions": list(self.mentions)}
        if self.whole_text is not None:
            fields["note_tweet"] = {"text": self.whole_text, "entities": fields.get("entities")}
        if self.reply_to_id is not None:
            fields["in_reply_to_user_id"] = self.reply_to_author_id
        references = {
            "replied_to": self.reply_to_id,
            "quoted": self.quote_of_id,
            "retweeted": self.retweet_of_id,
        }
        if any(references.values()):
            fields["referenced_tweets"] = [
                {"type": kind, "id": str(id_)} for kind, id_ in references.items() if id_
            ]
        return fields


def moment_of(post_id: int) -> datetime:
    return datetime.fromtimestamp(((post_id >> 22) + EPOCH_MS) / 1000, UTC)


def size_of(picture: bytes) -> tuple[int, int]:
    """Width and height of a picture; 0 if it has only the first bytes of one."""
    try:
        with Image.open(io.BytesIO(picture)) as image:
            return image.size
    except OSError:
        return 0, 0


def weighted_length(text: str) -> int:
    """The length of a text as X counts it; 280 is the most that a post may have."""
    links = _LINK.findall(text)
    rest = _LINK.sub("", text)
    once = len(_COUNTED_ONCE.findall(rest))
    return len(links) * _LINK_LENGTH + once + 2 * (len(rest) - once)
