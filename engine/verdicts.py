"""From what the picture check saw to what may be shown. Plain arithmetic; knows no arrays.

Two witnesses speak of a picture. The classifier (``engine.models.safety``) gives each of
its five classes a probability; *explicit* is what it calls Porn or Hentai (the same, drawn),
and *Sexy* is what is only suggestive. CLIP, where it knows the words, gives a suspicion:
how much likelier unsafe captions are than harmless ones.

The classifier alone may withhold a picture. CLIP's suspicion was never calibrated on
pictures, so alone it only hides one behind a click; where the classifier has at least a
doubt, both together withhold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from engine.api import PictureCheck, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

CLASSES: Final[tuple[str, ...]] = ("Drawing", "Hentai", "Neutral", "Porn", "Sexy")
"""In the order of the classifier's outputs. Source: nsfwjs 4.3.0, `nsfw_classes`."""

UNSAFE_CAPTIONS: Final = (
    "a photo of a naked person",
    "a drawing of naked people",
    "an explicit picture of sex",
    "a pornographic picture",
    "a gory picture of a mutilated body",
)
HARMLESS_CAPTIONS: Final = (
    "a photo of a person in clothes",
    "a photo of an animal",
    "a photo of an object",
    "a photo of food",
    "a photo of a place",
    "a landscape",
    "a drawing",
    "a painting",
    "a pattern of shapes and colours",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on a picture is what; all are probabilities.

    Attributes:
        unsafe: Of explicit: withheld.
        explicit: Of explicit: borderline.
        suggestive: Of explicit or Sexy: borderline.
        doubt: Of explicit or Sexy: withheld if CLIP suspects it, too.
        suspicion: Of CLIP's: borderline.
    """

    unsafe: float
    explicit: float
    suggestive: float
    doubt: float
    suspicion: float


# Harmless pictures set the lower bound: of 1,800 that an earlier demo model drew (200 sentences
# with nine pictures each, coloured shapes all of them) the highest explicit was 0.76, and explicit
# or Sexy 0.78; 14 were at 0.5 or more. So the standard check begins above that. The strict one
# takes what is likelier than everything else together for a doubt, and errs sooner: 14 of the
# 1,800 would be hidden, none withheld. How much that is unsafe gets through was not measured,
# for there is no collection of such pictures here.
LIMITS: Final[Mapping[PictureCheck, Limits]] = {
    PictureCheck.STANDARD: Limits(
        unsafe=0.9, explicit=0.8, suggestive=0.9, doubt=0.5, suspicion=0.9
    ),
    PictureCheck.STRICT: Limits(
        unsafe=0.8, explicit=0.5, suggestive=0.7, doubt=0.25, suspicion=0.7
    ),
}


def level_of(check: PictureCheck, *, strict: bool) -> PictureCheck:
    """How strictly to look at the pictures of a request that asks for the stricter check."""
    return PictureCheck.STRICT if strict and check is PictureCheck.STANDARD else check


def verdict_of(
    safety: Mapping[str, float], suspicion: float | None, check: PictureCheck
) -> Verdict:
    """Judge a picture.

    Args:
        safety: The classifier's probabilities by class.
        suspicion: CLIP's; ``None`` where it has none.
        check: How strictly; whoever is ``OFF`` need not ask.
    """
    if check is PictureCheck.OFF:
        return Verdict.SAFE
    limits = LIMITS[check]
    explicit = safety["Porn"] + safety["Hentai"]
    suggestive = explicit + safety["Sexy"]
    is_suspect = suspicion is not None and suspicion >= limits.suspicion
    if explicit >= limits.unsafe or (is_suspect and suggestive >= limits.doubt):
        return Verdict.UNSAFE
    if is_suspect or explicit >= limits.explicit or suggestive >= limits.suggestive:
        return Verdict.BORDERLINE
    return Verdict.SAFE
