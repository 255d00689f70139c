"""The command `handseg VERB`: every verb is a function with text in and one sentence out.

Nothing heavy is imported before a verb runs, so that help and mistakes answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import fire

from handseg_bundle_common import __version__
from handseg_bundle_common.errors import EXIT_CODE, input_error_message

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class _Job:
    """What a command line asks for; it starts once Fire has found a place for every argument."""

    _run: Callable[[], str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or 2 after one sentence about bad input on stderr.

    Args:
        arguments: what stands behind `handseg`; taken from the process if None.

    Raises:
        SystemExit: by Fire, 0 after help and 2 for an unknown verb or flag.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        print(f"handseg {__version__}")
        return 0
    try:
        job = fire.Fire({"predict": predict, "simulate": simulate}, words, "handseg", serialize=_silent)
        if isinstance(job, _Job):
            print(job._run())
    except KeyboardInterrupt:
        print("handseg: interrupted.", file=sys.stderr)
        return 130
    except Exception as error:
        message = input_error_message(error)
        if message is None:
            raise
        print(f"handseg: {message}", file=sys.stderr)
        return EXIT_CODE
    return 0
