"""Where a training window comes from: a radiograph and its masks, of which only a part is decoded or filled."""

from __future__ import annotations

from os import PathLike
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.formats.boostcamp import Annotations, rasterise_packed, read_annotations
from handseg_bundle_common.formats.radiograph import StoredRadiograph, read_stored
from handseg_bundle_common.formats.seg_nrrd import read_seg_nrrd
from handseg_bundle_common.formats.tiles import TileCache
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.transforms.load import is_segmentation, stored_contrast_limits


class RadiographSource(Protocol):
    """A radiograph that can be read in part; see `formats.tiles.TiledRadiograph`."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in px."""
        ...

    @property
    def contrast(self) -> tuple[float, float]:
        """Grey levels that become 0 and 1."""
        ...

    @property
    def halvings(self) -> int:
        """How often the picture can be halved before it is read."""
        ...

    def grey(self, rows: slice, columns: slice, halvings: int) -> NDArray[np.float32]:
        """Return a window (h, w) of the picture after so many halvings."""
        ...


class WholeRadiograph:
    """A radiograph that is decoded already, with as many bits a pixel as its file has.

    Args:
        stored: the radiograph.
    """

    halvings = 0

    def __init__(self, stored: StoredRadiograph) -> None:
        self._stored = stored
        self.size = stored.size
        self.contrast = stored_contrast_limits(stored)

    def grey(self, rows: slice, columns: slice, halvings: int = 0) -> NDArray[np.float32]:
        """Return a window (h, w); there are no halvings."""
        return self._stored.grey(rows, columns)


class MaskSource(Protocol):
    """The masks of a radiograph, which can be filled in part."""

    def packed(self, rows: slice, columns: slice) -> Packed:
        """Return the packed masks of a window (h, w)."""
        ...

    def centre(self, bone: str) -> tuple[float, float] | None:
        """Return the middle (x, y) of a bone's bounding box in px, or None for a bone that is not there."""
        ...


class PolygonMasks:
    """Masks as polygons.

    Args:
        annotations: polygons by bone name.
        size: height and width of the radiograph in px.
    """

    def __init__(self, annotations: Annotations, size: tuple[int, int]) -> None:
        self._annotations = annotations
        self._size = size

    def packed(self, rows: slice, columns: slice) -> Packed:
        """Fill the polygons within a window (h, w)."""
        return rasterise_packed(self._annotations, *self._size, (rows, columns))

    def centre(self, bone: str) -> tuple[float, float] | None:
        """Return the middle (x, y) of a bone's bounding box in px."""
        rings = self._annotations.get(bone)
        return _middle(np.concatenate(rings)) if rings else None


class ArrayMasks:
    """Masks that are filled already.

    Args:
        packed: packed masks (H, W).
    """

    def __init__(self, packed: Packed) -> None:
        self._packed = packed

    def packed(self, rows: slice, columns: slice) -> Packed:
        """Return a window (h, w)."""
        return self._packed[rows, columns]

    def centre(self, bone: str) -> tuple[float, float] | None:
        """Return the middle (x, y) of a bone's bounding box in px."""
        rows, columns = np.nonzero(self._packed & np.uint32(1 << CHANNEL[bone]))
        return _middle(np.stack([columns, rows], axis=1)) if len(rows) else None


def open_radiograph(image: Any, cache: TileCache | None = None) -> RadiographSource:
    """Return the source of a radiograph.

    Args:
        image: a path, or an array (1, H, W), 0..1, such as that of a simulated hand.
        cache: where the tiles of a file are kept; without it a file is decoded as a whole.

    Raises:
        HandsegInputError: the file cannot be read, or the cache cannot be written.
    """
    if not isinstance(image, (str, PathLike)):
        return WholeRadiograph(StoredRadiograph(np.asarray(image, np.float32)[0], 0.0, 1.0))
    return WholeRadiograph(read_stored(image)) if cache is None else cache.radiograph(image)


def open_masks(label: Any, size: tuple[int, int]) -> MaskSource:
    """Return the source of masks.

    Args:
        label: the path of a file of polygons or of a segmentation of 3D Slicer, or packed masks, int32 (1, H, W).
        size: height and width of the radiograph in px.

    Raises:
        HandsegInputError: the file cannot be read.
    """
    if isinstance(label, (str, PathLike)) and is_segmentation(label):
        return ArrayMasks(read_seg_nrrd(label, size).masks)
    if isinstance(label, (str, PathLike)):
        return PolygonMasks(read_annotations(label), size)
    return ArrayMasks(np.asarray(label, np.int32)[0].view(np.uint32))


def _middle(points: NDArray[Any]) -> tuple[float, float]:
    x, y = (points.min(axis=0) + points.max(axis=0)) / 2
    return float(x), float(y)
