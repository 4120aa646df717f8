from __future__ import annotations

import pytest

from engine.line import RequestId
from engine.messages import (
    HEADER_BYTES,
    LENGTH_BYTES,
    Busy,
    Done,
    FromEngine,
    decode_frame,
    encode_frame,
    frame_shape,
    part_lengths,
)


def taken_apart(frame: bytes) -> tuple[bytes, list[bytes]]:
    """Body and parts, as a reader finds them."""

    def read(count: int) -> bytes:
        nonlocal frame
        data, frame = frame[:count], frame[count:]
        assert len(data) == count
        return data

    shape = frame_shape(read(HEADER_BYTES))
    lengths = part_lengths(read(LENGTH_BYTES * shape.part_count))
    body, parts = read(shape.body_bytes), [read(length) for length in lengths]
    assert frame == b""
    return body, parts


@pytest.mark.parametrize(
    ("message", "part_count"),
    [
        (Busy(request_id=RequestId(3), retry_after_s=2.5), 0),
        (Done(request_id=RequestId(3), answer=b"small"), 0),
        (Done(request_id=RequestId(3), answer=b"big" * 100_000), 1),
    ],
    ids=["no bytes", "few bytes", "many bytes"],
)
def test_a_message_comes_out_of_its_frame_as_it_went_in(
    message: FromEngine, part_count: int
) -> None:
    body, parts = taken_apart(b"".join(encode_frame(message)))

    assert decode_frame(body, parts) == message
    assert len(parts) == part_count
    assert len(body) < 1_000
