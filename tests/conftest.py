"""Checks the shapes and types of all array code while the tests run."""

from __future__ import annotations

from jaxtyping import install_import_hook

# Before any of them is imported. The annotations cost nothing outside of the tests.
install_import_hook(["engine.models", "engine.sampling"], "beartype.beartype")

pytest_plugins = ["tests.support.databases"]
