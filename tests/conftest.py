"""Shared fixtures: the repository's folders and its sample data."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run: a failure that comes and goes says nothing about a change.
settings.register_profile("handseg", derandomize=True, deadline=None)
settings.load_profile("handseg")

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds `bundles`, `data` and the package."""
    return REPOSITORY


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """Eight simulated hands of four patients, the default data of every bundle."""
    return REPOSITORY / "data" / "sample"
