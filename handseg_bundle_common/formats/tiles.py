"""Radiographs cut into tiles at several resolutions, so that a window is read without the rest of the picture.

A file of tiles is a ZIP archive: `header.json`, and the pixels of every tile as bytes, losslessly deflated.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable
from math import ceil, log2
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.formats.radiograph import StoredRadiograph, read_stored

TILE = 256

_HEADER = "header.json"
# Part of every file's name: files of another layout are passed over and written again.
_VERSION = 2
# Radiographs are noise to a compressor: its highest level gains 7 % for ten times the time.
_COMPRESSION = 1
_DAMAGE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError)


class TiledRadiograph:
    """One radiograph in a file of tiles, of which windows are read at full size or halved several times.

    Attributes:
        size: (H, W) in px.
        source: what `write_tiles` was told about the file that was cut.
        contrast: grey levels at the percentiles with which the file was written.
        halvings: how often the picture can be halved.

    Args:
        path: what `write_tiles` wrote.

    Raises:
        HandsegInputError: the file is missing or damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._archive = zipfile.ZipFile(self.path)
            header = json.loads(self._archive.read(_HEADER))
            height, width = header["size"]
            low, high = header["contrast"]
            self.size: tuple[int, int] = (int(height), int(width))
            self.contrast: tuple[float, float] = (float(low), float(high))
            self.halvings = int(header["halvings"])
            self.source = str(header["source"])
            self._black, self._white = float(header["black"]), float(header["white"])
        except _DAMAGE as error:
            raise _damaged(self.path, error) from error

    def grey(self, rows: slice, columns: slice, halvings: int = 0) -> NDArray[np.float32]:
        """Return a window (h, w), 0..1, bone bright.

        Args:
            rows: slice with a start and a stop inside the halved picture.
            columns: likewise.
            halvings: how often the picture was halved; a pixel then stands for 2 ** halvings native ones a side.

        Raises:
            HandsegInputError: the file is damaged.
        """
        height, width = _halved(self.size, halvings)
        top, left = rows.start // TILE, columns.start // TILE
        bottom, right = ceil(rows.stop / TILE), ceil(columns.stop / TILE)
        levels = np.empty((min(bottom * TILE, height) - top * TILE, min(right * TILE, width) - left * TILE), np.uint8)
        for row in range(top, bottom):
            for column in range(left, right):
                y, x = (row - top) * TILE, (column - left) * TILE
                place = levels[y : y + TILE, x : x + TILE]
                place[:] = self._tile(halvings, row, column).reshape(place.shape)
        y, x = top * TILE, left * TILE
        levels = levels[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
        return StoredRadiograph(levels, self._black, self._white).grey()

    def close(self) -> None:
        """Close the file; no window can be read any more."""
        self._archive.close()

    def _tile(self, halvings: int, row: int, column: int) -> NDArray[np.uint8]:
        try:
            return np.frombuffer(self._archive.read(_name(halvings, row, column)), np.uint8)
        except _DAMAGE as error:
            raise _damaged(self.path, error) from error


class TileCache:
    """A folder of tile files, one a radiograph, each written when it is first asked for.

    A file is found by the absolute path of its radiograph and holds the radiograph's size and time of change, so that
    the tiles of a changed radiograph are replaced. Those of a radiograph that was moved or removed stay; the folder may
    be deleted at any time. Processes may share it.

    Args:
        folder: made when it is missing.
        contrast: maps a radiograph to its grey levels (low, high) at the percentiles that training stretches to 0..1.
    """

    def __init__(
        self, folder: str | os.PathLike[str], contrast: Callable[[StoredRadiograph], tuple[float, float]]
    ) -> None:
        self.folder = Path(folder)
        self.contrast = contrast

    def radiograph(self, path: str | os.PathLike[str]) -> TiledRadiograph:
        """Return the tiles of a radiograph.

        Raises:
            HandsegInputError: the radiograph cannot be read or the folder cannot be written.
        """
        tiles, source = self._path(path), _state(path)
        try:
            cut = TiledRadiograph(tiles)
        except HandsegInputError:  # not there yet, or damaged
            pass
        else:
            if cut.source == source:
                return cut
            cut.close()
        stored = read_stored(path)
        write_tiles(tiles, stored, self.contrast(stored), source)
        return TiledRadiograph(tiles)

    def _path(self, path: str | os.PathLike[str]) -> Path:
        key = f"{_VERSION}|{Path(path).resolve()}"
        return self.folder / f"{hashlib.sha256(os.fsencode(key)).hexdigest()[:32]}.tiles"


def write_tiles(
    path: str | os.PathLike[str], stored: StoredRadiograph, contrast: tuple[float, float], source: str = ""
) -> None:
    """Write a radiograph as tiles.

    Eight bits a pixel are kept as they are; deeper pictures get eight bits between the grey levels of `contrast`.

    Args:
        path: file to write.
        stored: the radiograph.
        contrast: its grey levels (low, high) that become 0 and 1 in training.
        source: tells the radiograph's file from the same file after a change.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    levels, black, white = _eight_bits(stored, contrast)
    halvings = max(0, ceil(log2(max(levels.shape) / (2 * TILE))))
    header = {"size": levels.shape, "contrast": contrast, "halvings": halvings, "source": source}
    header |= {"black": black, "white": white}
    with write_atomically(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_HEADER, json.dumps(header))
        for count in range(halvings + 1):
            for row in range(ceil(levels.shape[0] / TILE)):
                for column in range(ceil(levels.shape[1] / TILE)):
                    tile = levels[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
                    archive.writestr(_name(count, row, column), tile.tobytes(), compresslevel=_COMPRESSION)
            levels = _halve(levels)


def _state(path: str | os.PathLike[str]) -> str:
    """Return size and time of change of a file."""
    try:
        status = Path(path).stat()
    except OSError as error:
        raise HandsegInputError(path, f"cannot be read ({error.strerror})", "check the path") from error
    return f"{status.st_size} {status.st_mtime_ns}"


def _eight_bits(stored: StoredRadiograph, contrast: tuple[float, float]) -> tuple[NDArray[np.uint8], float, float]:
    """Return levels of eight bits with those that stand for black and white."""
    if stored.levels.dtype == np.uint8:
        return stored.levels.astype(np.uint8, copy=False), stored.black, stored.white
    low, high = contrast
    step = max(high - low, 1e-6) / 255
    levels = np.rint(np.clip((stored.grey() - low) / step, 0, 255)).astype(np.uint8)
    return levels, -low / step, (1 - low) / step


def _halved(size: tuple[int, int], halvings: int) -> tuple[int, int]:
    return ceil(size[0] / 2**halvings), ceil(size[1] / 2**halvings)


def _halve(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average squares of 2 x 2 pixels; an odd side is first prolonged by a copy of its last row or column."""
    height, width = levels.shape
    even = cv2.copyMakeBorder(levels, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    size = (even.shape[1] // 2, even.shape[0] // 2)
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.uint8)


def _name(halvings: int, row: int, column: int) -> str:
    return f"{halvings}/{row}_{column}"


def _damaged(path: Path, error: Exception) -> HandsegInputError:
    return HandsegInputError(path, f"cannot be read as tiles ({error})", "delete it; the next training writes it again")
