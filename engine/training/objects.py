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
from typing import TYPE_CHECKING, Self

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Sprites = Mapping["Object", Image.Image]
    """A picture with transparency, RGBA, for every object."""

_PACKAGE = "@lobehub/fluent-emoji-3d@1.1.0"
_SPRITE_PX = 192  # enough for three times the largest extent at 64 px

# --- names ---------------------------------------------------------------------------


class Object(StrEnum):
    """Something that a prompt can name and that has its own colours.

    Attributes:
        code_point: The emoji that shows it, in hexadecimal, as the package names its files.
    """

    code_point: str

    def __new__(cls, noun: str, code_point: str) -> Self:
        """Make a member whose value is its noun."""
        one = str.__new__(cls, noun)
        one._value_ = noun
        one.code_point = code_point
        return one

    # food
    PIZZA = "pizza", "1f355"
    HAMBURGER = "hamburger", "1f354"
    HOT_DOG = "hot dog", "1f32d"
    DONUT = "donut", "1f369"
    COOKIE = "cookie", "1f36a"
    BIRTHDAY_CAKE = "birthday cake", "1f382"
    ICE_CREAM = "ice cream", "1f366"
    PRETZEL = "pretzel", "1f968"
    CHEESE = "cheese", "1f9c0"
    POPCORN = "popcorn", "1f37f"
    LOLLIPOP = "lollipop", "1f36d"
    APPLE = "apple", "1f34e"
    BANANA = "banana", "1f34c"
    STRAWBERRY = "strawberry", "1f353"
    WATERMELON = "watermelon", "1f349"
    PINEAPPLE = "pineapple", "1f34d"
    GRAPES = "grapes", "1f347"
    LEMON = "lemon", "1f34b"
    PEAR = "pear", "1f350"
    AVOCADO = "avocado", "1f951"
    TOMATO = "tomato", "1f345"
    CARROT = "carrot", "1f955"
    CORN = "corn", "1f33d"
    BROCCOLI = "broccoli", "1f966"
    # animals
    CAT = "cat", "1f431"
    DOG = "dog", "1f436"
    RABBIT = "rabbit", "1f430"
    FOX = "fox", "1f98a"
    BEAR = "bear", "1f43b"
    PANDA = "panda", "1f43c"
    TIGER = "tiger", "1f42f"
    LION = "lion", "1f981"
    COW = "cow", "1f42e"
    PIG = "pig", "1f437"
    FROG = "frog", "1f438"
    MONKEY = "monkey", "1f435"
    PENGUIN = "penguin", "1f427"
    DUCK = "duck", "1f986"
    OWL = "owl", "1f989"
    HORSE = "horse", "1f434"
    UNICORN = "unicorn", "1f984"
    BEE = "bee", "1f41d"
    BUTTERFLY = "butterfly", "1f98b"
    SNAIL = "snail", "1f40c"
    LADYBUG = "ladybug", "1f41e"
    TURTLE = "turtle", "1f422"
    DINOSAUR = "dinosaur", "1f995"
    OCTOPUS = "octopus", "1f419"
    CRAB = "crab", "1f980"
    WHALE = "whale", "1f433"
    SHARK = "shark", "1f988"
    ELEPHANT = "elephant", "1f418"
    SHEEP = "sheep", "1f411"
    # nature
    SUNFLOWER = "sunflower", "1f33b"
    ROSE = "rose", "1f339"
    CACTUS = "cactus", "1f335"
    PALM_TREE = "palm tree", "1f334"
    CHRISTMAS_TREE = "christmas tree", "1f384"
    SUN = "sun", "1f31e"
    CLOUD = "cloud", "2601-fe0f"
    RAINBOW = "rainbow", "1f308"
    SNOWMAN = "snowman", "26c4"
    FIRE = "fire", "1f525"
    VOLCANO = "volcano", "1f30b"
    PLANET = "planet", "1fa90"
    GLOBE = "globe", "1f30d"
    # things to use
    SOCCER_BALL = "soccer ball", "26bd"
    BASKETBALL = "basketball", "1f3c0"
    GUITAR = "guitar", "1f3b8"
    DRUM = "drum", "1f941"
    TRUMPET = "trumpet", "1f3ba"
    CAMERA = "camera", "1f4f7"
    TELEVISION = "television", "1f4fa"
    LAPTOP = "laptop", "1f4bb"
    ALARM_CLOCK = "alarm clock", "23f0"
    LIGHT_BULB = "light bulb", "1f4a1"
    BOOK = "book", "1f4d5"
    SCISSORS = "scissors", "2702-fe0f"
    KEY = "key", "1f511"
    LOCK = "lock", "1f512"
    HAMMER = "hammer", "1f528"
    GIFT = "gift", "1f381"
    BALLOON = "balloon", "1f388"
    TEDDY_BEAR = "teddy bear", "1f9f8"
    UMBRELLA = "umbrella", "2602-fe0f"
    TOP_HAT = "top hat", "1f3a9"
    CROWN = "crown", "1f451"
    BACKPACK = "backpack", "1f392"
    CHAIR = "chair", "1fa91"
    TROPHY = "trophy", "1f3c6"
    BELL = "bell", "1f514"
    # vehicles, buildings, beings
    ROCKET = "rocket", "1f680"
    AIRPLANE = "airplane", "2708-fe0f"
    HELICOPTER = "helicopter", "1f681"
    BICYCLE = "bicycle", "1f6b2"
    BUS = "bus", "1f68c"
    TRAIN = "train", "1f682"
    TRACTOR = "tractor", "1f69c"
    SAILBOAT = "sailboat", "26f5"
    TENT = "tent", "26fa"
    CASTLE = "castle", "1f3f0"
    ROBOT = "robot", "1f916"
    GHOST = "ghost", "1f47b"
    ALIEN = "alien", "1f47d"
    PUMPKIN = "pumpkin", "1f383"


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
    return folder / f"{one.code_point}.webp"


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
    wanted = {f"package/assets/{one.code_point}.webp" for one in Object}
    with tarfile.open(archive) as packed:
        for member in packed:
            content = packed.extractfile(member) if member.name in wanted else None
            if content is not None:
                (folder / member.name.rpartition("/")[2]).write_bytes(content.read())
    archive.unlink()
