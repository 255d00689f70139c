"""What bad input raises: one sentence that names the file, what is wrong and what to do."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from os import PathLike
from types import TracebackType

EXIT_CODE = 2


class HandsegInputError(ValueError):
    """Input that cannot be used; the command line prints it as one sentence and exits with 2.

    Args:
        source: the file, folder or option at fault.
        problem: what is wrong, without a full stop.
        remedy: what the user can do about it, without a full stop.
    """

    def __init__(self, source: str | PathLike[str], problem: str, remedy: str) -> None:
        super().__init__(f"{source}: {problem}; {remedy}.")
        self.source = str(source)
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[HandsegInputError], tuple[str, str, str]]:
        """Pickle by the three parts, so that the error crosses process borders intact."""
        return type(self), (self.source, self.problem, self.remedy)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what stands behind it, down to the first cause."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def input_error(error: BaseException) -> HandsegInputError | None:
    """Return the `HandsegInputError` behind an exception, which MONAI wraps in `RuntimeError`s, or None."""
    return next((link for link in causes(error) if isinstance(link, HandsegInputError)), None)


def input_error_message(error: BaseException) -> str | None:
    """Return the sentence of the `HandsegInputError` behind an exception, or None if there is none.

    A loader worker passes on nothing but the text of its traceback, so that is searched too.
    """
    found = input_error(error)
    if found is not None:
        return str(found)
    pattern = re.compile(rf"^{HandsegInputError.__module__}\.HandsegInputError: (.+)$", re.MULTILINE)
    in_worker = next(filter(None, (pattern.search(str(link)) for link in causes(error))), None)
    return in_worker and in_worker[1]


def explain_input_errors() -> None:
    """Make an uncaught input error end the process with its one sentence and exit code 2.

    Bundles call this first, because `python -m monai.bundle` would bury the sentence in several tracebacks.
    """
    sys.excepthook = _report


def _report(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    message = input_error_message(error)
    if message is None:
        sys.__excepthook__(kind, error, traceback)
        return
    print(f"handseg: {message}", file=sys.stderr)
    # The interpreter ends with 1 after any exception hook; only leaving at once sets another code.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_CODE)
