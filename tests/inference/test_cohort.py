"""Long runs: what is kept, what makes an image be done again, and results that are those of a run without a break."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import write_radiograph
from handseg_bundle_common.inference import Predicted, Predictor, predict

# Channel k is where the radiograph is brighter than k / 29.
CONFIG = {
    "threshold": 0.5,
    "network": {"_target_": "torch.nn.Identity"},
    "preprocessing": {"_target_": "handseg_bundle_common.transforms.inference_transforms", "image_size": 32},
    "inferer": "$lambda image, network: 20 * (image - torch.arange(29).view(1, -1, 1, 1) / 29)",
}
COUNT = 4
FORMATS = ("overlay", "rle", "nifti", "coco")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    configs = tmp_path / "tiny" / "configs"
    configs.mkdir(parents=True)
    (configs / "metadata.json").write_text("{}")
    (configs / "inference.json").write_text(json.dumps(CONFIG))
    return tmp_path / "tiny"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number in range(COUNT):
        rng = np.random.default_rng(number)
        write_radiograph(tmp_path / "images" / f"{number}.png", rng.random((40, 30)).astype(np.float32))
    return tmp_path / "images"


@pytest.fixture
def segmented(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the radiographs that went through the network."""
    names: list[str] = []
    infer = Predictor.infer

    def noted(self: Predictor, loaded: object) -> object:
        names.append(loaded.path.name)
        return infer(self, loaded)

    monkeypatch.setattr(Predictor, "infer", noted)
    yield names


def run(images: Path, bundle: Path, output: Path, **options: object) -> Predicted:
    return predict([images], str(bundle), output, **{"device": "cpu", "formats": FORMATS, **options})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("at", range(COUNT))
def test_an_interrupted_run_goes_on_and_ends_the_same(
    bundle: Path,
    images: Path,
    tmp_path: Path,
    segmented: list[str],
    monkeypatch: pytest.MonkeyPatch,
    at: int,
) -> None:
    run(images, bundle, tmp_path / "whole", probabilities=True)
    segmented.clear()
    infer = Predictor.infer

    def interrupted(self: Predictor, loaded: object) -> object:
        if loaded.path.name == f"{at}.png":
            raise KeyboardInterrupt
        return infer(self, loaded)

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "infer", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(images, bundle, tmp_path / "out", probabilities=True)
    left = contents(tmp_path / "out") if (tmp_path / "out").exists() else {}
    assert not {"predictions.csv", "images.csv", "masks/coco.json", "prediction.json"} & left.keys()
    segmented.clear()
    done = run(images, bundle, tmp_path / "out", probabilities=True)
    assert set(segmented) >= {f"{number}.png" for number in range(at, COUNT)}
    assert done.kept == COUNT - len(segmented)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_run_that_was_complete_has_nothing_to_do(
    bundle: Path, images: Path, tmp_path: Path, segmented: list[str]
) -> None:
    run(images, bundle, tmp_path / "out")
    first = contents(tmp_path / "out")
    segmented.clear()
    done = run(images, bundle, tmp_path / "out")
    assert (done.kept, segmented) == (COUNT, [])
    assert contents(tmp_path / "out") == first
    run(images, bundle, tmp_path / "out", anew=True)
    assert len(segmented) == COUNT
    assert contents(tmp_path / "out") == first


def test_an_image_is_done_again_when_it_or_its_results_have_changed(
    bundle: Path, images: Path, tmp_path: Path, segmented: list[str]
) -> None:
    output = tmp_path / "out"
    run(images, bundle, output)
    segmented.clear()
    write_radiograph(images / "0.png", np.random.default_rng(99).random((40, 30)).astype(np.float32))
    (output / "overlays" / "1.png").unlink()
    (output / "segmented" / "2.png.case").write_text("{")
    (output / "masks" / "nifti" / "3.nii.gz").unlink()
    run(images, bundle, output)
    assert segmented == [f"{number}.png" for number in range(4)]
    run(images, bundle, tmp_path / "anew")
    assert contents(output) == contents(tmp_path / "anew")


