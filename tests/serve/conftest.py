"""A running application over a small radiograph, and what the command line makes of the same file."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason='the local page (pip install "handseg[serve]")')
import uvicorn
from starlette.testclient import TestClient

from handseg_bundle_common.inference import predict
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.serve import Limits, create_app
from handseg_bundle_common.serve.server import configuration, listen

ADDRESS = "http://127.0.0.1:8000"
NAME = "sim29-0003_R.png"
MOST_BYTES = 2**20


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Served:
    """A running application and the ways into it."""

    client: TestClient
    clock: Clock
    temporary: Path

    def folders(self) -> set[str]:
        """Return the ids of the studies whose folders are there."""
        return {path.name for path in self.temporary.glob("handseg-serve-*/*") if path.is_dir()}

    def send(self, content: bytes, name: str, **parameters: Any) -> Any:
        """Send a file as a browser's form does."""
        return self.client.post("/api/studies", params=parameters, files={"file": (name, content)})


@pytest.fixture(scope="session")
def radiograph(sample_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hand of 256 px, which takes a tenth of a second."""
    path = tmp_path_factory.mktemp("radiograph") / NAME
    Image.open(sample_data / "DCM" / "sim29-0003" / NAME).resize((256, 256), Image.Resampling.BILINEAR).save(path)
    return path


@pytest.fixture(scope="session")
def folders(repository: Path) -> dict[str, str]:
    return {name: str(repository / "bundles" / name) for name in ("effisegnet", "unetplusplus", "ensemble")}


@pytest.fixture(scope="session")
def served(folders: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    clock, temporary = Clock(), tmp_path_factory.mktemp("studies")
    app = create_app(folders, device="cpu", limits=Limits(upload_bytes=MOST_BYTES, studies=6), clock=clock)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(temporary))
        with TestClient(app, base_url=ADDRESS) as client:
            patch.undo()
            yield Served(client, clock, temporary)


@pytest.fixture(scope="session")
def predicted(radiograph: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `handseg predict` writes of the radiograph in every format that needs no DICOM."""
    output = tmp_path_factory.mktemp("predicted")
    formats = ("overlay", "rle", "nifti", "seg-nrrd", "polygons", "coco", "coco-ram", "png")
    predict([radiograph], "effisegnet", output, device="cpu", formats=formats)
    return output


@pytest.fixture
def study(served: Served, radiograph: Path) -> dict[str, Any]:
    """A study of the radiograph by the default bundle."""
    answer = served.send(radiograph.read_bytes(), NAME)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def decode(answer: dict[str, Any]) -> list[Any]:
    """Decode masks number by number, as the description of the interface tells, one array a bone."""
    masks = []
    for code in answer["masks"].values():
        pixels = np.zeros(answer["height"] * answer["width"], bool)
        numbers = [int(number) for number in code.split()]
        for start, length in zip(numbers[::2], numbers[1::2], strict=True):
            for pixel in range(start, start + length):
                pixels[pixel - 1] = True
        masks.append(pixels.reshape(answer["height"], answer["width"]))
    return masks


@pytest.fixture(scope="session")
def masks_of(served: Served) -> Callable[[dict[str, Any]], list[Any]]:
    return lambda study: decode(served.client.get(f"/api/studies/{study['id']}/masks").json())


@pytest.fixture(scope="session")
def expected(predicted: Path) -> Packed:
    """The masks that `handseg predict` wrote, read from its submission."""
    from handseg_bundle_common.formats.rle import decode_packed, read_submission  # noqa: PLC0415

    return decode_packed(read_submission(predicted / "predictions.csv")[NAME].values(), 256, 256)


@pytest.fixture(scope="session")
def address(folders: dict[str, str]) -> Iterator[str]:
    """The page on a real port."""
    app = create_app(folders, device="cpu", limits=Limits(upload_bytes=MOST_BYTES))
    server = uvicorn.Server(configuration(app))
    with listen(0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def as_dicom(radiograph: Path, path: Path) -> Path:
    """Write a picture as a computed radiograph of a left hand with pixels of 0.25 mm."""
    pydicom = pytest.importorskip("pydicom", reason="DICOM (pip install pydicom)")
    from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid  # noqa: PLC0415

    grey = np.asarray(Image.open(radiograph).convert("L"))
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComputedRadiographyImageStorage, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientName, dataset.PatientID, dataset.Modality = "Nobody", "1", "CR"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.StudyDate, dataset.StudyTime = "", "", "", ""
    dataset.AccessionNumber, dataset.ReferringPhysicianName, dataset.StudyID = "", "", ""
    dataset.Rows, dataset.Columns = grey.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.ImagerPixelSpacing, dataset.ImageLaterality = [0.25, 0.25], "L"
    dataset.PixelData = grey.tobytes()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path
