from __future__ import annotations

import pytest

from bot.web.guard import is_this_machine


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8080", "localhost", "LOCALHOST:9", "[::1]:8080", "127.1.2.3"]
)
def test_names_of_this_machine_are_answered(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "10.0.0.1",
        "[::2]",
    ],
)
def test_other_names_are_not(host: str) -> None:
    assert not is_this_machine(host)
