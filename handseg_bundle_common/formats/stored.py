"""A radiograph as its file stores it: grey levels, and which of them are black and white."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.errors import HandsegInputError

Levels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]

# Five times a 4 k x 4 k detector, and below the 89 million at which Pillow itself begins to warn.
MAX_PIXELS = 80_000_000

EXPORT_AGAIN = "export it again as PNG, JPEG or TIFF with 8 or 16 bits"

# Detectors digitise with 10 to 14 bits, displays show 8, and files hold 8 or 16.
_WHITES = tuple((1 << bits) - 1 for bits in (8, 10, 12, 14, 16))


@dataclass(frozen=True, eq=False)
class StoredRadiograph:
    """A radiograph as it was stored, turned upright, not yet scaled (memory: as little as the file's bit depth).

    Attributes:
        levels: grey levels (H, W).
        black: level of no bone, which becomes 0.
        white: level that becomes 1; below `black` when the picture is inverted (bone dark).
    """

    levels: Levels
    black: float
    white: float

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.levels.shape
        return height, width

    def grey(self, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[np.float32]:
        """Return a window of the radiograph as float32 (h, w), bone bright, 0..1."""
        window = self.levels[rows, columns]
        if self.white < self.black:
            above = np.subtract(np.float32(self.black), window, dtype=np.float32)
        else:
            above = np.subtract(window, np.float32(self.black), dtype=np.float32)
        above /= np.float32(abs(self.white - self.black))
        return above

    def turned(self) -> StoredRadiograph:
        """Return the radiograph with black and white exchanged."""
        return replace(self, black=self.white, white=self.black)


def white_level(levels: NDArray[np.uint8] | NDArray[np.uint16]) -> int:
    """Return the level of white: the largest of 8, 10, 12, 14 or 16 bits, whichever holds all levels first.

    Files of 16 bits mostly come from detectors of fewer. A radiograph with air or a marker on it uses the upper part
    of its depth, so one whose levels all lie below 4096 is one of 12 bits. Nothing is lost where that is wrong (an
    underexposed picture of a full 16 bits becomes brighter, without clipping), whereas 12 bits taken for 16 are black.

    Args:
        levels: grey levels; those of 8-bit pictures always reach to 255.
    """
    highest = int(levels.max(initial=0)) if levels.dtype == np.uint16 else 0
    return next(white for white in _WHITES if highest <= white)


def check_size(path: str | PathLike[str], height: int, width: int) -> None:
    """Refuse a radiograph without pixels or of more than `MAX_PIXELS`, before its pixels take memory.

    Raises:
        HandsegInputError: it is empty or too large.
    """
    if width < 1 or height < 1:
        raise HandsegInputError(path, "has no pixels", EXPORT_AGAIN)
    if width * height > MAX_PIXELS:
        raise too_large(path)


def too_large(path: str | PathLike[str]) -> HandsegInputError:
    """Return the error of a radiograph of more than `MAX_PIXELS`."""
    return HandsegInputError(path, f"has more than {MAX_PIXELS:,} pixels", "crop or shrink it")
