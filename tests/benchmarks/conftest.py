"""What the tests of the benchmarks share."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def script(request: pytest.FixtureRequest, repository: Path) -> Iterator[ModuleType]:
    """The script that the test's file is named after, as a module, imported beside the others as when it runs."""
    folder = repository / request.path.parent.relative_to(repository / "tests")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module(request.path.stem.removeprefix("test_"))
    for path in folder.glob("[!_]*.py"):
        sys.modules.pop(path.stem, None)
