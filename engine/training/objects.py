"""The everyday objects of the training pictures: Microsoft's Fluent Emoji, rendered in 3D.

A prompt names an object by its everyday noun. The pictures come from the npm package
``@lobehub/fluent-emoji-3d`` (MIT, see NOTICE), which ``load_sprites`` fetches once with
``npm`` and keeps beside the training run; nothing of it is needed to draw with the model.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Sprites = Mapping["Object", Image.Image]
    """A picture with transparency, RGBA, for every object."""

_PACKAGE = "@lobehub/fluent-emoji-3d@1.1.0"
_SPRITE_PX = 192  # enough for three times the largest extent at 64 px

# --- names ---------------------------------------------------------------------------

_CODE_POINTS = {
    # food
    "pizza": "1f355", "hamburger": "1f354", "hot dog": "1f32d", "donut": "1f369",
    "cookie": "1f36a", "birthday cake": "1f382", "ice cream": "1f366", "pretzel": "1f968",
    "cheese": "1f9c0", "popcorn": "1f37f", "lollipop": "1f36d", "apple": "1f34e",
    "banana": "1f34c", "strawberry": "1f353", "watermelon": "1f349", "pineapple": "1f34d",
    "grapes": "1f347", "lemon": "1f34b", "pear": "1f350", "avocado": "1f951",
    "tomato": "1f345", "carrot": "1f955", "corn": "1f33d", "broccoli": "1f966",
    # animals
    "cat": "1f431", "dog": "1f436", "rabbit": "1f430", "fox": "1f98a", "bear": "1f43b",
    "panda": "1f43c", "tiger": "1f42f", "lion": "1f981", "cow": "1f42e", "pig": "1f437",
    "frog": "1f438", "monkey": "1f435", "penguin": "1f427", "duck": "1f986", "owl": "1f989",
    "horse": "1f434", "unicorn": "1f984", "bee": "1f41d", "butterfly": "1f98b",
    "snail": "1f40c", "ladybug": "1f41e", "turtle": "1f422", "dinosaur": "1f995",
    "octopus": "1f419", "crab": "1f980", "whale": "1f433", "shark": "1f988",
    "elephant": "1f418", "sheep": "1f411",
    # nature
    "sunflower": "1f33b", "rose": "1f339", "cactus": "1f335", "palm tree": "1f334",
    "christmas tree": "1f384", "sun": "1f31e", "cloud": "2601-fe0f", "rainbow": "1f308",
    "snowman": "26c4", "fire": "1f525", "volcano": "1f30b", "planet": "1fa90",
    "globe": "1f30d",
    # things to use
    "soccer ball": "26bd", "basketball": "1f3c0", "guitar": "1f3b8", "drum": "1f941",
    "trumpet": "1f3ba", "camera": "1f4f7", "television": "1f4fa", "laptop": "1f4bb",
    "alarm clock": "23f0", "light bulb": "1f4a1", "book": "1f4d5", "scissors": "2702-fe0f",
    "key": "1f511", "lock": "1f512", "hammer": "1f528", "gift": "1f381", "balloon": "1f388",
    "teddy bear": "1f9f8", "umbrella": "2602-fe0f", "top hat": "1f3a9", "crown": "1f451",
    "backpack": "1f392", "chair": "1fa91", "trophy": "1f3c6", "bell": "1f514",
    # vehicles, buildings, beings
    "rocket": "1f680", "airplane": "2708-fe0f", "helicopter": "1f681", "bicycle": "1f6b2",
    "bus": "1f68c", "train": "1f682", "tractor": "1f69c", "sailboat": "26f5",
    "tent": "26fa", "castle": "1f3f0", "robot": "1f916", "ghost": "1f47b", "alien": "1f47d",
    "pumpkin": "1f383",
}  # fmt: skip

Object = StrEnum("Object", {noun.upper().replace(" ", "_"): noun for noun in _CODE_POINTS})
"""Something that a prompt can name and that has its own colours."""


NO_SPRITES: Sprites = MappingProxyType({})

# --- pictures ------------------------------------------------------------------------


def load_sprites(folder: Path) -> Sprites:
    """Read the pictures of all objects from ``folder``, fetching them first if need be.

    Raises:
        RuntimeError: They are not there and ``npm`` is not installed, or cannot fetch them.
    """
    if not all(sprite_path(folder, one).exists() for one in Object):
        _fetch(folder)
    return {one: _read(sprite_path(folder, one)) for one in Object}


def sprite_path(folder: Path, one: Object) -> Path:
    """Where the picture of ``one`` lies."""
    return folder / f"{_CODE_POINTS[one]}.webp"


def _read(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGBA").resize((_SPRITE_PX, _SPRITE_PX), Image.Resampling.LANCZOS)


def _fetch(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(
            "The pictures of everyday objects come from the npm registry: install npm "
            f"(Debian: apt install npm), or put the .webp files of {_PACKAGE} into {folder}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(  # noqa: S603 - a fixed package by its version
        [npm, "pack", "--silent", _PACKAGE],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"npm could not fetch {_PACKAGE}: {done.stderr.strip()}")
    archive = folder / done.stdout.strip().splitlines()[-1]
    wanted = {f"package/assets/{code}.webp" for code in _CODE_POINTS.values()}
    with tarfile.open(archive) as packed:
        for member in packed:
            content = packed.extractfile(member) if member.name in wanted else None
            if content is not None:
                (folder / member.name.rpartition("/")[2]).write_bytes(content.read())
    archive.unlink()
