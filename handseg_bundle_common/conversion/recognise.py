"""Which format a file or folder is in, by its content, and which one a name asks for."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from handseg_bundle_common.conversion.kinds import COCO, DICOM_SEG, FORMATS, NIFTI, PNG, RLE
from handseg_bundle_common.datasets.lists import find_files
from handseg_bundle_common.datasets.predictions import SUBMISSION
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json
from handseg_bundle_common.formats.coco import MAX_BYTES
from handseg_bundle_common.formats.dicom import is_dicom, is_dicom_seg
from handseg_bundle_common.formats.nifti import is_nifti_masks
from handseg_bundle_common.formats.nifti_picture import read_nifti_size
from handseg_bundle_common.formats.png_stack import is_png_stack
from handseg_bundle_common.formats.seg_nrrd import is_seg_nrrd

# Files beside masks that handseg writes.
_BESIDE = frozenset({"prediction.json", "simulation.json"})
_NAME_IT = f"add --from with one of {', '.join(FORMATS)}"


def format_of(path: str | PathLike[str]) -> str:
    """Return the name of the format of a file or folder that is there.

    Raises:
        HandsegInputError: it is missing, holds no masks, or masks in several formats.
    """
    root = Path(path)
    if root.is_dir():
        return _format_of_folder(root)
    if not root.is_file():
        raise HandsegInputError(path, "is not there", "check the path")
    found = _format_of_file(root)
    if found is None:
        raise HandsegInputError(path, "is in no format of masks that is known", _NAME_IT)
    return found


def format_of_name(path: str | PathLike[str]) -> str:
    """Return the name of the format that a file to be written asks for by its suffix.

    Raises:
        HandsegInputError: it asks for none or for several.
    """
    fits = [name for name in FORMATS if has_suffix(path, name)]
    if len(fits) != 1:
        problem = f"may be {' or '.join(fits)}" if fits else "does not tell its format"
        raise HandsegInputError(path, problem, f"add --to with one of {', '.join(fits or FORMATS)}")
    return fits[0]


def has_suffix(path: str | PathLike[str], name: str) -> bool:
    """Tell whether a path ends as files of a format do."""
    lower = Path(path).name.lower()
    return any(suffix and lower.endswith(suffix) and lower != suffix for suffix in FORMATS[name].suffixes)


def suffix_of(path: Path, name: str) -> str:
    """Return how a path ends among the suffixes of a format, as it is written; empty if it does not."""
    lower = path.name.lower()
    length = next((len(suffix) for suffix in FORMATS[name].suffixes if suffix and lower.endswith(suffix)), 0)
    return path.name[len(path.name) - length :]


def mask_files(folder: str | PathLike[str], name: str) -> list[Path]:
    """Return the files below a folder that have the suffix of a format, or folders with pictures of bones, sorted.

    Raises:
        HandsegInputError: the folder is missing.
    """
    if name == PNG:
        pictures = find_files(folder, lambda path: path.suffix.lower() == ".png")
        return [parent for parent in sorted({picture.parent for picture in pictures}) if is_png_stack(parent)]
    holds = {DICOM_SEG: _may_be_dicom_seg, NIFTI: _may_be_nifti_masks}.get(name, lambda _: True)
    return [file for file in candidates(folder, name) if holds(file)]


def candidates(folder: str | PathLike[str], name: str) -> list[Path]:
    """Return the files below a folder that may be of a format by their names, and DICOM files of any name, sorted.

    Raises:
        HandsegInputError: the folder is missing.
    """
    if name == DICOM_SEG:  # which archives name as they like
        return find_files(folder, lambda path: has_suffix(path, name) or is_dicom(path))
    return find_files(folder, lambda path: has_suffix(path, name) and path.name not in _BESIDE)


def _may_be_dicom_seg(path: Path) -> bool:
    """Leave out radiographs, but no broken file, which is refused when it is read."""
    return is_dicom_seg(path) or not is_dicom(path)


def _may_be_nifti_masks(path: Path) -> bool:
    """Leave out radiographs, but no broken file and no masks of other bones, which are refused when they are read."""
    if is_nifti_masks(path):
        return True
    try:
        read_nifti_size(path)
    except HandsegInputError:
        return True
    return False


def _format_of_folder(folder: Path) -> str:
    if Path(folder, SUBMISSION).is_file():
        return RLE
    found = set(_formats_below(folder))
    if len(found) > 1:
        raise HandsegInputError(folder, f"holds masks as {' and as '.join(sorted(found))}", _NAME_IT)
    if not found:
        raise HandsegInputError(folder, "holds no masks in a format that is known", _NAME_IT)
    return found.pop()


def _formats_below(folder: Path) -> Iterable[str]:
    """Yield the formats of the files below a folder; of the files of one suffix, the first that holds masks decides."""
    if mask_files(folder, PNG):
        yield PNG
    known: dict[str, bool] = {}
    for file in find_files(folder, lambda path: path.name not in _BESIDE):
        suffix = ".dcm" if is_dicom(file) else file.suffix.lower().replace(".gz", ".nii")
        if suffix not in _SUFFIXES:
            continue
        if not known.get(suffix):
            found = _format_of_file(file)
            known[suffix] = found is not None
            if found is not None:
                yield found


def _format_of_file(path: Path) -> str | None:
    if is_seg_nrrd(path):
        return "seg-nrrd"
    if is_dicom(path):
        return DICOM_SEG if is_dicom_seg(path) else None
    if has_suffix(path, NIFTI):
        return NIFTI if is_nifti_masks(path) else None
    if has_suffix(path, RLE):
        return RLE
    if has_suffix(path, COCO):
        document = read_json(path, "check the path, or split it by images", MAX_BYTES)
        keys = document.keys() if isinstance(document, dict) else ()
        return COCO if "images" in keys else "polygons" if "annotations" in keys else None
    return None


# Tables of several kinds stand beside predictions, so of those only one name counts.
_SUFFIXES = frozenset(
    Path(f"x{suffix}").suffix for entry in FORMATS.values() for suffix in entry.suffixes if suffix not in ("", ".csv")
)
