"""What bad input raises: one sentence that names the file, what is wrong and what to do."""

from __future__ import annotations

from os import PathLike


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
        """Pickle by the three parts, so that the error crosses from a loader worker intact."""
        return type(self), (self.source, self.problem, self.remedy)
