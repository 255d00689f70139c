"""The part of a bundle's page, or of any other, that is written by the benchmark."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from handseg_bundle_common.errors import HandsegInputError

CARD = Path("docs", "README.md")
"""A bundle's page in its folder."""

NOT_MEASURED = "Not measured yet."

_BEGIN, _END = "<!-- benchmark -->", "<!-- /benchmark -->"


def with_numbers(path: str | PathLike[str], numbers: str) -> str:
    """Return the text of a page with other numbers between its markers.

    Args:
        path: the page, Markdown.
        numbers: what the benchmark has found.

    Raises:
        HandsegInputError: the page cannot be read, or has not one marker of each kind in their order.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HandsegInputError(path, f"cannot be read ({error})", "compare it with another bundle's") from error
    before, has_begin, rest = text.partition(_BEGIN)
    _, has_end, after = rest.partition(_END)
    if not (has_begin and has_end):
        raise HandsegInputError(path, f"has no {_BEGIN} before {_END}", "put both on lines of their own")
    return f"{before}{_BEGIN}\n{numbers}\n{_END}{after}"
