"""The runs of a mask, as text and as numbers: `start length` pairs row after row, the first pixel being 1."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.errors import HandsegInputError

Places = NDArray[np.int64]

_NUMBER = re.compile(r"-?[0-9]{1,18}")
_DIGITS_AND_SPACES = b"0123456789 "
_ENCODE_AGAIN = "encode the mask again"


def encode_runs(starts: Places, ends: Places) -> str:
    """Encode a mask by its runs, which must ascend and not touch.

    Args:
        starts: first pixel of every run (N,), the first of the mask being 0, row after row.
        ends: pixel behind every run (N,).
    """
    numbers = np.column_stack([starts + 1, ends - starts]).ravel().tolist()
    # Joining the numbers one by one takes twice as long.
    return str(numbers)[1:-1].replace(",", "")


def decode_runs(codes: Sequence[str], sources: Sequence[str]) -> tuple[Places, Places]:
    """Return the runs of several codes, one code's after the other's, without the masks.

    Args:
        codes: codes as those of `decode_rle`.
        sources: what an error about each code names.

    Returns:
        First pixel of every run and the pixel behind it, int64 (N,) each; the first pixel of a mask is 0, and they are
        counted row after row. The runs of one code ascend and may touch.

    Raises:
        HandsegInputError: what `decode_rle` refuses, but for runs beyond the image.
    """
    starts, ends, _ = runs_of_codes(codes, sources)
    return starts, ends


def runs_of_codes(codes: Sequence[str], sources: Sequence[str]) -> tuple[Places, Places, Places]:
    """Return what `decode_runs` does, and the number of runs up to the end of every code (codes,)."""
    parts = [_numbers(code, source) for code, source in zip(codes, sources, strict=True)]
    numbers = np.concatenate([np.empty(0, np.int64), *parts])
    starts = numbers[::2] - 1
    ends = starts + numbers[1::2]
    # A run starts at the end of the one before it or later, the first of a code at 0 or later.
    earliest = np.concatenate([[0], ends])
    behind = np.cumsum([part.size // 2 for part in parts], dtype=np.int64)
    earliest[behind] = 0
    is_empty, is_early = ends <= starts, starts < earliest[:-1]
    if is_empty.any() or is_early.any():
        first = int((is_empty | is_early).argmax())
        is_nowhere = starts[first] < 0 or is_empty[first]
        problem = "starts or lasts less than 1" if is_nowhere else "overlaps or precedes the run before it"
        raise _bad_run(starts, ends, first, problem, _source_of(first, behind, sources))
    return starts, ends, behind


def check_end(starts: Places, ends: Places, behind: Places, size: tuple[int, int], sources: Sequence[str]) -> None:
    """Refuse runs that end beyond the image.

    Args:
        starts: as from `runs_of_codes`, as are `ends` and `behind`.
        ends: pixels behind the runs.
        behind: number of runs up to the end of every code.
        size: height and width of the image.
        sources: what an error about each code names.

    Raises:
        HandsegInputError: the first run that does.
    """
    is_beyond = ends > size[0] * size[1]
    if is_beyond.any():
        first = int(is_beyond.argmax())
        problem = f"ends beyond the {size[1]} x {size[0]} pixels of the image"
        raise _bad_run(starts, ends, first, problem, _source_of(first, behind, sources))


def _numbers(rle: str, source: str) -> Places:
    """Return the numbers of a code; those of a good one never become Python objects, which would cost most time."""
    if rle.encode(errors="replace").translate(None, _DIGITS_AND_SPACES):
        rle = _checked(rle, source)
    numbers = np.fromstring(rle.strip(), np.int64, sep=" ")
    if numbers.max(initial=0) >= 10**18:
        _checked(rle, source)
    if numbers.size % 2:
        raise HandsegInputError(source, f"has an odd count of numbers, {numbers.size}", _ENCODE_AGAIN)
    return numbers


def _checked(rle: str, source: str) -> str:
    """Return a code with single spaces if it holds nothing but whole numbers of at most 18 digits."""
    tokens = rle.split()
    for token in tokens:
        if not _NUMBER.fullmatch(token):
            raise HandsegInputError(source, f"{token[:20]!r} is no pixel number", _ENCODE_AGAIN)
    return " ".join(tokens)


def _source_of(run: int, behind: Places, sources: Sequence[str]) -> str:
    return sources[int(np.searchsorted(behind, run, side="right"))]


def _bad_run(starts: Places, ends: Places, number: int, problem: str, source: str) -> HandsegInputError:
    run = f"the run {starts[number] + 1} {ends[number] - starts[number]}"
    return HandsegInputError(source, f"{run} {problem}", _ENCODE_AGAIN)
