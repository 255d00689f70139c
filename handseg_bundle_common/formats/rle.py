"""The competition's submission: a CSV of run-length codes, one row a bone and image.

A code lists `start length` pairs of the mask's runs, row after row, the first pixel being 1.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import open_csv, write_csv
from handseg_bundle_common.formats.runs import check_end, encode_runs, runs_of_codes
from handseg_bundle_common.masks import Packed

COLUMNS = ("image_name", "class", "rle")

_WRITE_AGAIN = "write the submission again"


def encode_rle(mask: NDArray[np.bool_]) -> str:
    """Encode one mask (H, W); an empty mask gives an empty string."""
    pixels = np.ravel(mask).astype(bool, copy=False)
    edges = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    if pixels[:1].any():
        edges = np.insert(edges, 0, 0)
    if pixels[-1:].any():
        edges = np.append(edges, pixels.size)
    return encode_runs(edges[::2], edges[1::2])


def encode_masks(masks: NDArray[np.bool_] | Packed) -> list[str]:
    """Encode the masks of one image, (29, H, W) or packed (H, W), one code a bone in channel order."""
    if masks.ndim != 2:
        return [encode_rle(mask) for mask in masks]
    pixels: NDArray[Any] = np.ravel(masks)
    # All bones begin and end at the few pixels that differ from the one before them, or from nothing beyond the image.
    inner = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    places = np.concatenate([[0], inner, [pixels.size]])
    turned = np.concatenate([pixels[:1], pixels[inner] ^ pixels[inner - 1], pixels[-1:]])
    edges = (places[(turned & np.uint32(1 << bit)) != 0] for bit in range(NUM_BONES)) if pixels.size else []
    return [encode_runs(of_bone[::2], of_bone[1::2]) for of_bone in edges] or [""] * NUM_BONES


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
    starts, ends, behind = runs_of_codes([rle], [source])
    check_end(starts, ends, behind, (height, width), [source])
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
    sources = [f"{source}, {bone}" for bone in BONE_NAMES]
    starts, ends, behind = runs_of_codes(list(codes), sources)
    check_end(starts, ends, behind, (height, width), sources)
    # Every run turns its bone's bit over where it starts and behind its end; between two such places in order nothing
    # changes, so that a few stretches of equal pixels make up the whole.
    bits = np.repeat(np.uint32(1) << np.arange(NUM_BONES, dtype=np.uint32), np.diff(behind, prepend=0))
    places = np.concatenate([starts, ends])
    order = np.argsort(places, kind="stable")
    stretches = np.bitwise_xor.accumulate(np.concatenate([np.zeros(1, np.uint32), np.tile(bits, 2)[order]]))
    lengths = np.diff(places[order], prepend=0, append=height * width)
    return np.repeat(stretches, lengths).reshape(height, width)


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
