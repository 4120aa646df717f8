"""Pictures as CLIP wants them: resized, cropped, normalised. Plain Python and Pillow.

Source: transformers 4.25.1, `CLIPFeatureExtractor`; checked by `tests/golden/test_clip.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from engine.api import CheckpointError
from engine.weights import read_json

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPixels:
    """One checkpoint's preparation of pictures.

    Attributes:
        side_px: The side of the square that CLIP sees.
        mean: Per channel, of values in [0, 1].
        std: Per channel.
    """

    side_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def from_folder(cls, folder: Path, *, side_px: int) -> ClipPixels:
        """Read ``preprocessor_config.json``.

        Raises:
            CheckpointError: It is missing, damaged, or asks for something else than
                a bicubic resize, a centre crop and a normalisation.
        """
        values = read_json(folder / "preprocessor_config.json")
        mean, std = values.get("image_mean"), values.get("image_std")
        if not _is_rgb(mean) or not _is_rgb(std):
            raise CheckpointError(
                f"{folder / 'preprocessor_config.json'} needs image_mean and image_std, "
                "three numbers each."
            )
        if values.get("resample", 3) != Image.Resampling.BICUBIC:
            raise CheckpointError(
                f"{folder / 'preprocessor_config.json'}: resample is {values['resample']}, "
                "only 3 (bicubic) is supported."
            )
        return cls(side_px=side_px, mean=tuple(mean), std=tuple(std))  # pyright: ignore[reportArgumentType]  # checked above

    def prepare(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures uint8 [n, h, w, 3] to float32 [n, side, side, 3], normalised."""
        square = np.stack([self._square(picture) for picture in pixels])
        values = square.astype(np.float32) / np.float32(255)
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        return (values - mean) / std

    def _square(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize the short side to ``side_px``, then crop the middle of the long one."""
        image = Image.fromarray(picture)
        short = min(image.size)
        width, height = (self.side_px * side // short for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - self.side_px) // 2, (height - self.side_px) // 2
        return np.asarray(image.crop((left, top, left + self.side_px, top + self.side_px)))


def _is_rgb(values: object) -> bool:
    return (
        isinstance(values, list)
        and len(values) == 3  # pyright: ignore[reportUnknownArgumentType]  # JSON  # noqa: PLR2004 - red, green, blue
        and all(isinstance(value, int | float) for value in values)  # pyright: ignore[reportUnknownVariableType]  # JSON
    )
