"""The segments that the header of a `.seg.nrrd` names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.mask_image import channel_of
from handseg_bundle_common.formats.nrrd import WRITE_AGAIN, NrrdReader

_KEY = re.compile(r"Segment([0-9]{1,6})_(Name|ID|LabelValue|Layer)", re.ASCII)


@dataclass(frozen=True)
class Segment:
    """One segment.

    Attributes:
        label: its name, or its identifier where only that is the name of a bone.
        layer: number of the layer.
        value: label value in that layer.
    """

    label: str
    layer: int
    value: int


def read_segments(path: str | PathLike[str], reader: NrrdReader) -> list[Segment]:
    """Return the segments in the order of their numbers.

    Files before Slicer 4.11 have one layer a segment and tell neither layers nor values.

    Raises:
        HandsegInputError: there is none, or a layer or value is not possible.
    """
    fields: dict[int, dict[str, str]] = {}
    for key, value in reader.keys.items():
        match = _KEY.fullmatch(key)
        if match:
            fields.setdefault(int(match[1]), {})[match[2]] = value
    if not fields:
        raise HandsegInputError(path, "has no segments: it is not one of 3D Slicer's", WRITE_AGAIN)
    has_layers = any("Layer" in field or "LabelValue" in field for field in fields.values())
    return [
        _segment(path, field, 0 if has_layers else order, reader.layers)
        for order, (_, field) in enumerate(sorted(fields.items()))
    ]


def _segment(path: str | PathLike[str], field: dict[str, str], order: int, layers: int) -> Segment:
    name, identifier = field.get("Name", ""), field.get("ID", "")
    label = identifier if channel_of(name) is None and channel_of(identifier) is not None else name or identifier
    try:
        layer, value = int(field.get("Layer", order)), int(field.get("LabelValue", 1))
    except ValueError as error:
        raise HandsegInputError(path, f"has a segment whose layer is no number ({error})", WRITE_AGAIN) from error
    if not 0 <= layer < layers or not 0 < value < 2**16:
        problem = f"has a segment of value {value} in layer {layer} of {layers}"
        raise HandsegInputError(path, problem, WRITE_AGAIN)
    return Segment(label, layer, value)
