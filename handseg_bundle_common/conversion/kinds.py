"""The formats of masks: what their files are called, how one is read and written, and what it cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.coco_categories import merged_loss
from handseg_bundle_common.formats.dicom import is_dicom_seg
from handseg_bundle_common.formats.dicom.seg_codes import UNKNOWN_ORIGIN
from handseg_bundle_common.formats.mask_image import MaskImage, Size
from handseg_bundle_common.formats.nifti import SUFFIXES as NIFTI_SUFFIXES
from handseg_bundle_common.formats.nifti import float32_spacing, is_nifti_masks, read_nifti_masks, write_nifti
from handseg_bundle_common.formats.png_stack import has_png_stack, read_png_stack, write_png_stack
from handseg_bundle_common.formats.polygons import read_polygons, write_polygons
from handseg_bundle_common.formats.radiograph import has_radiograph_suffix, radiograph_stem
from handseg_bundle_common.formats.seg_nrrd import SUFFIXES as NRRD_SUFFIXES
from handseg_bundle_common.formats.seg_nrrd import read_seg_nrrd, write_seg_nrrd

RLE, COCO, COCO_RAM, DICOM_SEG, NIFTI, PNG = "rle", "coco", "coco-ram", "dicom-seg", "nifti", "png"

_NO_SPACING = "the spacing, for which there is no place"


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: what it is called on the command line.
        suffixes: how its files end, that of new ones first; an empty one means a folder.
        read: reads the file of one image of a size, which may be unknown; None where one file holds all images.
        write: writes the file of one image whose radiograph may be known.
        losses: what the format cannot hold of an image, as sentences without a full stop.
        exists: tells whether a file of the format is there, complete.
        is_own: tells whether a file that is there holds masks, where radiographs have the same suffix.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, Size | None], MaskImage] | None
    write: Callable[[Path, MaskImage, Path | None], None] | None
    losses: Callable[[MaskImage], tuple[str, ...]] = lambda _: ()
    exists: Callable[[Path], bool] = Path.is_file
    is_own: Callable[[Path], bool] = lambda _: True


def check_formats(names: Iterable[str], *others: str) -> tuple[str, ...]:
    """Return names of formats, each once.

    Args:
        names: the names.
        others: names that are allowed beside those of `FORMATS`.

    Raises:
        HandsegInputError: there is none, or one is unknown.
    """
    wanted = tuple(dict.fromkeys(name.strip() for name in names))
    allowed = [*others, *(name for name in FORMATS if name not in others)]
    unknown = next((name for name in wanted if name not in allowed), None)
    if unknown is not None or not wanted:
        problem = f"{unknown!r} is no format" if unknown else "no format is named"
        raise HandsegInputError("formats", problem, f"choose among {', '.join(allowed)}")
    return wanted


def image_stem(name: str) -> str:
    """Return the last part of an image's name without the suffix of a radiograph; other dots stay."""
    last = PurePosixPath(name).name
    return radiograph_stem(last) if has_radiograph_suffix(last) else last


def _read_dicom_seg(path: Path, size: Size | None) -> MaskImage:
    from handseg_bundle_common.formats.dicom import read_dicom_seg_image  # noqa: PLC0415

    return read_dicom_seg_image(path, size)


def _write_dicom_seg(path: Path, image: MaskImage, radiograph: Path | None) -> None:
    from handseg_bundle_common.formats.dicom import write_dicom_seg  # noqa: PLC0415

    if radiograph is None:
        problem = f"needs the DICOM radiograph of {image.name!r}, to which a DICOM segmentation refers"
        raise HandsegInputError(path, problem, "name the folder of the radiographs (--images)")
    # Whether a person has drawn the masks is not known, and must not be claimed.
    write_dicom_seg(path, radiograph, image.masks, algorithm=UNKNOWN_ORIGIN)


def _spacing_lost(image: MaskImage) -> tuple[str, ...]:
    return (_NO_SPACING,) if image.spacing_mm is not None else ()


def _nifti_losses(image: MaskImage) -> tuple[str, ...]:
    is_kept = float32_spacing(image.spacing_mm) == image.spacing_mm
    return () if is_kept else ("digits of the spacing after the seventh, for readers other than handseg",)


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format(
            NIFTI,
            NIFTI_SUFFIXES,
            read_nifti_masks,
            lambda path, image, _: write_nifti(path, image),
            _nifti_losses,
            is_own=is_nifti_masks,
        ),
        Format("seg-nrrd", NRRD_SUFFIXES, read_seg_nrrd, lambda path, image, _: write_seg_nrrd(path, image)),
        Format("polygons", (".json",), read_polygons, lambda path, image, _: write_polygons(path, image)),
        Format(PNG, ("",), read_png_stack, lambda path, image, _: write_png_stack(path, image), exists=has_png_stack),
        Format(DICOM_SEG, (".dcm",), _read_dicom_seg, _write_dicom_seg, _spacing_lost, is_own=is_dicom_seg),
        Format(RLE, (".csv",), None, None, _spacing_lost),
        Format(COCO, (".json",), None, None),
        Format(COCO_RAM, (".json",), None, None, lambda image: merged_loss(image.masks)),
    )
}
