"""What a segmentation takes from its radiograph: texts in one alphabet, and nothing that DICOM does not allow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.dicom.files import sensible, sop_class

if TYPE_CHECKING:
    from pydicom import Dataset, FileDataset

# All that is copied from the radiograph: the elements of type 1 and 2 of the modules Patient and General Study
# (PS3.3, C.7.1.1 and C.7.2.1), by which an archive finds the patient and the study, and what refers to the picture.
COPIED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    *("SpecificCharacterSet", "SOPInstanceUID", "SeriesInstanceUID", "Rows", "Columns", "Modality"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
# UTF-8, which has every letter of the other repertoires (PS3.3, C.12.1.1.2).
_UTF8 = "ISO_IR 192"
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_SEXES = ("M", "F", "O")

# Characters that elements hold, and each group of a person's name (PS3.5, 6.2).
_LENGTHS = {"PatientID": 64, "StudyID": 16, "AccessionNumber": 16}
_GROUP, _GROUPS = 64, 3
_LONGEST_NAME = 1000
# Directions of the columns and rows of a picture (PS3.3, C.7.6.1.1.1).
_DIRECTION = re.compile("[LRAPHF]{1,3}")
_TIME = re.compile(r"\d\d(\d\d(\d\d(\.\d{1,6})?)?)?")
# What switches alphabets (ISO 2022), of which pydicom leaves some behind when it has decoded a text.
_SWITCH = re.compile("\x1b[\x20-\x2f]+[\x30-\x7e]")
_METHOD = re.compile("[A-Z0-9_ ]{1,16}")


def reference_of(source: str | PathLike[str], header: FileDataset) -> Dataset:
    """Return a data set with no more of the radiograph's than `COPIED`, and elements of type 2 at least empty.

    What makes no sense is left out with a warning that does not repeat it.

    Args:
        source: the radiograph's file, for messages.
        header: what it holds.

    Raises:
        HandsegInputError: a UID by which a segmentation refers to the radiograph is missing or none.
    """
    from pydicom import Dataset  # noqa: PLC0415

    reference = Dataset()
    reference.SpecificCharacterSet = _UTF8
    reference.SOPClassUID = sop_class(header)
    for name in _UIDS:
        setattr(reference, name, _uid(source, header, name))
    for name in ("Rows", "Columns", "Modality"):
        setattr(reference, name, header.get(name))
    for name in ("PatientName", "ReferringPhysicianName"):
        setattr(reference, name, sensible(source, name, partial(_person, header, name)) or "")
    for name, length in _LENGTHS.items():
        setattr(reference, name, sensible(source, name, partial(_text, header, name, length)) or "")
    for name in ("PatientBirthDate", "StudyDate", "StudyTime"):
        setattr(reference, name, date_or_time(header, name))
    sex = sensible(source, "PatientSex", lambda: header.get("PatientSex"))
    reference.PatientSex = sex if sex in _SEXES else ""
    _copy_compression(reference, source, header)
    return reference


def orientation_of(header: FileDataset) -> list[str] | None:
    """Return Patient Orientation, None where it is missing or not two directions."""
    try:
        directions = [str(part) for part in _values(header, "PatientOrientation")]
    except Exception:  # broken values make pydicom raise nearly any type
        return None
    return directions if len(directions) == 2 and all(map(_DIRECTION.fullmatch, directions)) else None


def date_or_time(header: FileDataset, name: str) -> str:
    """Return an element as `YYYYMMDD` or `HHMMSS` (PS3.5, 6.2), an empty text where it is none."""
    from pydicom.valuerep import DA, TM  # noqa: PLC0415

    try:
        value = header.get(name)
        if name.endswith("Date"):
            day = DA(value)
            return "" if day is None else f"{day.year:04}{day.month:02}{day.day:02}"
        time = str(value or "").replace(":", "").strip()  # files of before DICOM have colons
        return time if TM(time) is not None and _TIME.fullmatch(time) else ""
    except Exception:  # broken values make pydicom raise nearly any type
        return ""


def _uid(source: str | PathLike[str], header: FileDataset, name: str) -> str:
    from pydicom.uid import UID  # noqa: PLC0415

    value = header.get(name)
    problem = f"has no {name}, by which a segmentation refers to it"
    if value and not UID(str(value)).is_valid:
        problem = f"has a {name} that is no UID, so that no segmentation can refer to it"
    elif value:
        return str(value)
    raise HandsegInputError(source, problem, "export it again")


def _text(header: FileDataset, name: str, length: int) -> str:
    """Return a text; an identifier that is too long would be another one when cut.

    Raises:
        ValueError: it is too long, several, or holds control characters.
    """
    from pydicom.valuerep import PersonName  # noqa: PLC0415

    value = header.get(name) or ""
    text = _SWITCH.sub("", str(value)).strip()
    if not isinstance(value, str | PersonName) or len(text) > length or not text.isprintable() or "\\" in text:
        raise ValueError("no text of one line")
    return text


def _person(header: FileDataset, name: str) -> str:
    """Return a person's name of up to three groups of letters, each cut to its length; see `_text`."""
    text = _text(header, name, _LONGEST_NAME)
    return "=".join(group[:_GROUP] for group in text.split("=")[:_GROUPS])


def _copy_compression(reference: Dataset, source: str | PathLike[str], header: FileDataset) -> None:
    """Tell that the picture was compressed with losses, and if both make sense by how much and how."""
    names = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
    told, ratio, method = (sensible(source, name, partial(_values, header, name)) or [] for name in names)
    if not told or told[0] not in ("00", "01"):
        return
    reference.LossyImageCompression = told[0]
    ratios = sensible(source, names[1], lambda: [f"{float(part):.6g}" for part in ratio]) or []
    if told[0] == "01" and ratios and len(ratios) == len(method) and all(map(_METHOD.fullmatch, method)):
        reference.LossyImageCompressionRatio, reference.LossyImageCompressionMethod = ratios, list(method)


def _values(header: FileDataset, name: str) -> Sequence[Any]:
    value = header.get(name)
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str | int | float) else list(value)
