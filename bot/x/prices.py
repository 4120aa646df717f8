"""What X charges per call, and how much a day may cost. Plain arithmetic, no calls.

Reads are billed by what they return, which is known only afterwards. So a reserve, one full
page of each kind of read, stays free: whatever is allowed now cannot exceed the limit even
if every read under way comes back full.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.store.x_states import Cost
from bot.x.api import PAGE_SIZE, SEARCH_PAGE_SIZE

if TYPE_CHECKING:
    from typing import Self

MICROS = 1_000_000


class Call(StrEnum):
    """What is billed."""

    MENTION = "mention"
    OWN_POST = "own_post"
    POST = "post"
    USER = "user"
    ALT_TEXT = "alt_text"
    REPLY = "reply"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Millionths of a dollar for one of each.

    Source: X API docs "Pricing" (pay per use, August 2026).
    """

    mention: int = 1_000
    own_post: int = 1_000
    post: int = 5_000
    user: int = 10_000
    alt_text: int = 5_000
    reply: int = 10_000
    delete: int = 10_000

    @classmethod
    def parse(cls, table: str) -> Self:
        """Read a table such as "mention=0.001 reply=0.01"; what is left out keeps its price.

        Raises:
            ValueError: With the sentence for the admin.
        """
        names = {field.name for field in fields(cls)}
        found: dict[str, int] = {}
        for entry in table.replace(",", " ").split():
            name, _, price = entry.partition("=")
            if name not in names or (micros := _micros(price)) is None:
                raise ValueError(
                    f"X_PRICES_USD has {entry!r}: write name=dollars with the names "
                    f"{', '.join(sorted(names))}."
                )
            found[name] = micros
        return cls(**found)

    def cost(self, call: Call, unit_count: int = 1) -> Cost:
        """What ``unit_count`` of them cost."""
        price: int = getattr(self, call)
        return Cost(call=call, unit_count=unit_count, unit_micros=price)

    @property
    def reserve_micros(self) -> int:
        """One full page of each kind of read."""
        return (self.mention + self.own_post) * PAGE_SIZE + self.post * SEARCH_PAGE_SIZE


def _micros(price: str) -> int | None:
    try:
        micros = round(float(price) * MICROS)
    except ValueError:
        return None
    return micros if 0 <= micros <= 100 * MICROS else None
