"""One segmented radiograph: what is kept of it, and what is told."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL
from handseg_bundle_common.drawing import label_point, save_png
from handseg_bundle_common.ensemble.case import CaseFault
from handseg_bundle_common.ensemble.confidence import BoneConfidence
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.formats.rle import encode_masks
from handseg_bundle_common.inference import Predictor
from handseg_bundle_common.inference.findings import Findings, find
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.measurements import HandMeasures, Scale, measure_hand, read_spacing
from handseg_bundle_common.measurements.panel import INDEX_NAMES, index_text
from handseg_bundle_common.measurements.results import HandRows, Row, hand_rows
from handseg_bundle_common.serve.answers import (
    BoneSizes,
    FoundBone,
    GapAnswer,
    IndexAnswer,
    MasksAnswer,
    PictureFlag,
    StudyAnswer,
)
from handseg_bundle_common.serve.downloads import FILES, file_problem
from handseg_bundle_common.serve.uploads import Upload
from handseg_bundle_common.transforms import ScaleRadiographd

_MASKS, _VOTES, _PICTURE = "masks.npy", "votes.npz", "picture.png"
_stretch = ScaleRadiographd("image")


@dataclass(frozen=True, eq=False)
class Study:
    """A segmented radiograph, whose large parts lie in its folder.

    Attributes:
        folder: holds the upload and all that is made of it.
        upload: the radiograph.
        origin: what has segmented it, see `Predictor.origin`.
        answer: what is told of it.
        rows: its measures as they stand in tables.
        scale: turns px into the unit of its measures.
    """

    folder: Path
    upload: Upload
    origin: dict[str, object]
    answer: StudyAnswer
    rows: HandRows
    scale: Scale

    def masks(self) -> Packed:
        """Return the packed masks (H, W)."""
        masks: Packed = np.load(self.folder / _MASKS, allow_pickle=False)
        return masks

    def votes(self) -> list[Packed]:
        """Return the packed masks of an ensemble's members; none of a single network."""
        path = self.folder / _VOTES
        if not path.exists():
            return []
        with np.load(path, allow_pickle=False) as stored:
            return [stored[name] for name in stored.files]

    def picture(self) -> bytes:
        """Return the radiograph as an 8-bit PNG with its contrast stretched, as overlays show it."""
        return (self.folder / _PICTURE).read_bytes()

    def coded_masks(self) -> MasksAnswer:
        """Return the masks as run-length codes."""
        masks = self.masks()
        height, width = masks.shape
        return MasksAnswer(height=height, width=width, masks=dict(zip(BONE_NAMES, encode_masks(masks), strict=True)))


def segment(
    identity: str, upload: Upload, folder: Path, *, bundle: str, predictor: Predictor, spacing_mm: float | None
) -> Study:
    """Segment and measure a radiograph.

    Args:
        identity: the study's id.
        upload: the radiograph.
        folder: where to keep what is made of it.
        bundle: name of the bundle.
        predictor: the bundle.
        spacing_mm: distance of pixel centres in mm; None takes what the file tells.

    Raises:
        HandsegInputError: the radiograph cannot be read or does not fit into memory.
    """
    start = time.perf_counter()
    prediction = predictor.predict(upload.path)
    seconds = time.perf_counter() - start
    masks = prediction.masks
    image = read_radiograph(upload.path)
    np.save(folder / _MASKS, masks)
    if prediction.votes:
        np.savez(folder / _VOTES, *prediction.votes)
    grey = _stretch({"image": image})["image"][0]
    save_png(folder / _PICTURE, np.rint(grey * 255).astype(np.uint8))
    found = find(upload.name, upload.path, image, masks, prediction.votes)
    measures, scale = measure_hand(masks, image), Scale(spacing_mm or read_spacing(upload.path))
    rows = hand_rows(upload.name, measures, scale, found.laterality)
    answer = StudyAnswer(
        id=identity,
        name=upload.name,
        bundle=bundle,
        height=masks.shape[0],
        width=masks.shape[1],
        seconds=round(seconds, 3),
        spacing_mm=scale.spacing_mm,
        unit="px" if scale.spacing_mm is None else "mm",
        side=found.laterality.side,
        side_from=found.laterality.source,
        picture=[_picture_flag(fault) for fault in found.faults],
        flags=list(found.notes[len(found.faults) :]),
        bones=_bones(found, rows, masks),
        indices=_indices(measures, rows, scale),
        gaps=[_gap(row) for row in rows.gaps],
        files=[
            file.answer(upload.name, file_problem(file.format, upload, prediction.votes)) for file in FILES.values()
        ],
    )
    return Study(folder, upload, dict(predictor.origin), answer, rows, scale)


def _picture_flag(fault: CaseFault) -> PictureFlag:
    return PictureFlag(reason=fault.reason, message=fault.message, is_usable=fault.is_usable)


def _bones(found: Findings, rows: HandRows, masks: Packed) -> list[FoundBone]:
    return [
        _bone(confidence, row, label_point(masks, CHANNEL[confidence.bone]))
        for confidence, row in zip(found.confidence.bones, rows.bones, strict=True)
    ]


def _bone(judged: BoneConfidence, row: Row, label: tuple[int, int] | None) -> FoundBone:
    """Return what is told of a bone; a row without a word on a cut is that of a missing one."""
    length, width, area, orientation, perimeter, intensity = map(_number, row[2:8])
    sizes = BoneSizes(
        length=length,
        width=width,
        area=area,
        orientation_deg=orientation,
        perimeter=perimeter,
        mean_intensity=intensity,
        is_cut=row[9] == "yes",
    )
    return FoundBone(
        bone=judged.bone,
        confidence=round(judged.confidence, 4),
        agreement=None if math.isnan(judged.agreement) else round(judged.agreement, 4),
        area_px=judged.area_px,
        components=judged.components,
        reasons=list(judged.reasons),
        label=label,
        sizes=sizes if row[9] else None,
    )


def _indices(measures: HandMeasures, rows: HandRows, scale: Scale) -> list[IndexAnswer]:
    names = [field.name for field in fields(measures.indices)]
    return [
        IndexAnswer(
            index=name,
            label=INDEX_NAMES[name],
            value=_number(cell),
            text=index_text(measures, name, scale),
            missing=getattr(measures.indices, name).missing,
        )
        for name, cell in zip(names, rows.indices[3:], strict=False)
    ]


def _gap(row: Row) -> GapAnswer:
    _, first, second, distance, overlap, _ = row
    return GapAnswer(bones=(first, second), distance=_number(distance), overlap=_number(overlap))


def _number(cell: str) -> float | None:
    """Return what a cell of a table holds; an empty one holds nothing."""
    return float(cell) if cell else None
