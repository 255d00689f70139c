"""Measured images as files, so that a run that was interrupted goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from handseg_bundle_common import anatomy, drawing, laterality, masks, measurements, transforms
from handseg_bundle_common.datasets import moments, wrist
from handseg_bundle_common.digests import code_digest
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.formats import (
    boostcamp,
    dicom,
    inversion,
    nifti_picture,
    picture,
    radiograph,
    rle,
    runs,
    stored,
)
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.measurements.results import HandRows
from handseg_bundle_common.measurements.scale import Scale
from handseg_bundle_common.metrics import crops

# Modules that decide what is measured and drawn; images that others have measured are done again.
_READERS = boostcamp, dicom, inversion, nifti_picture, picture, radiograph, rle, runs, stored
_MAKERS = measurements, anatomy, crops, drawing, laterality, masks, moments, transforms, wrist, *_READERS


def measures_key(name: str, image: Path, packed: Packed, scale: Scale) -> str:
    """Return a digest of all that measures depend on: the radiograph, its masks, the spacing, and the code.

    Raises:
        OSError: the radiograph cannot be read.
    """
    digest = hashlib.sha256(code_digest(*_MAKERS).encode())
    digest.update(json.dumps([name, scale.spacing_mm, packed.shape]).encode())
    digest.update(packed.tobytes())
    digest.update(image.read_bytes())
    return digest.hexdigest()


def write_rows(path: Path, key: str, rows: HandRows) -> None:
    """Write the rows of an image as JSON.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps({"key": key, **asdict(rows)}), encoding="utf-8")


def read_rows(path: Path, key: str) -> HandRows | None:
    """Return the rows of an image, or None if the file is missing, damaged, foreign, or was made of something else."""
    try:
        stored = json.loads(path.read_bytes())
        if stored["key"] != key:
            return None
        bones, gaps = (tuple(tuple(map(str, row)) for row in stored[name]) for name in ("bones", "gaps"))
        return HandRows(str(stored["unit"]), bones, tuple(map(str, stored["indices"])), gaps)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
