from __future__ import annotations

import json

import pytest

from bot.web.asked import Asked, AskedAgain, parse, parse_again
from engine.api import DrawRequest, InvalidRequestError, SamplingOptions

NOT_JSON = 'Send a JSON object such as {"prompt": "a green cube", "pictures": 9, "seed": 7}.'
NO_WORDS = "The prompt must be text: say in a few words what to draw."


def test_a_prompt_alone_asks_for_nine_pictures_with_any_seed() -> None:
    assert parse(b'{"prompt": "a green cube"}') == Asked(
        request=DrawRequest(prompt="a green cube", picture_count=9, preview=True), request_id=None
    )


def test_everything_that_can_be_said_is_heard() -> None:
    sampling = {"temperature": 0.5, "top_k": 9, "top_p": 0.9, "condition_scale": 3}
    body = {"prompt": "a cube", "pictures": 4, "seed": 7, "request_id": "abc", **sampling}

    assert parse(json.dumps(body).encode()) == Asked(
        request=DrawRequest(
            prompt="a cube",
            picture_count=4,
            seed=7,
            options=SamplingOptions(temperature=0.5, top_k=9, top_p=0.9, condition_scale=3),
            preview=True,
        ),
        request_id="abc",
    )


@pytest.mark.parametrize(
    ("body", "again"),
    [
        (b"", AskedAgain(picture_count=None, request_id=None)),
        (b"{}", AskedAgain(picture_count=None, request_id=None)),
        (
            b'{"pictures": 4, "request_id": "abc"}',
            AskedAgain(picture_count=4, request_id="abc"),
        ),
    ],
)
def test_the_same_again_needs_no_words(body: bytes, again: AskedAgain) -> None:
    assert parse_again(body) == again


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"[]", NOT_JSON),
        (b'{"pictures": "4"}', "The number of pictures must be a whole number."),
        (b'{"seed": 1}', "There is no option 'seed': use pictures and request_id."),
    ],
)
def test_what_cannot_be_drawn_again_is_refused_with_the_fix(body: bytes, sentence: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_again(body)

    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", NOT_JSON),
        (b"\xff", NOT_JSON),
        (b"[1]", NOT_JSON),
        (b"[" * 100_000, NOT_JSON),
        (b"{}", NO_WORDS),
        (b'{"prompt": 7}', NO_WORDS),
        (
            b'{"prompt": "half of one: \\ud83d"}',
            "The prompt holds half a character: type it again.",
        ),
        (b'{"prompt": " "}', "The prompt is empty: say in a few words what to draw."),
        (
            b'{"prompt": "a", "pictures": 17}',
            "The picture count must be between 1 and 16, not 17.",
        ),
        (b'{"prompt": "a", "pictures": "9"}', "The number of pictures must be a whole number."),
        (b'{"prompt": "a", "pictures": true}', "The number of pictures must be a whole number."),
        (
            b'{"prompt": "a", "seed": 1.5}',
            "The seed must be a whole number; leave it out for a random one.",
        ),
        (
            b'{"prompt": "a", "sed": 1}',
            (
                "There is no option 'sed': use prompt, pictures, seed, temperature, top_k, top_p, "
                "condition_scale and request_id."
            ),
        ),
        (
            b'{"prompt": "a", "temperature": "warm"}',
            "The option temperature must be a number; leave it out for the usual one.",
        ),
        (
            b'{"prompt": "a", "top_p": true}',
            "The option top_p must be a number; leave it out for the usual one.",
        ),
        (
            b'{"prompt": "a", "top_k": 1.5}',
            "The option top_k must be a whole number; leave it out for the usual one.",
        ),
        (
            b'{"prompt": "a", "temperature": NaN}',
            "The temperature must be between 0.01 and 10.0, not nan.",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_fix(body: bytes, sentence: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse(body)

    assert str(caught.value) == sentence
