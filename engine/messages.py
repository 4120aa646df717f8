"""What an engine process and the one that started it tell each other, and how.

Both ends are the same program of the same version, joined by pipes that nobody else can
reach. A frame is a pickled message with pictures left out, which follow as they are: whoever
reads them need not copy megabytes in one go. ::

    body length, part count      4 bytes each
    length of each part          4 bytes each
    body                         pickle
    parts                        bytes
"""

from __future__ import annotations

import io
import pickle
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.api import DrawEvent, DrawRequest, EngineStats, Priority

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.contract import RunnerSettings
    from engine.line import RequestId

_HEADER = struct.Struct(">II")
_LENGTH = struct.Struct(">I")
_LEAST_PART_BYTES = 65_536
HEADER_BYTES = _HEADER.size
LENGTH_BYTES = _LENGTH.size

# --- into the engine process ----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The first message in.

    Attributes:
        runner_loader: A ``module:function`` (``engine.contract.LoadRunner``).
        runner: What the loader is given.
        max_waiting_pictures: How long the waiting line may be.
        cpu_ids: The processor cores it may use; ``None`` is all.
    """

    runner_loader: str
    runner: RunnerSettings
    max_waiting_pictures: int
    cpu_ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Draw a request that has a seed.

    Attributes:
        requester: Who shares the engine fairly with the others; any key.
        asked_at_s: When it was asked for, on the system's monotonic clock.
        was_accepted_before: It had its place in an engine process that died.
    """

    request_id: RequestId
    request: DrawRequest
    asked_at_s: float
    requester: str = ""
    priority: Priority = Priority.NORMAL
    was_accepted_before: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Upscale:
    """Enlarge a picture; answered by ``Done`` with a PNG."""

    request_id: RequestId
    picture: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Encode:
    """Turn a picture into image tokens; answered by ``Done`` with them."""

    request_id: RequestId
    picture: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Render:
    """Make the file of a picture from its tokens; answered by ``Done`` with a PNG."""

    request_id: RequestId
    request: DrawRequest
    index: int
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Nobody waits for this request any more."""

    request_id: RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Tell the stats; answered by ``Seen``."""

    request_id: RequestId


@dataclass(frozen=True, slots=True)
class Wake:
    """Look whether there is room to go on: the finisher has done something."""


ToEngine = Draw | Upscale | Encode | Render | Cancel | Look | Wake

# --- out of the engine process --------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The first request would be drawn now; the facts of the model by which to refuse."""

    model: str
    slot_count: int
    image_length: int
    code_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """The checkpoint cannot be used; the last message of this process."""

    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something about a drawing; after a ``Drawn`` there is nothing more."""

    request_id: RequestId
    event: DrawEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The answer to ``Upscale`` and ``Render`` (a PNG) or ``Encode`` (image tokens)."""

    request_id: RequestId
    answer: bytes | tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The answer to ``Look``."""

    request_id: RequestId
    stats: EngineStats


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """The line is too long for the request."""

    request_id: RequestId
    retry_after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """The request itself is wrong, and the sentence says in what."""

    request_id: RequestId
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """The pictures are drawn, and none of them may be shown, as the sentence says."""

    request_id: RequestId
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The request broke; the others go on."""

    request_id: RequestId


@dataclass(frozen=True, slots=True)
class Alive:
    """The loop has made a turn: it does not hang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A line for the parent's log."""

    level: int
    text: str


FromEngine = Ready | Unusable | Told | Done | Seen | Busy | Wrong | Withheld | Failed | Alive | Said

# --- frames ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What follows the header of a frame: a body, then as many parts as it has lengths."""

    body_bytes: int
    part_count: int


def encode_frame(message: Start | ToEngine | FromEngine) -> list[bytes]:
    """Return the frame of a message, in pieces to be written one after the other."""
    body, parts = io.BytesIO(), list[bytes]()
    _Pickler(body, parts).dump(message)
    header = _HEADER.pack(body.tell(), len(parts))
    lengths = b"".join(_LENGTH.pack(len(part)) for part in parts)
    return [header, lengths, body.getvalue(), *parts]


def frame_shape(header: bytes) -> Shape:
    """Return what a header announces."""
    body_bytes, part_count = _HEADER.unpack(header)
    return Shape(body_bytes=body_bytes, part_count=part_count)


def part_lengths(lengths: bytes) -> list[int]:
    """Return the lengths of the parts; ``LENGTH_BYTES`` for each follow the header."""
    return [length for (length,) in _LENGTH.iter_unpack(lengths)]


def decode_frame(body: bytes, parts: Sequence[bytes]) -> Start | ToEngine | FromEngine:
    """Return the message of a frame's body and parts."""
    return _Unpickler(io.BytesIO(body), parts).load()


class _Pickler(pickle.Pickler):
    """Leaves long bytes out and puts them into ``parts``."""

    def __init__(self, body: io.BytesIO, parts: list[bytes]) -> None:
        super().__init__(body, pickle.HIGHEST_PROTOCOL)
        self._parts = parts

    def persistent_id(self, obj: object) -> int | None:
        if not isinstance(obj, bytes) or len(obj) < _LEAST_PART_BYTES:
            return None
        self._parts.append(obj)
        return len(self._parts) - 1


class _Unpickler(pickle.Unpickler):  # what comes is from our own child or parent, by a pipe
    def __init__(self, body: io.BytesIO, parts: Sequence[bytes]) -> None:
        super().__init__(body)
        self._parts = parts

    def persistent_load(self, pid: int) -> bytes:
        return self._parts[pid]
