"""Uploads that cannot be used: a sentence, a 4xx, nothing left behind, and a server that goes on."""

from __future__ import annotations

import gzip
import struct
import tempfile
import tracemalloc
import zlib
from pathlib import Path

import nibabel as nib
import pytest

from .conftest import MOST_BYTES, NAME, as_dicom

pydicom = pytest.importorskip("pydicom", reason="DICOM (pip install pydicom)")


@pytest.fixture(autouse=True)
def _alive(served, radiograph):
    """Whatever is sent, nothing is left of it when it was refused, and the next radiograph is segmented."""
    before = served.folders()
    yield
    assert served.folders() == before
    answer = served.send(radiograph.read_bytes(), NAME)
    assert answer.status_code == 201
    served.client.delete(f"/api/studies/{answer.json()['id']}")


def refused(answer, status=422):
    """Return what, why and remedy of a refusal, in which no path of the server stands."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error.keys() == {"what", "why", "remedy"}
    assert all(error.values())
    assert tempfile.gettempdir() not in answer.text
    return error


def test_an_empty_file_is_refused(served):
    assert refused(served.send(b"", "hand.png")) == {
        "what": "hand.png",
        "why": "is empty",
        "remedy": "copy or export it again",
    }


def test_what_is_no_picture_is_refused(served):
    for name in ("hand.png", "hand.dcm", "hand.nii", "hand.tif"):
        refused(served.send(b"Dear radiologist, " * 40, name))
    assert "unsupported suffix" in refused(served.send(b"Dear radiologist", "letter.txt"))["why"]
    refused(served.send(b"Dear radiologist", ""))


def test_truncated_pictures_are_refused(served, radiograph):
    content = radiograph.read_bytes()
    for share in (0.02, 0.5, 0.98):
        refused(served.send(content[: int(len(content) * share)], NAME))


def test_truncated_dicom_is_refused(served, radiograph, tmp_path):
    content = as_dicom(radiograph, tmp_path / "hand.dcm").read_bytes()
    for share in (0.005, 0.02, 0.5):
        refused(served.send(content[: int(len(content) * share)], "hand.dcm"))


def test_two_frames_are_refused(served, radiograph, tmp_path):
    path = as_dicom(radiograph, tmp_path / "hand.dcm")
    dataset = pydicom.dcmread(path)
    dataset.NumberOfFrames, dataset.PixelData = 2, 2 * dataset.PixelData
    dataset.save_as(path)
    assert "2 frames" in refused(served.send(path.read_bytes(), "hand.dcm"))["why"]


def test_a_picture_of_too_many_pixels_is_refused(served):
    def chunk(kind, content):
        return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))

    header = struct.pack(">LLBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    parts = {b"IHDR": header, b"IDAT": zlib.compress(bytes(1000)), b"IEND": b""}
    content = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts.items())
    assert "pixels" in refused(served.send(content, "wide.png"))["why"]


def bomb_of_dicom(radiograph: Path, path: Path) -> bytes:
    """A deflated file of a few hundred kB that unfolds to 200 MB before its pixels."""
    dataset = pydicom.dcmread(as_dicom(radiograph, path))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.add_new(0x00091001, "OB", bytes(200_000_000))
    dataset.save_as(path)
    return path.read_bytes()


def bomb_of_nifti(*_: Path) -> bytes:
    """A gzip file of a few hundred kB whose header promises 400 MB."""
    header = nib.Nifti1Header()
    header.set_data_shape((20_000, 20_000, 1))
    header.set_data_dtype("u1")
    return gzip.compress(header.binaryblock + bytes(200_000_000), 6)


@pytest.mark.parametrize(("make", "name"), [(bomb_of_dicom, "bomb.dcm"), (bomb_of_nifti, "bomb.nii.gz")])
def test_bombs_are_refused_in_little_memory(served, radiograph, tmp_path, make, name):
    content = make(radiograph, tmp_path / name)
    assert len(content) < MOST_BYTES
    tracemalloc.start()
    answer = served.send(content, name)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    refused(answer)
    assert most < 80 * 2**20


def test_long_uploads_are_refused_whether_they_tell_their_length_or_not(served):
    assert refused(served.send(bytes(MOST_BYTES), "hand.png"), 413)["why"] == "is larger than 1 MiB"
    start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="hand.png"\r\n\r\n'

    def stream():
        yield start
        for _ in range(20):
            yield bytes(2**16)

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(served.client.post("/api/studies", content=stream(), headers=kind), 413)


def test_forms_that_are_none_are_refused(served):
    refused(served.client.post("/api/studies"))
    refused(served.client.post("/api/studies", data={"file": "text"}))
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(served.client.post("/api/studies", content=b"--y\r\nnonsense", headers=kind), 400)
    refused(served.client.post("/api/studies", content=b"{", headers={"Content-Type": "application/json"}))


def test_parameters_that_are_none_are_refused(served, radiograph):
    content = radiograph.read_bytes()
    for spacing in ("0", "-1", "nan", "inf", "wide", "3"):
        assert refused(served.send(content, NAME, spacing_mm=spacing))["what"] == "spacing_mm"
    for bundle in ("absent", "", "../bundles/effisegnet", "/etc", "effisegnet/"):
        error = refused(served.send(content, NAME, bundle=bundle), 404)
        assert error["remedy"] == "choose among effisegnet, unetplusplus, ensemble"
