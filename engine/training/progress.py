"""Pictures of how a training run goes: its loss, and what a model makes of a few scenes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_CURVE_PX = (640, 320)
_MARGIN_PX = 48
_ENLARGED = 2


def loss_curve(steps: Sequence[int], losses: Sequence[float]) -> Image.Image:
    """Losses over steps, on a logarithmic scale; what is not a number is left out."""
    image = Image.new("RGB", _CURVE_PX, "white")
    pen = ImageDraw.Draw(image)
    known = [
        (step, math.log10(loss))
        for step, loss in zip(steps, losses, strict=True)
        if math.isfinite(loss) and loss > 0
    ]
    if not known:
        return image
    first, last = known[0][0], max(known[-1][0], known[0][0] + 1)
    low, high = (limit(value for _, value in known) for limit in (min, max))
    high = max(high, low + 1e-6)
    width, height = (side - 2 * _MARGIN_PX for side in _CURVE_PX)

    def place(step: int, value: float) -> tuple[float, float]:
        right, down = (step - first) / (last - first), (high - value) / (high - low)
        return _MARGIN_PX + right * width, _MARGIN_PX + down * height

    pen.line([place(*one) for one in known], fill="black")
    pen.text((4, place(first, high)[1] - 6), f"{10**high:.3g}", fill="black")
    pen.text((4, place(first, low)[1] - 6), f"{10**low:.3g}", fill="black")
    pen.text((_MARGIN_PX, _CURVE_PX[1] - 24), f"steps {first:,} to {last:,}", fill="black")
    return image


def rows_of_pictures(*rows: NDArray[np.floating]) -> Image.Image:
    """Pictures [N, h, w, 3] in [0, 1] (what lies outside is clipped), one row for each array."""
    lines = [np.concatenate(list(row), axis=1) for row in rows]
    levels = np.round(np.clip(np.concatenate(lines), 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(levels.repeat(_ENLARGED, axis=0).repeat(_ENLARGED, axis=1))
