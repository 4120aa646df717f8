"""The name of a button, from which a press is understood: ``im:upscale:<job id>:3``.

All that a press needs is in the name, so buttons work on every message of the bot, however
old, and after a restart. A name says what is wished, never what is allowed: the job is looked
up, and the person is the one whom Discord names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bot.jobs import JobId

if TYPE_CHECKING:
    from collections.abc import Sequence

TEMPLATE: Final = re.compile(
    r"im:(?P<verb>[a-z]{1,16}):(?P<job>[0-9A-Za-z_-]{1,64}):(?P<n>[0-9]{1,3})"
)

CHOSEN_IN_MENU: Final = 0


class Verb(StrEnum):
    """What a button does. ``n`` of its name is the rank of a picture where it needs one."""

    UPSCALE = "upscale"
    VARIATIONS = "variations"
    REDRAW = "redraw"
    REMIX = "remix"
    SAVE = "save"
    SPOILER = "spoiler"
    """``n`` is 1 to hide the pictures, 0 to show them: pressed twice it does the same."""
    REPORT = "report"
    DELETE = "delete"
    CANCEL = "cancel"
    FETCH = "fetch"
    """Show the pictures of a job that were done after the message could be edited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """What somebody wishes.

    Attributes:
        n: The rank of a picture (1 is the best), or as ``Verb`` says; in the name of a menu
            ``CHOSEN_IN_MENU``.
    """

    verb: Verb
    job_id: JobId
    n: int = 0

    @property
    def custom_id(self) -> str:
        """The name of the button; at most 100 characters, as Discord allows."""
        return f"im:{self.verb}:{self.job_id}:{self.n}"


def press_of(custom_id: str, values: Sequence[str] = ()) -> Press | None:
    """Return what the name of a button says; ``None`` if it is none of ours.

    Args:
        custom_id: The name.
        values: What was chosen in a menu.
    """
    match = TEMPLATE.fullmatch(custom_id)
    if match is None or match["verb"] not in set(Verb):
        return None
    chosen = values[0] if values else match["n"]
    if not re.fullmatch(r"[0-9]{1,3}", chosen):
        return None
    return Press(verb=Verb(match["verb"]), job_id=JobId(match["job"]), n=int(chosen))
