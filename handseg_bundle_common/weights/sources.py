"""Files of weights that a recipe starts from, checked before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from handseg_bundle_common.errors import HandsegInputError


def required_file(option: str, content: str) -> NoReturn:
    """Stand in a recipe for a path that only its user knows, and refuse to go on without it.

    Args:
        option: how to give the path, such as `--pretrained_path`.
        content: what the file holds.

    Raises:
        HandsegInputError: always.
    """
    raise HandsegInputError(option, "is missing", f"name a file with {content} (nothing is downloaded)")


def starting_weights(path: str, ckpt_dir: str) -> str:
    """Return the path of weights to start from, unless the training would write over them.

    Args:
        path: file of weights.
        ckpt_dir: folder that the training writes its own weights to.

    Raises:
        HandsegInputError: the file lies in `ckpt_dir`.
    """
    if Path(ckpt_dir).expanduser().resolve() == Path(path).expanduser().resolve().parent:
        problem = "lies where the training writes its own weights and would be lost"
        raise HandsegInputError(path, problem, "choose another --ckpt_dir")
    return path
