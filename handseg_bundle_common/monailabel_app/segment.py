"""One radiograph segmented for a client: a segmentation that keeps overlaps, and all numbers as JSON."""

from __future__ import annotations

import math
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.ensemble.agreement import member_agreement
from handseg_bundle_common.ensemble.case import case_flags
from handseg_bundle_common.ensemble.confidence import case_confidence
from handseg_bundle_common.formats.boostcamp import masks_to_annotations
from handseg_bundle_common.formats.dicom import read_dicom_side_tag
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.formats.seg_nrrd import write_seg_nrrd
from handseg_bundle_common.inference import Prediction, Predictor, load_predictor
from handseg_bundle_common.laterality import find_laterality
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.measurements.hand import HandMeasures, measure_hand
from handseg_bundle_common.measurements.scale import Scale, read_spacing
from handseg_bundle_common.monailabel_app.models import Model

_DISTANCES = frozenset({"carpal_height", "ulnar_variance"})

# A network keeps the votes of its last call, and a graphics card holds one at a time.
_one_at_a_time = threading.Lock()


def segment(model: Model, image: Path, name: str, *, device: str = "auto", polygons: bool = False) -> tuple[str, Any]:
    """Segment a radiograph.

    Args:
        model: whose weights are there.
        image: its file.
        name: its name in the results.
        device: "auto", "cpu" or "cuda".
        polygons: tell the outlines too, as CVAT takes them.

    Returns:
        The path of a new temporary file `.seg.nrrd`, and plain values: `label_names`, `bones`, `flags`,
        `measurements`, `disagreement`, ...

    Raises:
        HandsegInputError: the radiograph or the weights cannot be used.
    """
    start = time.monotonic()
    prediction, predictor = predict(model, image, device)
    packed = prediction.masks
    spacing = read_spacing(image)
    stem = Path(name).name
    with tempfile.NamedTemporaryFile(suffix=f"-{stem[:80]}.seg.nrrd", delete=False) as file:
        written = Path(file.name)
    write_seg_nrrd(written, MaskImage(name, packed, None if spacing is None else (spacing, spacing)))
    found = _numbers(image, prediction, Scale(spacing)) | {"disagreement": disagreement(prediction, predictor)}
    if polygons:
        found["annotations"] = [{"annotation": {"elements": _elements(packed)}}]
    names = {bone: number for number, bone in enumerate(BONE_NAMES, 1)}
    seconds = _round(time.monotonic() - start)
    return str(written), {"model": model.name, "label_names": names, **found, "seconds": seconds}


def predict(model: Model, image: Path, device: str = "auto") -> tuple[Prediction, Predictor]:
    """Return what a model makes of a radiograph, and the loaded model, one radiograph at a time."""
    with _one_at_a_time:
        predictor = _loaded(model, model.version, device)
        return predictor.predict(image), predictor


def disagreement(prediction: Prediction, predictor: Predictor) -> float:
    """Return how little can be relied on a segmentation: 0 for no doubt, 1 for nothing but doubt.

    For an ensemble, it is 1 - the mean Dice coefficient of all pairs of members over the bones (`member_agreement`).
    For a single network, the members are thought to be drawn pixel by pixel with the probabilities p that it gives: two
    of them have about the Dice coefficient sum(p^2) / sum(p), which is 1 where all are 0 or 1 (own derivation, from the
    expected sizes of the masks and of their intersection).
    """
    if len(prediction.votes) > 1:
        agreement = member_agreement(prediction.votes)
    else:
        p = predictor.probabilities(prediction).astype(np.float64)
        total = p.sum(axis=(1, 2))
        agreement = np.divide((p * p).sum(axis=(1, 2)), total, out=np.ones_like(total), where=total > 1)
    return _round(1 - float(agreement.mean())) or 0.0


@lru_cache(maxsize=4)
def _loaded(model: Model, version: str, device: str) -> Predictor:
    """Return a loaded model; `version` has it loaded again after a fine-tuning."""
    return load_predictor(model.source(), device=device, weights=model.weights)


def _numbers(image: Path, prediction: Prediction, scale: Scale) -> dict[str, Any]:
    radiograph = read_radiograph(image)
    confidence = case_confidence(prediction.masks, prediction.votes)
    laterality = find_laterality(image.name, prediction.masks, read_dicom_side_tag(image))
    bones = [
        {
            "bone": bone.bone,
            "confidence": _round(bone.confidence),
            "agreement": _round(bone.agreement),
            "area_px": bone.area_px,
            "components": bone.components,
            "reasons": list(bone.reasons),
        }
        for bone in confidence.bones
    ]
    return {
        "size": list(prediction.masks.shape),
        "side": laterality.side,
        "side_from": laterality.source,
        "flags": [*case_flags(prediction.masks, radiograph), *confidence.flags],
        "bones": bones,
        "measurements": measures_as_json(measure_hand(prediction.masks, radiograph), scale),
    }


def measures_as_json(measures: HandMeasures, scale: Scale) -> dict[str, Any]:
    """Return the measures of a hand as plain values; what cannot be measured is None.

    Args:
        measures: in px.
        scale: turns px into the unit of the result.
    """
    bones = {
        name: {
            "length": _round(scale.length(bone.length)),
            "width": _round(scale.length(bone.width)),
            "area": _round(scale.area(bone.area)),
            "orientation_deg": _round(bone.orientation),
            "perimeter": _round(scale.length(bone.perimeter)),
            "mean_intensity": _round(bone.mean_intensity),
            "cut": bone.is_cut,
        }
        for name, bone in measures.bones.items()
    }
    indices = {}
    for field in fields(measures.indices):
        index = getattr(measures.indices, field.name)
        value = scale.length(index.value) if field.name in _DISTANCES else index.value
        indices[field.name] = {"value": _round(value), "missing": index.missing}
    gaps = [
        {
            "bones": list(gap.bones),
            "distance": _round(scale.length(gap.distance)),
            "overlap": _round(scale.area(gap.overlap)),
        }
        for gap in measures.gaps
    ]
    return {"unit": scale.unit, "bones": bones, "indices": indices, "gaps": gaps}


def _elements(packed: Packed) -> list[Mapping[str, Any]]:
    """Return outlines as the functions of CVAT for MONAI Label take them."""
    annotations = masks_to_annotations(packed)
    return [
        {"label": bone, "contours": [np.asarray(ring).tolist() for ring in rings]}
        for bone, rings in annotations.items()
    ]


def _round(value: float) -> float | None:
    """Return four decimals; NaN, which JSON lacks, becomes None."""
    return None if math.isnan(value) else round(value, 4) + 0.0
