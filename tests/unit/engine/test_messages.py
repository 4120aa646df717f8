from __future__ import annotations

from engine.line import RequestId
from engine.messages import Busy, decode_frame, encode_frame, frame_length


def test_a_message_comes_out_of_its_frame_as_it_went_in() -> None:
    message = Busy(request_id=RequestId(3), retry_after_s=2.5)

    frame = encode_frame(message)

    assert frame_length(frame[:4]) == len(frame) - 4
    assert decode_frame(frame[4:]) == message
