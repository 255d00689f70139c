"""Compiling in a process of its own, so that its bytes depend on nothing but the network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from tqdm import tqdm

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.packaging.compiled.forms import Compiled, Form

DONE = "compiled: "
"""Beginning of the line that the process prints for each form, before what is known of it as JSON."""
REFUSED = "refused: "
"""Beginning of the line with the parts of an input error as JSON."""


def compile_network(root: Path, forms: Sequence[Form], folder: Path) -> list[Compiled]:
    """Write a bundle's network with its weights in several forms, each compared with PyTorch.

    PyTorch numbers what it scripts from the start of the process and writes sets in the order of their hashes, so a
    process of its own with fixed hashes gives the same bytes each time.

    Args:
        root: the bundle's folder; code that its configuration names is run.
        forms: which ones.
        folder: where the files go.

    Raises:
        HandsegInputError: a form cannot be made of the network, or its logits differ too much.
    """
    command = [sys.executable, "-P", "-m", str(__package__), str(root), str(folder), *forms]
    # Whatever this process can import, the other one can.
    environment = os.environ | {"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        subprocess.Popen(  # noqa: S603  a list of words, no shell
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8"
        ) as process,
        tqdm(total=len(forms), desc=f"compiling ({', '.join(forms)})", unit="form") as progress,
    ):
        if process.stdout is None:
            raise AssertionError("a pipe was asked for")
        found = _read(process.stdout, folder, progress.update)
        if process.wait() != 0 or len(found) != len(forms):
            errors.seek(0)
            reason = (errors.read().strip().splitlines() or ["no message"])[-1]
            problem = f"cannot be compiled (the process ended with {process.returncode}: {reason})"
            raise HandsegInputError(root.name, problem, "export without it, or with more memory")
    return found


def _read(lines: IO[str], folder: Path, one_more: Callable[[], object]) -> list[Compiled]:
    """Return what the process tells of each form, and pass on the input error that it ended with."""
    found = []
    for line in lines:
        if line.startswith(REFUSED):
            raise HandsegInputError(*json.loads(line.removeprefix(REFUSED)))
        if line.startswith(DONE):
            told = json.loads(line.removeprefix(DONE))
            form = Form(told.pop("form"))
            found.append(Compiled(form, folder / Path(form.file).name, **told))
            one_more()
    return found
