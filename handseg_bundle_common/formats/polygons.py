"""Masks as polygon files of the data set, so that predictions become labels."""

from __future__ import annotations

from os import PathLike
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json
from handseg_bundle_common.formats.boostcamp import (
    EXPORT_AGAIN,
    Annotations,
    masks_to_annotations,
    parse_annotations,
    rasterise_packed,
    write_annotations,
)
from handseg_bundle_common.formats.mask_image import MaskImage, Size, spacing_of
from handseg_bundle_common.formats.stored import check_size

_SIZE = ("height", "width")


def write_polygons(path: str | PathLike[str], image: MaskImage) -> None:
    """Write masks as polygons that give them back pixel for pixel, with the image's name and size as `metadata`.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    metadata: dict[str, Any] = dict(zip(_SIZE, image.masks.shape, strict=True))
    if image.spacing_mm is not None:
        metadata["spacing_mm"] = list(image.spacing_mm)
    more = {"filename": PurePosixPath(image.name).name, "metadata": metadata}
    write_annotations(path, masks_to_annotations(image.masks), more)


def read_polygons(path: str | PathLike[str], size: Size | None = None) -> MaskImage:
    """Read polygons as masks.

    Args:
        path: the file.
        size: (H, W) of the image, which the file may or may not tell.

    Raises:
        HandsegInputError: the file cannot be read, has an unusable polygon, tells no size, or another one.
    """
    document = read_json(path, EXPORT_AGAIN)
    annotations = parse_annotations(path, document)
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    height, width = _size(path, metadata, size)
    name = document.get("filename")
    masks = rasterise_packed(annotations, height, width)
    notes = _rounded(annotations)
    return MaskImage(name if isinstance(name, str) else "", masks, spacing_of(metadata.get("spacing_mm")), notes)


def _size(path: str | PathLike[str], metadata: dict[str, Any], size: Size | None) -> Size:
    height, width = (metadata.get(side) for side in _SIZE)
    if type(height) is int and type(width) is int:
        if size not in (None, (height, width)):
            problem = f"is of an image of {width} x {height} px, which has another size"
            raise HandsegInputError(path, problem, "name the images that were annotated")
        size = height, width
    if size is None:
        raise HandsegInputError(path, "does not tell the size of its image", "name the folder of the images (--images)")
    check_size(path, *size)
    return size


def _rounded(annotations: Annotations) -> tuple[str, ...]:
    """Return a note about vertices between pixels, if there are any."""
    rings = [ring for rings in annotations.values() for ring in rings]
    count = sum(int((ring != np.rint(ring)).any(axis=1).sum()) for ring in rings)
    return ("polygons with corners between pixels became masks of whole pixels",) if count else ()
