"""The bones, built once into the user's cache."""

from __future__ import annotations

import pytest

from handseg_bundle_common.simulation import HandModel, load_assets


@pytest.fixture(scope="session")
def hand() -> HandModel:
    """The resting hand."""
    pytest.importorskip("numba")
    return load_assets()
