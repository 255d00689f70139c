"""Probabilities of the bones as files: eight bits a pixel, compressed, beside the masks they decide."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically

# Folder of the files among the results of a prediction.
PROBABILITIES = "probabilities"
# Level that stands for a probability of 1.
MAX_LEVEL = 255
# Twice the side at which networks for hands work best; 29 bones of it are 487 MB.
MAX_WORKING_PIXELS = 4096 * 4096

_PREDICT_AGAIN = "predict again and keep the probabilities"
_BONES = np.array(BONE_NAMES)
# The others unpack a block at once, however large.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile, zlib and numpy raise over damaged archives and headers.
_DAMAGES = (
    EOFError,
    KeyError,
    RuntimeError,
    SyntaxError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, eq=False)
class StoredProbabilities:
    """Probabilities as a file holds them.

    Attributes:
        values: (29, h, w), uint8; the probability is `values / 255`.
        native_size: (H, W) of the radiograph in px, all of which the values cover.
    """

    values: NDArray[np.uint8]
    native_size: tuple[int, int]


def probabilities_path(folder: str | PathLike[str], image_name: str) -> Path:
    """Return where the probabilities of an image lie in a folder of results: `probabilities/<image name>.npz`."""
    return Path(folder, PROBABILITIES, f"{image_name}.npz")


def write_probabilities(
    path: str | PathLike[str], probabilities: NDArray[np.floating[Any]], native_size: tuple[int, int]
) -> None:
    """Write probabilities as a compressed `.npz` of 8-bit levels.

    Levels are rounded to the nearest, halves down: 0.5 becomes 127 and all above it 128 or more, so that a pixel lies
    above 0.5 in the file exactly when it does in the array. Other probabilities move by 0.002 at most.

    Args:
        path: the file, with the suffix `.npz`.
        probabilities: (29, h, w), 0 to 1, at the size at which the network works.
        native_size: (H, W) of the radiograph in px.

    Raises:
        ValueError: the shape differs, or a value is no probability.
        HandsegInputError: the file cannot be written.
    """
    if probabilities.ndim != 3 or len(probabilities) != NUM_BONES:
        raise ValueError(f"probabilities must have the shape ({NUM_BONES}, h, w), not {probabilities.shape}")
    values = np.empty(probabilities.shape, np.uint8)
    for bone, levels in zip(probabilities, values, strict=True):
        if not ((bone >= 0) & (bone <= 1)).all():
            raise ValueError("probabilities must lie between 0 and 1")
        # float64 tells the first float32 above 0.5 from 0.5.
        levels[:] = np.ceil(bone.astype(np.float64) * MAX_LEVEL - 0.5)
    with write_atomically(path) as temporary:
        np.savez_compressed(temporary, values=values, native_size=np.array(native_size, np.int64), bones=_BONES)


def read_probabilities(path: str | PathLike[str]) -> StoredProbabilities:
    """Read what `write_probabilities` wrote; nothing in the file can run, and its size is checked before it is read.

    Raises:
        HandsegInputError: the file is missing, damaged, of another layout, of other bones or too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            bones = _read_array(archive, "bones", _BONES.dtype, (NUM_BONES,))
            native_size = _read_array(archive, "native_size", np.dtype(np.int64), (2,))
            values = _read_array(archive, "values", np.dtype(np.uint8), (NUM_BONES, None, None))
    except OSError as error:
        raise HandsegInputError(path, f"cannot be read ({error.strerror or error})", _PREDICT_AGAIN) from error
    except _DAMAGES as error:
        reason = " ".join(str(error).split())
        raise HandsegInputError(path, f"holds no probabilities of 29 bones ({reason})", _PREDICT_AGAIN) from error
    if not np.array_equal(bones, _BONES):
        raise HandsegInputError(path, "holds other bones, or the same in another order", _PREDICT_AGAIN)
    height, width = native_size.tolist()
    if height < 1 or width < 1:
        raise HandsegInputError(path, f"says that the radiograph has {width} x {height} px", _PREDICT_AGAIN)
    return StoredProbabilities(values, (height, width))


def _read_array(
    archive: zipfile.ZipFile, name: str, dtype: np.dtype[Any], expected: tuple[int | None, ...]
) -> NDArray[Any]:
    """Return an array after comparing its header with a type and a shape, in which None stands for any length."""
    entry = archive.getinfo(f"{name}.npy")
    if entry.compress_type not in _COMPRESSIONS:
        raise ValueError("an unknown compression")
    with archive.open(entry) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("another version of .npy")
        shape, is_fortran, stored = np.lib.format.read_array_header_1_0(file)
        fits = len(shape) == len(expected) and all(n in (None, own) for n, own in zip(expected, shape, strict=True))
        if not fits or is_fortran or stored != dtype:
            raise ValueError(f"{name} has the shape {shape} and the type {stored}")
        count = math.prod(shape)
        if not 0 < count <= NUM_BONES * MAX_WORKING_PIXELS:
            raise ValueError(f"{name} has {count:,} values")
        # One byte more than there is makes the archive compare its checksum.
        content = file.read(count * dtype.itemsize + 1)
    return np.frombuffer(content, dtype).reshape(shape)
