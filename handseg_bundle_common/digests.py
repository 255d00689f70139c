"""Digests of code, so that results are made anew by code that may make others."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from types import ModuleType


@cache
def code_digest(*modules: ModuleType) -> str:
    """Return the SHA-256 of the source files of modules, in their order; a package counts with all modules in it.

    Args:
        modules: modules and packages that were imported from files.
    """
    digest = hashlib.sha256()
    for module in modules:
        own = Path(str(module.__file__))
        for path in sorted(own.parent.rglob("*.py")) if own.name == "__init__.py" else [own]:
            digest.update(path.read_bytes())
    return digest.hexdigest()
