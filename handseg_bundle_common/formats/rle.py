"""The competition's submission: a CSV of run-length codes, one row a bone and image.

A code lists `start length` pairs of the mask's runs, row after row, the first pixel being 1.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import open_csv, write_csv
from handseg_bundle_common.masks import Packed

COLUMNS = ("image_name", "class", "rle")

Places = NDArray[np.int64]

_NUMBER = re.compile(r"-?[0-9]{1,18}")
_DIGITS_AND_SPACES = b"0123456789 "
_ENCODE_AGAIN, _WRITE_AGAIN = "encode the mask again", "write the submission again"


def encode_rle(mask: NDArray[np.bool_]) -> str:
    """Encode one mask (H, W); an empty mask gives an empty string."""
    pixels = np.ravel(mask).astype(bool, copy=False)
    edges = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    if pixels[:1].any():
        edges = np.insert(edges, 0, 0)
    if pixels[-1:].any():
        edges = np.append(edges, pixels.size)
    return encode_runs(edges[::2], edges[1::2])


def encode_runs(starts: Places, ends: Places) -> str:
    """Encode a mask by its runs, which must ascend and not touch.

    Args:
        starts: first pixel of every run (N,), the first of the mask being 0, row after row.
        ends: pixel behind every run (N,).
    """
    numbers = np.column_stack([starts + 1, ends - starts]).ravel().tolist()
    # Joining the numbers one by one takes twice as long.
    return str(numbers)[1:-1].replace(",", "")


def encode_masks(masks: NDArray[np.bool_] | Packed) -> list[str]:
    """Encode the masks of one image, (29, H, W) or packed (H, W), one code a bone in channel order."""
    if masks.ndim == 2:
        # One bone at a time: all of them would take 29 times the memory.
        bits = (np.uint32(1 << channel) for channel in range(NUM_BONES))
        return [encode_rle((masks & bit) != 0) for bit in bits]
    return [encode_rle(mask) for mask in masks]


def decode_rle(rle: str, height: int, width: int, source: str = "run-length code") -> NDArray[np.bool_]:
    """Decode one mask (H, W).

    Args:
        rle: the code; an empty string gives an empty mask.
        height: rows of the mask.
        width: columns of the mask.
        source: what an error names, such as the file, image and bone.

    Raises:
        HandsegInputError: an odd count of numbers, something that is no integer, a start or length below 1,
            runs that overlap or descend, or a run beyond the image.
    """
    starts, ends = decode_runs([rle], [source])
    _check_end(starts, ends, height, width, source)
    pixels = np.zeros(height * width, bool)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        pixels[start:end] = True
    return pixels.reshape(height, width)


def decode_packed(codes: Iterable[str], height: int, width: int, source: str = "run-length codes") -> Packed:
    """Decode the codes of the 29 bones of one image into packed masks (H, W), without a mask of each.

    Args:
        codes: one code a bone in channel order.
        height: rows of the masks.
        width: columns of the masks.
        source: what an error names before the bone, such as the file and image.

    Raises:
        HandsegInputError: what `decode_rle` refuses.
    """
    # Every run turns its bone's bit over where it starts and behind its end; what is turned twice is as it was.
    turned = np.zeros(height * width + 1, np.uint32)
    for channel, (bone, code) in enumerate(zip(BONE_NAMES, codes, strict=True)):
        starts, ends = decode_runs([code], [f"{source}, {bone}"])
        _check_end(starts, ends, height, width, f"{source}, {bone}")
        for places in (starts, ends):
            np.bitwise_xor.at(turned, places, np.uint32(1 << channel))
    return np.bitwise_xor.accumulate(turned)[:-1].reshape(height, width)


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
        source = sources[int(np.searchsorted(behind, first, side="right"))]
        is_nowhere = starts[first] < 0 or is_empty[first]
        problem = "starts or lasts less than 1" if is_nowhere else "overlaps or precedes the run before it"
        raise _bad_run(starts, ends, first, problem, source)
    return starts, ends


class SubmissionWriter:
    """Context manager that streams a submission; the file appears, complete, when the block succeeds.

    Example:
        with SubmissionWriter("submission.csv") as submission:
            submission.write("image1.png", masks)
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self._names: set[str] = set()
        self._stack = ExitStack()

    def __enter__(self) -> SubmissionWriter:
        with ExitStack() as stack:
            self._rows = csv.writer(stack.enter_context(write_csv(self.path)))
            self._rows.writerow(COLUMNS)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def write(self, image_name: str, masks: NDArray[np.bool_] | Packed) -> None:
        """Write the 29 rows of one image.

        Args:
            image_name: kept as text, whatever it looks like.
            masks: masks (29, H, W) or packed masks (H, W).

        Raises:
            HandsegInputError: the image has been written already.
        """
        self.write_codes(image_name, encode_masks(masks))

    def write_codes(self, image_name: str, codes: Sequence[str]) -> None:
        """Write the 29 rows of one image whose masks are encoded already, see `encode_masks`.

        Raises:
            HandsegInputError: the image has been written already.
        """
        if image_name in self._names:
            raise HandsegInputError(self.path, f"would hold the image {image_name!r} twice", "rename one of the images")
        self._names.add(image_name)
        self._rows.writerows((image_name, bone, code) for bone, code in zip(BONE_NAMES, codes, strict=True))


