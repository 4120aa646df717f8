from __future__ import annotations

import math

import numpy as np
import pytest

from engine.training.progress import loss_curve, rows_of_pictures


def black_columns(losses: list[float]) -> list[int]:
    """For some columns, the uppermost row that the curve reaches."""
    pixels = np.asarray(loss_curve(range(len(losses)), losses).convert("L"))[40:280]
    return [int(np.argmax(pixels[:, column] < 128)) for column in (60, 320, 580)]


def test_a_falling_loss_falls_in_its_picture() -> None:
    left, middle, right = black_columns([4.0, 2.0, 1.0, 0.5, 0.25])

    assert left < middle < right


@pytest.mark.parametrize("losses", [[], [math.nan], [1.0], [1.0, 1.0], [math.inf, 2.0, 1.0]])
def test_any_losses_give_a_picture(losses: list[float]) -> None:
    assert loss_curve(range(len(losses)), losses).size == (640, 320)


def test_pictures_stand_in_rows() -> None:
    white, gray = np.ones((3, 4, 4, 3)), np.full((3, 4, 4, 3), 0.5)

    sheet = rows_of_pictures(white + 1, gray)

    assert sheet.size == (3 * 4 * 2, 2 * 4 * 2)
    assert sheet.getpixel((0, 0)) == (255, 255, 255)
    assert sheet.getpixel((23, 15)) == (128, 128, 128)
