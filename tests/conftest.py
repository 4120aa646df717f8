"""Checks the shapes and types of all array code while the tests run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

# A property holds or not; how long an example takes depends on the machine.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")

# Before any of them is imported. The annotations cost nothing outside of the tests.
install_import_hook(["engine.models", "engine.sampling"], "beartype.beartype")

pytest_plugins = ["tests.support.databases", "tests.support.turns"]
