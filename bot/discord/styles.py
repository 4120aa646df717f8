"""Styles: presets that add words to a prompt.

The words are English in every language: the model has read hardly anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# The names are stored in profiles; `style_<name>` in the catalogue is what people see.
STYLES: Final[Mapping[str, str]] = {
    "photo": "a photograph in natural light, sharp focus",
    "oil": "an oil painting with thick brush strokes",
    "watercolour": "a watercolour painting on paper",
    "pencil": "a pencil drawing with fine shading",
    "woodblock": "a Japanese woodblock print",
    "poster": "a flat poster in bold colours",
    "pixels": "pixel art",
    "clay": "a figure of clay in studio light",
}
NO_STYLE: Final = "none"

_JOINT: Final = ", "
MAX_ADDED_CHARS: Final = max(len(words) for words in STYLES.values()) + len(_JOINT)


def styled(prompt: str, style: str | None) -> str:
    """Return ``prompt`` with the words of ``style``; of a style that is no more, without."""
    words = STYLES.get(style or NO_STYLE)
    return prompt if words is None else f"{prompt.strip()}{_JOINT}{words}"
