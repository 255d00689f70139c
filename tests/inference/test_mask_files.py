"""Predictions in the formats of other programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.conversion import FORMATS
from handseg_bundle_common.conversion.sources import Radiographs, entries_of
from handseg_bundle_common.datasets.predictions import find_radiographs
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.inference import ResultsFolder, Source, find_sources, predict
from handseg_bundle_common.inference.mask_files import check_outputs
from handseg_bundle_common.masks import Packed

NAME = "sim29-0001/sim29-0001_L"
MASKS_OF_ONE = ("nifti", "seg-nrrd", "polygons", "png")


@pytest.fixture
def radiograph(sample_data: Path) -> Path:
    return sample_data / "DCM" / f"{NAME}.png"


@pytest.fixture
def hand(sample_data: Path) -> Packed:
    return rasterise_packed(read_annotations(sample_data / "outputs_json" / f"{NAME}.json"), 512, 512)


def test_every_format_holds_the_masks(tmp_path: Path, radiograph: Path, hand: Packed) -> None:
    with ResultsFolder(tmp_path, formats=("overlay", "rle", "coco", *MASKS_OF_ONE)) as results:
        results.write(f"{NAME}.png", radiograph, hand)
        # Files of one image are there at once, that of all when all are done.
        assert {path.name for path in (tmp_path / "masks").iterdir() if path.name[0] != "."} == set(MASKS_OF_ONE)
    places = {name: tmp_path / "masks" / name for name in MASKS_OF_ONE}
    places |= {"coco": tmp_path / "masks" / "coco.json", "rle": tmp_path}
    for name, place in places.items():
        (entry,) = entries_of(place, name, Radiographs(None))
        found = entry.read()
        np.testing.assert_array_equal(found.masks, hand)
        assert found.name == f"{NAME}.png"
    assert (tmp_path / "overlays" / f"{NAME}.png").exists()


def test_only_what_is_wanted_is_written(tmp_path: Path, radiograph: Path, hand: Packed) -> None:
    (tmp_path / "predictions.csv").write_text("of an earlier run")
    with ResultsFolder(tmp_path, formats=("coco",)) as results:
        results.write("hand.png", radiograph, hand)
    assert {path.name for path in tmp_path.iterdir()} == {"masks", "images.csv", "confidence.csv"}
    assert json.loads((tmp_path / "masks" / "coco.json").read_text())["images"][0]["file_name"] == "hand.png"


def test_an_exception_leaves_no_file_of_all_images(tmp_path: Path, radiograph: Path, hand: Packed) -> None:
    with pytest.raises(RuntimeError), ResultsFolder(tmp_path, formats=("coco", "nifti")) as results:
        results.write("hand.png", radiograph, hand)
        raise RuntimeError
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["hand.nii.gz"]


def test_results_are_no_radiographs(tmp_path: Path, radiograph: Path, hand: Packed) -> None:
    with ResultsFolder(tmp_path, formats=("nifti", "png")) as results:
        results.write("hand.png", radiograph, hand)
    (tmp_path / "hand.png").write_bytes(radiograph.read_bytes())
    assert [path.name for _, path in find_radiographs(tmp_path)] == ["hand.png"]
    assert [source.name for source in find_sources([tmp_path])] == ["hand.png"]


def test_formats_are_checked_before_anything_is_loaded(tmp_path: Path, radiograph: Path) -> None:
    for formats, message in ((["dog"], "'dog' is no format"), (["dicom-seg"], r"png: is no DICOM file"), ([], "named")):
        with pytest.raises(HandsegInputError, match=message):
            predict([radiograph], "absent", tmp_path / "out", formats=formats)
    assert not (tmp_path / "out").exists()


def test_radiographs_that_would_share_a_file_are_refused() -> None:
    sources = [Source(Path(name), name) for name in ("p1/a.png", "p2/a.png", "p1/a.tif")]
    assert check_outputs(["rle", "coco", "overlay", "rle"], sources) == ("rle", "coco", "overlay")
    assert check_outputs(["png"], sources[:2]) == ("png",)
    with pytest.raises(HandsegInputError, match=r"p1/a\.tif: has the same name as p1/a\.png but for the suffix"):
        check_outputs(["png"], sources)


def test_pictures_of_an_image_and_of_a_folder_of_its_name_stand_side_by_side(
    tmp_path: Path, radiograph: Path, hand: Packed
) -> None:
    names = ["p1/b.png", "p1.png", "p1/b/c.png"]
    assert check_outputs(["png"], [Source(Path(name), name) for name in names]) == ("png",)
    (tmp_path / "masks" / "png" / "p1").mkdir(parents=True)
    (tmp_path / "masks" / "png" / "p1" / "notes.txt").write_text("mine")
    for _ in range(2):  # a prediction is repeated as a whole
        with ResultsFolder(tmp_path, formats=("png",)) as results:
            for name in names:
                results.write(name, radiograph, hand)
        found = [entry.read() for entry in entries_of(tmp_path / "masks" / "png", "png", Radiographs(None))]
        assert sorted(image.name for image in found) == sorted(names)
        assert (tmp_path / "masks" / "png" / "p1" / "notes.txt").read_text() == "mine"
        for image in found:
            np.testing.assert_array_equal(image.masks, hand)


def test_all_formats_are_known() -> None:
    dicom = [name for name in FORMATS if name != "dicom-seg"]
    assert check_outputs(["overlay", *dicom], []) == ("overlay", *dicom)