@pytest.mark.parametrize("change", ["threshold", "configuration", "formats", "probabilities"])
def test_everything_is_done_again_by_other_settings(
    bundle: Path, images: Path, tmp_path: Path, segmented: list[str], change: str
) -> None:
    run(images, bundle, tmp_path / "out", formats=("overlay", "rle"))
    segmented.clear()
    options: dict[str, object] = {"formats": ("overlay", "rle")}
    if change == "threshold":
        options["threshold"] = 0.6
    elif change == "configuration":
        (bundle / "configs" / "inference.json").write_text(json.dumps({**CONFIG, "note": 1}))
    elif change == "formats":
        options["formats"] = ("overlay", "rle", "png")
    else:
        options["probabilities"] = True
    run(images, bundle, tmp_path / "out", **options)
    assert len(segmented) == COUNT
    run(images, bundle, tmp_path / "anew", **options)
    assert contents(tmp_path / "out") == contents(tmp_path / "anew")


def test_fewer_files_are_no_reason_to_do_anything_again(
    bundle: Path, images: Path, tmp_path: Path, segmented: list[str]
) -> None:
    run(images, bundle, tmp_path / "out")
    segmented.clear()
    assert run(images, bundle, tmp_path / "out", formats=("rle",)).kept == COUNT
    assert not segmented


def test_results_of_other_images_are_no_part_of_the_tables(bundle: Path, images: Path, tmp_path: Path) -> None:
    run(images, bundle, tmp_path / "out", probabilities=True)
    (images / "0.png").unlink()
    run(images, bundle, tmp_path / "out", probabilities=True)
    run(images, bundle, tmp_path / "anew", probabilities=True)
    left = contents(tmp_path / "out")
    for name in ("predictions.csv", "images.csv", "confidence.csv", "masks/coco.json"):
        assert left[name] == contents(tmp_path / "anew")[name]
    assert "probabilities/0.png.npz" not in left


def test_an_image_that_has_become_bad_leaves_nothing(bundle: Path, images: Path, tmp_path: Path) -> None:
    run(images, bundle, tmp_path / "out", formats=("overlay", "rle"))
    (images / "1.png").write_bytes(b"broken")
    done = run(images, bundle, tmp_path / "out", formats=("overlay", "rle"))
    assert [failure.name for failure in done.failures] == ["1.png"]
    assert not [name for name in contents(tmp_path / "out") if "1.png" in name]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_may_not_be_read_is_listed(bundle: Path, images: Path, tmp_path: Path) -> None:
    (images / "1.png").chmod(0)
    done = run(images, bundle, tmp_path / "out")
    assert [failure.name for failure in done.failures] == ["1.png"]


def test_a_result_that_cannot_be_written_ends_the_run(bundle: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "overlays").write_text("a file where a folder should be")
    with pytest.raises(HandsegInputError, match="overlays: cannot be written"):
        run(images, bundle, tmp_path / "out")
    assert not (tmp_path / "out" / "predictions.csv").exists()


def write_dicom(path: Path, study: str) -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3.4"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.Modality = study, "1.2.3.5", "DX"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 40, 30, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = np.random.default_rng(0).integers(0, 256, 1200, np.uint8).tobytes()
    dataset.save_as(path, enforce_file_format=True)


def test_a_radiograph_without_a_possible_segmentation_is_a_failure_of_its_own(bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("highdicom", reason="DICOM segmentations (pip install 'handseg[dicom]')")
    (tmp_path / "images").mkdir()
    for number, stem in enumerate("abc"):
        write_dicom(tmp_path / "images" / f"{stem}.dcm", study="" if stem == "b" else f"1.2.{number}")
    done = run(tmp_path / "images", bundle, tmp_path / "out", formats=("nifti", "rle", "dicom-seg"))
    (failure,) = done.failures
    assert failure.name == "b.dcm"
    assert "has no StudyInstanceUID, by which a segmentation refers to it" in failure.sentence
    assert "b.dcm" in (tmp_path / "out" / "failures.csv").read_text()
    for kind, suffix in (("nifti", ".nii.gz"), ("dicom-seg", ".dcm")):
        names = [path.name for path in sorted((tmp_path / "out" / "masks" / kind).iterdir())]
        assert names == [f"a{suffix}", f"c{suffix}"]
    assert "b.dcm" not in (tmp_path / "out" / "predictions.csv").read_text()
