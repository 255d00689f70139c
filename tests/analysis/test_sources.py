"""Predictions and labels, matched by name, with or without radiographs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handseg_bundle_common.analysis import find_sources
from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.rle import SubmissionWriter
from handseg_bundle_common.masks import pack_masks

Masks = NDArray[np.bool_]
Write = Callable[..., Path]


def named(path: Path, *names: str) -> Path:
    with SubmissionWriter(path) as writer:
        for name in names:
            writer.write_codes(name, [""] * NUM_BONES)
    return path


@pytest.fixture
def labels(tmp_path: Path, sample_data: Path) -> Path:
    """The polygons of the sample hands, without their radiographs."""
    shutil.copytree(sample_data / "outputs_json", tmp_path / "labels" / "outputs_json")
    return tmp_path / "labels"


def test_masks_and_radiographs_of_a_data_set(submission: Write, sample_data: Path, hands: dict[str, Masks]) -> None:
    sources = find_sources(submission(), sample_data)
    assert list(sources.images) == list(hands)
    for name, masks in hands.items():
        for packed in sources.masks(name):
            np.testing.assert_array_equal(packed, pack_masks(masks))
        radiograph = sources.radiograph(name)
        assert radiograph is not None
        assert radiograph.name == name
    assert {image.patient for image in sources.images.values()} == {"sim29-0001", "sim29-0002"}


def test_what_lacks_its_counterpart_is_named(tmp_path: Path, sample_data: Path) -> None:
    sources = find_sources(named(tmp_path / "p.csv", "sim29-0001_L.png", "stranger.png"), sample_data)
    assert list(sources.images) == ["sim29-0001_L.png"]
    assert sources.unlabelled == ("stranger.png",)
    assert len(sources.unpredicted) == 7
    assert sources.unpredicted[0] == "sim29-0001/sim29-0001_R"


@pytest.mark.parametrize("name", ["sim29-0001_L.png", "sim29-0001/sim29-0001_L.png", "a/b/sim29-0001/sim29-0001_L.png"])
@pytest.mark.parametrize("folder", [".", "outputs_json", "outputs_json/sim29-0001"])
def test_names_may_have_folders_or_not(tmp_path: Path, sample_data: Path, name: str, folder: str) -> None:
    images = sample_data / "DCM"
    (image,) = find_sources(named(tmp_path / "p.csv", name), sample_data / folder, images).images.values()
    assert image.label == sample_data / "outputs_json/sim29-0001/sim29-0001_L.json"
    assert image.patient == "sim29-0001"
    assert image.radiograph == images / "sim29-0001/sim29-0001_L.png"


def test_the_polygons_folder_finds_its_radiographs(tmp_path: Path, sample_data: Path) -> None:
    sources = find_sources(named(tmp_path / "p.csv", "sim29-0001_L.png"), sample_data / "outputs_json")
    assert sources.radiograph("sim29-0001_L.png") == sample_data / "DCM/sim29-0001/sim29-0001_L.png"


def test_without_radiographs_a_table_beside_the_predictions_tells_the_size(tmp_path: Path, labels: Path) -> None:
    results = tmp_path / "results"
    named(results / "predictions.csv", "sim29-0001_L.png")
    (results / "images.csv").write_text("image_name,height,width,side\nsim29-0001_L.png,512,500,L\n")
    sources = find_sources(results, labels)
    assert sources.images["sim29-0001_L.png"].size == (512, 500)
    assert sources.radiograph("sim29-0001_L.png") is None


def test_radiographs_of_another_size_than_was_segmented_are_refused(tmp_path: Path, sample_data: Path) -> None:
    """Codes are unrolled to the picture's size, and another one would shuffle the masks without a word."""
    predictions = named(tmp_path / "predictions.csv", "sim29-0001_L.png")
    (tmp_path / "images.csv").write_text("image_name,height,width\nsim29-0001_L.png,256,256\n")
    with pytest.raises(HandsegInputError, match=r"is of 512 x 512 px, but what was segmented of 256 x 256"):
        find_sources(predictions, sample_data)


def test_an_unknown_size_is_refused(submission: Write, labels: Path) -> None:
    with pytest.raises(HandsegInputError, match=r"size of 'sim29-0001_L.png' is not known .*--images"):
        find_sources(submission(), labels)


def test_a_damaged_table_of_sizes_is_refused(tmp_path: Path, labels: Path) -> None:
    predictions = named(tmp_path / "predictions.csv", "sim29-0001_L.png")
    (tmp_path / "images.csv").write_text("image_name,height,width\nsim29-0001_L.png,tall,500\n")
    with pytest.raises(HandsegInputError, match=r"images.csv: tells no sizes of images"):
        find_sources(predictions, labels)


@pytest.mark.parametrize(
    ("names", "folder", "message"),
    [
        (["stranger.png"], ".", "none of its 1 images has a label in"),
        (
            ["sim29-0001_L.png", "x/sim29-0001/sim29-0001_L.png"],
            ".",
            "has one image twice, as 'sim29-0001_L",
        ),
        (["sim29-0001_L.png"], "nowhere", "nowhere: is not a folder"),
        (["sim29-0001_L.png"], "DCM", "DCM: holds no polygon file"),
    ],
)
def test_what_cannot_be_matched_is_refused(
    tmp_path: Path, sample_data: Path, names: list[str], folder: str, message: str
) -> None:
    with pytest.raises(HandsegInputError, match=message):
        find_sources(named(tmp_path / "p.csv", *names), sample_data / folder)


def test_a_name_that_fits_two_patients_is_refused(tmp_path: Path, labels: Path) -> None:
    original = labels / "outputs_json/sim29-0001/sim29-0001_L.json"
    shutil.copy(original, labels / "outputs_json/sim29-0002/sim29-0001_L.json")
    with pytest.raises(HandsegInputError, match=r"holds 'sim29-0001_L.png' 2 times, .*--keep-folders"):
        find_sources(named(tmp_path / "p.csv", "sim29-0001_L.png"), labels)


def test_a_folder_of_radiographs_that_is_not_there_is_refused(submission: Write, sample_data: Path) -> None:
    with pytest.raises(HandsegInputError, match="nowhere: is not a folder; name the folder of the radiographs"):
        find_sources(submission(), sample_data, "nowhere")


@pytest.mark.parametrize("folder", ["results", "results/overlays"])
def test_drawn_pictures_are_no_radiographs(tmp_path: Path, sample_data: Path, folder: str) -> None:
    predictions = named(tmp_path / "results/predictions.csv", "sim29-0001_L.png")
    (tmp_path / "results/overlays").mkdir()
    shutil.copy(sample_data / "DCM/sim29-0001/sim29-0001_L.png", tmp_path / "results/overlays")
    with pytest.raises(HandsegInputError, match="holds pictures that handseg drew, not radiographs; name the folder"):
        find_sources(predictions, sample_data, tmp_path / folder)


def test_of_two_formats_the_suffix_tells_which(tmp_path: Path, sample_data: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for suffix in ("png", "tif"):
        shutil.copy(sample_data / "DCM/sim29-0001/sim29-0001_L.png", images / f"sim29-0001_L.{suffix}")
    sources = find_sources(named(tmp_path / "p.csv", "sim29-0001_L.png"), sample_data, images)
    assert sources.radiograph("sim29-0001_L.png") == images / "sim29-0001_L.png"
    with pytest.raises(HandsegInputError, match=r"L.png and sim29-0001_L.tif, and either may be .*; keep one of them"):
        find_sources(named(tmp_path / "p.csv", "sim29-0001_L.jpg"), sample_data, images)
