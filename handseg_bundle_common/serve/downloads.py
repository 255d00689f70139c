"""Files that can be downloaded, made by the code that `handseg predict` and `handseg measure` write theirs with."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from handseg_bundle_common.conversion.kinds import COCO, COCO_RAM, DICOM_SEG, FORMATS, PNG, RLE, image_stem
from handseg_bundle_common.datasets.predictions import DISAGREEMENT, MASKS, OVERLAYS, SUBMISSION
from handseg_bundle_common.drawing import overlay_name, save_png
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.inference import CONFIDENCE, ResultsFolder, Source
from handseg_bundle_common.inference.mask_files import OVERLAY, check_outputs
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.measurements import BONES_TABLE, GAPS_TABLE, INDICES_TABLE, measure_hand, measures_overlay
from handseg_bundle_common.measurements.results import MeasuresFolder
from handseg_bundle_common.serve.answers import FileAnswer
from handseg_bundle_common.serve.uploads import Upload

if TYPE_CHECKING:
    from handseg_bundle_common.serve.study import Study

_CSV, _PNG, _JSON = "text/csv; charset=utf-8", "image/png", "application/json"
_MEASURED = "measured"
Group = Literal["pictures", "tables", "masks"]
# Tables beside the submission, and the tables of measures.
_TABLES = {"confidence": CONFIDENCE}
_MEASURES = {"bone-sizes": BONES_TABLE, "indices": INDICES_TABLE, "gaps": GAPS_TABLE}


@dataclass(frozen=True)
class File:
    """A kind of file.

    Attributes:
        format: its name in addresses; for masks that of `handseg predict --formats`.
        label: what it is, for readers.
        group: where it stands on the page.
        media_type: what browsers call it.
        ending: what is added to the image's name.
    """

    format: str
    label: str
    group: Group
    media_type: str
    ending: str

    def answer(self, image: str, problem: str | None) -> FileAnswer:
        """Return what is told of it for an image, with why it cannot be made."""
        return FileAnswer(
            format=self.format,
            name=self.name(image),
            label=self.label,
            group=self.group,
            media_type=self.media_type,
            problem=problem,
        )

    def name(self, image: str) -> str:
        """Return the name that a download of an image gets."""
        return f"{image_stem(image)}{self.ending}"


FILES: dict[str, File] = {
    file.format: file
    for file in (
        File(OVERLAY, "Overlay", "pictures", _PNG, "_overlay.png"),
        File(_MEASURED, "Overlay with measurements", "pictures", _PNG, "_measured.png"),
        File(DISAGREEMENT, "Where the members disagree", "pictures", _PNG, "_disagreement.png"),
        File("bone-sizes", "Sizes of the bones", "tables", _CSV, "_bone_sizes.csv"),
        File("indices", "Indices of wrist and palm", "tables", _CSV, "_indices.csv"),
        File("gaps", "Gaps and overlaps of neighbours", "tables", _CSV, "_gaps.csv"),
        File("confidence", "Confidence", "tables", _CSV, "_confidence.csv"),
        File(RLE, "Submission, run-length codes", "masks", _CSV, "_masks.csv"),
        File(DICOM_SEG, "DICOM segmentation", "masks", "application/dicom", "_seg.dcm"),
        File("nifti", "NIfTI", "masks", "application/gzip", ".nii.gz"),
        File("seg-nrrd", "3D Slicer segmentation", "masks", "application/octet-stream", ".seg.nrrd"),
        File("polygons", "Polygons of the data set", "masks", _JSON, ".json"),
        File(COCO, "COCO", "masks", _JSON, "_coco.json"),
        File(COCO_RAM, "COCO in the classes of RAM-H1200", "masks", _JSON, "_coco_ram.json"),
        File(PNG, "A picture a bone", "masks", "application/zip", "_masks.zip"),
    )
}


def file_problem(name: str, upload: Upload, votes: Sequence[Packed]) -> str | None:
    """Return why a file cannot be made of a study, or None where it can.

    Args:
        name: its format.
        upload: the radiograph.
        votes: masks of an ensemble's members.
    """
    if name == DISAGREEMENT:
        return None if len(votes) > 1 else "needs an ensemble of several members"
    try:
        if name in FORMATS:
            check_outputs([name], [Source(upload.path, upload.name)])
    except HandsegInputError as error:
        return error.problem
    return None


def make_file(study: Study, name: str) -> bytes:
    """Return the content of a file of a study; it is made once.

    Args:
        study: whose folder is there.
        name: a key of `FILES` without a `file_problem`.

    Raises:
        HandsegInputError: it cannot be written.
    """
    path = _place(study, name)
    if not path.exists():
        if name == _MEASURED:
            _write_measured(study, path)
        elif name in _MEASURES:
            with MeasuresFolder(path.parent) as tables:
                tables.write(study.rows)
        else:
            _write_results(study, name)
    return _zipped(path) if path.is_dir() else path.read_bytes()


def _place(study: Study, name: str) -> Path:
    """Return where a file lies."""
    folder, image = study.folder / _run(name), study.upload.name
    if name in (OVERLAY, DISAGREEMENT):
        return folder / (OVERLAYS if name == OVERLAY else DISAGREEMENT) / overlay_name(image)
    if name == _MEASURED:
        return folder / "measured.png"
    if name in _MEASURES or name in _TABLES or name == RLE:
        return folder / {**_MEASURES, **_TABLES, RLE: SUBMISSION}[name]
    suffix = FORMATS[name].suffixes[0]
    return folder / MASKS / (f"{name}{suffix}" if FORMATS[name].read is None else f"{name}/{image_stem(image)}{suffix}")


def _run(name: str) -> str:
    """Return the format of the run that writes a file, which is also the name of its folder."""
    if name in _MEASURES:
        return "measures"
    return {DISAGREEMENT: OVERLAY, **dict.fromkeys(_TABLES, RLE)}.get(name, name)


def _write_results(study: Study, name: str) -> None:
    with ResultsFolder(study.folder / _run(name), study.origin, [_run(name)]) as results:
        results.write(study.upload.name, study.upload.path, study.masks(), study.votes())


def _write_measured(study: Study, path: Path) -> None:
    image = read_radiograph(study.upload.path)
    save_png(path, measures_overlay(image, measure_hand(study.masks(), image), study.scale))


def _zipped(folder: Path) -> bytes:
    """Return the files of a folder as an archive, the same bytes every time."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.iterdir()):
            archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes())
    return content.getvalue()
