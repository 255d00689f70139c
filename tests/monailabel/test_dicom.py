"""Radiographs as DICOM: from an archive that speaks DICOMweb, and sent by a client."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from dicomweb_client import DICOMwebClient
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.monailabel_app.dicomweb import DicomWebStore
from handseg_bundle_common.monailabel_app.names import UnknownNameError


def radiograph(modality: str, picture: np.ndarray) -> Dataset:
    """Return a digital radiograph with square pixels of 0.3 mm."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality, dataset.ImageLaterality = modality, "L"
    dataset.Rows, dataset.Columns = picture.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelSpacing = [0.3, 0.3]
    dataset.PixelData = picture.tobytes()
    return dataset


def as_file(dataset: Dataset) -> bytes:
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


class Archive(BaseHTTPRequestHandler):
    """As much of an archive as the store asks for: a search by modality, and single instances."""

    instances: list[Dataset]

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/instances":
            asked = parse_qs(address.query)
            is_first_page = asked.get("offset", ["0"]) == ["0"]
            found = [x for x in self.instances if x.Modality in asked["Modality"] and is_first_page]
            body = json.dumps([_uids(x) for x in found]).encode()
            kind = "application/dicom+json"
        else:
            _, _, study, _, series, _, instance = address.path.split("/")
            (found,) = [x for x in self.instances if x.SOPInstanceUID == instance]
            assert (study, series) == (found.StudyInstanceUID, found.SeriesInstanceUID)
            part = b"--part\r\nContent-Type: application/dicom\r\n\r\n"
            body = part + as_file(found) + b"\r\n--part--"
            kind = 'multipart/related; type="application/dicom"; boundary=part'
        self.send_response(200 if body != b"[]" else 204)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def _uids(dataset: Dataset) -> dict[str, object]:
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return {f"{dataset[name].tag:08X}": {"vr": "UI", "Value": [str(dataset[name].value)]} for name in names}


@pytest.fixture(scope="module")
def archive(sample_data: Path) -> Iterator[tuple[str, list[Dataset]]]:
    picture = np.asarray(Image.open(sample_data / "DCM" / "sim29-0001" / "sim29-0001_L.png").convert("L"))
    instances = [radiograph(modality, picture) for modality in ("DX", "CR", "CT", "DX")]
    handler = type("Handler", (Archive,), {"instances": instances})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", instances
    server.shutdown()


def test_digital_and_computed_radiographs_are_listed_and_fetched(archive, tmp_path):
    url, instances = archive
    store = DicomWebStore(DICOMwebClient(url), str(tmp_path), {"Modality": ["DX", "CR"]})
    ids = {f"{x.SeriesInstanceUID}/{x.SOPInstanceUID}" for x in instances if x.Modality != "CT"}
    assert set(store.list_images()) == ids
    first = f"{instances[0].SeriesInstanceUID}/{instances[0].SOPInstanceUID}"
    path = store.path_of(first)
    assert path.is_relative_to(tmp_path / "radiographs")
    expected = np.frombuffer(instances[0].PixelData, np.uint8).reshape(read_radiograph(path).shape) / 255
    np.testing.assert_allclose(read_radiograph(path), expected, atol=1e-6)
    with pytest.raises(UnknownNameError):
        store.path_of("1.2.3/4.5.6")
    with pytest.raises(HandsegInputError, match="store it in the archive"):
        store.add_image("a", str(path), {})


def test_an_archive_that_does_not_answer_is_told(tmp_path):
    store = DicomWebStore(DICOMwebClient("http://127.0.0.1:9"), str(tmp_path), {"Modality": "DX"})
    with pytest.raises(HandsegInputError, match="does not answer as an archive"):
        store.list_images()


def test_a_dicom_file_that_was_sent_is_measured_in_mm(server, archive):
    sent = {"file": ("IM0001", as_file(archive[1][0]))}
    answer = server.post("/infer/unetplusplus?output=json", files=sent)
    assert answer.status_code == 200, answer.text
    numbers = answer.json()
    assert (numbers["side"], numbers["side_from"], numbers["measurements"]["unit"]) == ("L", "dicom_tag", "mm")
