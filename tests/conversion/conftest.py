"""Shared fixtures: DICOM radiographs to which segmentations refer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian


def _write(path: Path, size: tuple[int, int], spacing: tuple[float, float] | None = None) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3.4"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.Modality = "1.2.3", "1.2.3.5", "DX"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = *size, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    if spacing is not None:
        dataset.PixelSpacing = list(spacing)
    content = np.arange(size[0] * size[1], dtype=np.uint32).astype(np.uint8).tobytes()
    dataset.PixelData = content + bytes(len(content) % 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(scope="session")
def write_dicom() -> Callable[..., Path]:
    """Write a DICOM radiograph: its path, size (H, W) and perhaps spacing of rows and columns in mm."""
    return _write
