"""Shared fixtures: DICOM radiographs as pydicom writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

DX = "1.2.840.10008.5.1.4.1.1.1.1"


def radiograph(levels: np.ndarray, **elements: Any) -> Dataset:
    """Return a DX image of levels (H, W) or (H, W, 3), with elements by their keywords; None takes one out."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = DX, "1.2.3.4"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.5"
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "7"
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "F"
    dataset.StudyDate, dataset.StudyTime, dataset.Modality = "20240102", "101500", "DX"
    dataset.Rows, dataset.Columns = levels.shape[:2]
    dataset.SamplesPerPixel = 1 if levels.ndim == 2 else 3
    if levels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "MONOCHROME2" if levels.ndim == 2 else "RGB"
    dataset.BitsAllocated = dataset.BitsStored = 8 * levels.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(levels.dtype.kind == "i")
    dataset.PixelData = levels.tobytes()
    for name, value in elements.items():
        setattr(dataset, name, value)
        if value is None:
            delattr(dataset, name)
    return dataset


@pytest.fixture
def write_radiograph_dicom(tmp_path: Path) -> Callable[..., Path]:
    """Write levels (H, W) as a DICOM radiograph `x.dcm`, or under another `name`; elements by their keywords."""

    def write(levels: np.ndarray, name: str = "x.dcm", **elements: Any) -> Path:
        path = tmp_path / name
        radiograph(levels, **elements).save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture(scope="session")
def dicom_radiograph() -> Callable[..., Dataset]:
    """Make a data set of levels (H, W), to be changed and written by the test."""
    return radiograph
