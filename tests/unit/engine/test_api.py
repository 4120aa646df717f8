from __future__ import annotations

import math
from typing import Any

import pytest

from engine.api import (
    MAX_KEPT_TOKENS,
    MAX_PICTURE_COUNT,
    MAX_PROMPT_CHARS,
    MAX_SEED,
    DrawRequest,
    InvalidRequestError,
    SamplingOptions,
)

NOT_OURS = "The picture to complete is none that this bot drew: draw or upload it again."
A_CAT: dict[str, Any] = {"prompt": "a cat"}


def test_a_prompt_alone_is_a_request_for_nine_pictures() -> None:
    request = DrawRequest(prompt="an avocado armchair")

    assert (request.picture_count, request.seed) == (9, None)
    assert request.options == SamplingOptions(
        temperature=None, top_k=None, top_p=None, condition_scale=None
    )


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": "x" * MAX_PROMPT_CHARS},
        {"prompt": "🥑"},
        {"picture_count": 1},
        {"picture_count": MAX_PICTURE_COUNT},
        {"seed": 0},
        {"seed": MAX_SEED},
        {"keep": (0,) * MAX_KEPT_TOKENS},
        {"keep": (0, 16_383), "preview": True},
    ],
    ids=repr,
)
def test_a_request_at_a_limit_is_taken(values: dict[str, Any]) -> None:
    DrawRequest(**(A_CAT | values))


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 0.01},
        {"temperature": 10.0},
        {"top_k": 0},
        {"top_k": 65_536},
        {"top_p": 0.01},
        {"top_p": 1.0},
        {"condition_scale": 0.0},
        {"condition_scale": 100.0},
    ],
    ids=repr,
)
def test_an_option_at_a_limit_is_taken(values: dict[str, Any]) -> None:
    SamplingOptions(**values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"prompt": ""}, "The prompt is empty: say in a few words what to draw."),
        ({"prompt": " \n\t "}, "The prompt is empty: say in a few words what to draw."),
        (
            {"prompt": "x" * (MAX_PROMPT_CHARS + 1)},
            "The prompt has 1,001 characters; shorten it to 1,000 or fewer.",
        ),
        (
            {"prompt": "x" * 10_000},
            "The prompt has 10,000 characters; shorten it to 1,000 or fewer.",
        ),
        ({"keep": (5, -1)}, NOT_OURS),
        ({"keep": (0,) * (MAX_KEPT_TOKENS + 1)}, NOT_OURS),
        ({"prompt": "a cat \ud83d"}, "The prompt holds half a character: type it again."),
        ({"prompt": "\udc08 a cat"}, "The prompt holds half a character: type it again."),
        ({"picture_count": 0}, "The picture count must be between 1 and 16, not 0."),
        ({"picture_count": 17}, "The picture count must be between 1 and 16, not 17."),
        ({"seed": -1}, "The seed must be between 0 and 4294967295, not -1."),
        ({"seed": MAX_SEED + 1}, "The seed must be between 0 and 4294967295, not 4294967296."),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, dict) else "",
)
def test_a_request_that_cannot_be_drawn_says_what_to_change(
    values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        DrawRequest(**(A_CAT | values))

    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"temperature": 0.0}, "The temperature must be between 0.01 and 10.0, not 0.0."),
        ({"temperature": 10.5}, "The temperature must be between 0.01 and 10.0, not 10.5."),
        ({"temperature": math.nan}, "The temperature must be between 0.01 and 10.0, not nan."),
        ({"temperature": math.inf}, "The temperature must be between 0.01 and 10.0, not inf."),
        ({"top_k": -1}, "The top_k must be between 0 and 65536, not -1."),
        ({"top_k": 65_537}, "The top_k must be between 0 and 65536, not 65537."),
        ({"top_p": 0.0}, "The top_p must be between 0.01 and 1.0, not 0.0."),
        ({"top_p": 1.5}, "The top_p must be between 0.01 and 1.0, not 1.5."),
        ({"condition_scale": -0.5}, "The condition_scale must be between 0.0 and 100.0, not -0.5."),
        (
            {"condition_scale": 100.5},
            "The condition_scale must be between 0.0 and 100.0, not 100.5.",
        ),
    ],
    ids=lambda value: repr(value) if isinstance(value, dict) else "",
)
def test_an_option_that_no_sampler_can_follow_says_its_range(
    values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        SamplingOptions(**values)

    assert str(refusal.value) == sentence
