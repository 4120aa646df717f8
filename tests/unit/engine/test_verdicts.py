from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.api import PictureCheck, Verdict
from engine.verdicts import CLASSES, LIMITS, level_of, verdict_of

CHECKS = [PictureCheck.STANDARD, PictureCheck.STRICT]
SEVERITY = [Verdict.SAFE, Verdict.BORDERLINE, Verdict.UNSAFE]


def seen(**shares: float) -> dict[str, float]:
    """Probabilities, of which what is not named is Neutral."""
    rest = 1 - sum(shares.values())
    return dict.fromkeys(CLASSES, 0.0) | {"Neutral": rest} | shares


@pytest.mark.parametrize(
    ("safety", "standard", "strict"),
    [
        (seen(), Verdict.SAFE, Verdict.SAFE),
        (seen(Drawing=1.0), Verdict.SAFE, Verdict.SAFE),
        (seen(Porn=0.2, Hentai=0.25), Verdict.SAFE, Verdict.SAFE),
        (seen(Porn=0.3, Hentai=0.25), Verdict.SAFE, Verdict.BORDERLINE),
        (seen(Porn=0.4, Hentai=0.45), Verdict.BORDERLINE, Verdict.UNSAFE),
        (seen(Porn=0.5, Hentai=0.45), Verdict.UNSAFE, Verdict.UNSAFE),
        (seen(Sexy=0.65), Verdict.SAFE, Verdict.SAFE),
        (seen(Sexy=0.75), Verdict.SAFE, Verdict.BORDERLINE),
        (seen(Sexy=1.0), Verdict.BORDERLINE, Verdict.BORDERLINE),
        (seen(Sexy=0.5, Porn=0.45), Verdict.BORDERLINE, Verdict.BORDERLINE),
    ],
)
def test_what_the_classifier_sees_decides(
    safety: dict[str, float], standard: Verdict, strict: Verdict
) -> None:
    assert [verdict_of(safety, None, check) for check in CHECKS] == [standard, strict]


@pytest.mark.parametrize(
    ("safety", "suspicion", "verdict"),
    [
        (seen(), 0.89, Verdict.SAFE),
        (seen(), 1.0, Verdict.BORDERLINE),
        (seen(Porn=0.45), 0.91, Verdict.BORDERLINE),
        (seen(Porn=0.55), 0.89, Verdict.SAFE),
        (seen(Porn=0.55), 0.91, Verdict.UNSAFE),
        (seen(Sexy=0.55), 0.91, Verdict.UNSAFE),
    ],
)
def test_clip_alone_hides_and_only_together_with_a_doubt_withholds(
    safety: dict[str, float], suspicion: float, verdict: Verdict
) -> None:
    assert verdict_of(safety, suspicion, PictureCheck.STANDARD) is verdict


def test_a_check_that_is_off_finds_everything_safe() -> None:
    assert verdict_of(seen(Porn=1.0), 1.0, PictureCheck.OFF) is Verdict.SAFE


shares = st.lists(st.floats(0.001, 1), min_size=5, max_size=5).map(
    lambda weights: dict(zip(CLASSES, (w / sum(weights) for w in weights), strict=True))
)


@given(safety=shares, suspicion=st.none() | st.floats(0, 1))
def test_the_strict_check_never_shows_more_than_the_standard_one(
    safety: dict[str, float], suspicion: float | None
) -> None:
    standard, strict = (verdict_of(safety, suspicion, check) for check in CHECKS)

    assert SEVERITY.index(strict) >= SEVERITY.index(standard)


@given(safety=shares, suspicion=st.floats(0, 1), check=st.sampled_from(CHECKS))
def test_a_suspicion_never_makes_a_picture_safer(
    safety: dict[str, float], suspicion: float, check: PictureCheck
) -> None:
    without, with_it = (verdict_of(safety, s, check) for s in (None, suspicion))

    assert SEVERITY.index(with_it) >= SEVERITY.index(without)


def test_a_request_may_ask_for_more_but_not_for_less() -> None:
    assert [level_of(check, strict=False) for check in PictureCheck] == list(PictureCheck)
    assert [level_of(check, strict=True) for check in PictureCheck] == [
        PictureCheck.OFF,
        PictureCheck.STRICT,
        PictureCheck.STRICT,
    ]


def test_doubts_begin_before_what_is_withheld() -> None:
    for limits in LIMITS.values():
        assert 0 < limits.doubt < limits.explicit < limits.unsafe < 1
        assert limits.explicit < limits.suggestive < 1
