from __future__ import annotations

from datetime import timedelta

import pytest

from bot.web.attempts import Attempts
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attempts(clock: Clock) -> Attempts:
    return Attempts(clock)


def fail(attempts: Attempts, count: int, address: str = "10.0.0.1") -> None:
    for _ in range(count):
        attempts.failed(address)


def test_five_wrong_passwords_are_forgiven(attempts: Attempts) -> None:
    fail(attempts, 4)
    assert attempts.wait_s("10.0.0.1") == 0

    fail(attempts, 1)
    assert attempts.wait_s("10.0.0.1") == 30


def test_then_one_may_be_tried_every_thirty_seconds(attempts: Attempts, clock: Clock) -> None:
    fail(attempts, 5)

    clock.advance(timedelta(seconds=29))
    assert attempts.wait_s("10.0.0.1") == pytest.approx(1)
    clock.advance(timedelta(seconds=1))
    assert attempts.wait_s("10.0.0.1") == 0
    fail(attempts, 1)
    assert attempts.wait_s("10.0.0.1") == 30


def test_others_are_not_kept_waiting(attempts: Attempts) -> None:
    fail(attempts, 9)

    assert attempts.wait_s("10.0.0.2") == 0


def test_the_addresses_of_an_ipv6_network_are_one(attempts: Attempts) -> None:
    for host in range(5):
        attempts.failed(f"2001:db8::{host}")

    assert attempts.wait_s("2001:db8::ffff") == 30
    assert attempts.wait_s("2001:db8:0:1::1") == 0


def test_the_right_password_clears_the_wrong_ones(attempts: Attempts) -> None:
    fail(attempts, 4)

    attempts.succeeded("10.0.0.1")
    fail(attempts, 4)

    assert attempts.wait_s("10.0.0.1") == 0


def test_only_so_many_addresses_are_remembered(attempts: Attempts) -> None:
    for number in range(10_001):
        fail(attempts, 5, address=f"host-{number}")

    assert attempts.wait_s("host-0") == 0
    assert attempts.wait_s("host-1") == 30
