"""A fingerprint of a data set, to notice that its images or polygons have changed."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from handseg_bundle_common.datasets.lists import Item
from handseg_bundle_common.errors import HandsegInputError


def data_fingerprint(items: Sequence[Item]) -> str:
    """Return "sha256:..." of the images' names and sizes and of the polygon files' contents.

    It depends neither on where the data set lies nor on the order of the items nor on the platform. Images count by
    patient, name and size in bytes only: reading them all would take minutes.

    Raises:
        HandsegInputError: a file cannot be read.
    """
    entries = sorted(_entry(item) for item in items)
    return f"sha256:{hashlib.sha256(json.dumps(entries).encode()).hexdigest()}"


def _entry(item: Item) -> tuple[str, int, str]:
    """Return what is fingerprinted of one item; macOS may decompose the letters of file names (NFD)."""
    name = unicodedata.normalize("NFC", f"{item['patient']}/{item['image_name']}")
    files = [Path(item[key]) for key in ("image", "label") if key in item]
    try:
        size = files[0].stat().st_size
        label = hashlib.sha256(files[1].read_bytes()).hexdigest() if files[1:] else ""
    except OSError as error:
        raise HandsegInputError(error.filename, f"cannot be read ({error.strerror})", "check the data set") from error
    return name, size, label