def read_submission(path: str | PathLike[str], *, allow_missing: bool = False) -> dict[str, dict[str, str]]:
    """Read a submission; `decode_rle` turns its codes into masks.

    Args:
        path: the CSV; its rows may come in any order.
        allow_missing: take a bone without a row for empty, in place of refusing the file.

    Returns:
        Image name -> bone name -> code, bones in channel order.

    Raises:
        HandsegInputError: the file is missing or no such CSV, or an image has not each of the 29 bones once.
    """
    images: dict[str, dict[str, str]] = {}
    with _long_fields():
        for line, (image_name, bone, rle) in _rows(path):
            codes = images.setdefault(image_name, {})
            if bone not in CHANNEL:
                problem = f"line {line} has the unknown class {bone!r}"
                raise HandsegInputError(path, problem, f"use {', '.join(BONE_NAMES)}")
            if bone in codes:
                raise HandsegInputError(path, f"line {line} repeats {bone} of {image_name!r}", _WRITE_AGAIN)
            codes[bone] = rle
    for image_name, codes in images.items():
        missing = [bone for bone in BONE_NAMES if bone not in codes]
        if missing and not allow_missing:
            problem = f"{image_name!r} lacks {len(missing)} of {len(BONE_NAMES)} classes, {missing[0]} first"
            raise HandsegInputError(path, problem, "write a row with an empty code for a bone that is not there")
    return {image_name: {bone: codes.get(bone, "") for bone in BONE_NAMES} for image_name, codes in images.items()}


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


def _check_end(starts: Places, ends: Places, height: int, width: int, source: str) -> None:
    """Refuse runs that end beyond the image."""
    is_beyond = ends > height * width
    if is_beyond.any():
        problem = f"ends beyond the {width} x {height} pixels of the image"
        raise _bad_run(starts, ends, int(is_beyond.argmax()), problem, source)


def _bad_run(starts: Places, ends: Places, number: int, problem: str, source: str) -> HandsegInputError:
    run = f"the run {starts[number] + 1} {ends[number] - starts[number]}"
    return HandsegInputError(source, f"{run} {problem}", _ENCODE_AGAIN)


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let the csv module read fields of any length; its limit is one for the whole process."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _rows(path: str | PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the three fields of every row below the header."""
    try:
        with open_csv(path) as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, None)
            if header != list(COLUMNS):
                raise HandsegInputError(path, f"does not start with the line {','.join(COLUMNS)}", _WRITE_AGAIN)
            for row in reader:
                if len(row) != len(COLUMNS):
                    problem = f"line {reader.line_num} has {len(row)} fields, not {len(COLUMNS)}"
                    raise HandsegInputError(path, problem, _WRITE_AGAIN)
                yield reader.line_num, row
    except OSError as error:
        raise HandsegInputError(path, f"cannot be read ({error.strerror})", "name a submission CSV") from error
    except csv.Error as error:
        raise HandsegInputError(path, f"is not a CSV file ({error})", _WRITE_AGAIN) from error
