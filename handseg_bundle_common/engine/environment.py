"""What a run was made with: revision of the code, versions of packages, machine and data."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from handseg_bundle_common.datasets import data_fingerprint, data_list

_PACKAGES = ("handseg", "monai", "torch", "pytorch-ignite", "numpy", "opencv-python-headless", "transformers")
_PACKAGE_DIR = Path(__file__).parents[1]


def run_environment(data_dir: str | PathLike[str] | None = None) -> dict[str, Any]:
    """Return what a run is made with, as plain values that fit into JSON.

    Args:
        data_dir: data set whose fingerprint is taken; None for runs that read none.

    Returns:
        `git_revision` (None outside a clone of the repository), `packages` by name, `python`, `platform`, `device`,
        `threads`, and with a data set `data_fingerprint` and `data_images`. It names neither paths nor persons.

    Raises:
        HandsegInputError: the data set cannot be read.
    """
    environment: dict[str, Any] = {
        "git_revision": git_revision(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name)) is not None},
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores",
        "threads": torch.get_num_threads(),
    }
    if data_dir is not None:
        items = data_list(data_dir)
        environment |= {"data_fingerprint": data_fingerprint(items), "data_images": len(items)}
    return environment


def git_revision() -> str | None:
    """Return the commit of the repository that this package is run from, with `+changes` if files of it differ.

    Returns:
        Twelve hexadecimal digits, or None if the package is installed or git is not there.
    """
    # A package that is installed below somebody else's repository has nothing to do with that one's commits.
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    revision = _git("rev-parse", "--short=12", "HEAD")
    return revision and revision + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str | None:
    """Return what git says of the folder of this package, or None where it has nothing to say."""
    command = ("git", "-C", str(_PACKAGE_DIR), *arguments)
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
