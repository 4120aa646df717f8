"""Checks the shapes and types of all array code while the tests run; keeps their logs apart."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from collections.abc import Iterator

# A property holds or not; how long an example takes depends on the machine.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")

# Before any of them is imported. The annotations cost nothing outside of the tests.
install_import_hook(["engine.models", "engine.sampling"], "beartype.beartype")

pytest_plugins = ["tests.support.databases", "tests.support.turns"]


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """What a command does to the logging of its process ends with the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
