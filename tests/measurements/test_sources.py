"""Radiographs and masks find each other by name, and only by that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import write_annotations
from handseg_bundle_common.formats.radiograph import write_radiograph
from handseg_bundle_common.formats.rle import SubmissionWriter
from handseg_bundle_common.masks import pack_masks
from handseg_bundle_common.measurements.sources import annotated_sources, predicted_sources

SIZE = (24, 30)
MASKS = np.random.default_rng(0).random((NUM_BONES, *SIZE)) > 0.6
IMAGES = ("a/one.png", "b/two.png", "b/three.png", "overlays/one.png", "c/two.png")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in IMAGES:
        write_radiograph(tmp_path / "images" / name, np.zeros(SIZE, np.float32))
    return tmp_path / "images"


def predict(folder: Path, *names: str) -> Path:
    with SubmissionWriter(folder / "predictions.csv") as submission:
        for name in names:
            submission.write(name, MASKS)
    return folder


def test_predictions_find_their_images_by_name_or_path(tmp_path: Path, images: Path) -> None:
    results = predict(tmp_path / "results", "one.png", "b/two.png", "images/b/three.png")
    for predictions in (results, results / "predictions.csv"):
        sources = predicted_sources(predictions, images)
        assert [source.image.relative_to(images).as_posix() for source in sources] == [
            "a/one.png",
            "b/two.png",
            "b/three.png",
        ]
        np.testing.assert_array_equal(sources[0].masks(*SIZE), pack_masks(MASKS))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("four.png", "has 'four.png', which .* does not hold"),
        ("a/two.png", "has 'a/two.png', which .* does not hold"),
        ("two.png", "holds .two.png. 2 times, .* or predict with --keep-folders"),
    ],
)
def test_images_that_are_not_there_or_in_doubt_are_refused(tmp_path, images, name, problem) -> None:
    with pytest.raises(HandsegInputError, match=problem):
        predicted_sources(predict(tmp_path, name), images)


@pytest.mark.parametrize("folder", ["images/overlays", "drawn"])
def test_drawn_pictures_are_no_radiographs(tmp_path: Path, images: Path, folder: str) -> None:
    write_radiograph(tmp_path / "drawn/disagreement/one.png", np.zeros(SIZE, np.float32))
    with pytest.raises(HandsegInputError, match="pictures that handseg drew, not radiographs; name the folder of"):
        predicted_sources(predict(tmp_path, "one.png"), tmp_path / folder)


def test_of_two_formats_the_suffix_tells_which(tmp_path: Path, images: Path) -> None:
    write_radiograph(images / "a/one.tif", np.zeros(SIZE, np.float32))
    (source,) = predicted_sources(predict(tmp_path, "one.png"), images)
    assert source.image.name == "one.png"
    with pytest.raises(HandsegInputError, match=r"holds one.png and one.tif, and either may be 'one.jpg'; keep one"):
        predicted_sources(predict(tmp_path, "one.jpg"), images)


def test_masks_of_other_pictures_are_refused(tmp_path: Path, images: Path) -> None:
    results = predict(tmp_path, "one.png")
    (results / "images.csv").write_text("image_name,height,width\none.png,48,60\n")
    with pytest.raises(HandsegInputError, match="is of 30 x 24 px, but what was segmented of 60 x 48"):
        predicted_sources(results, images)


def test_a_run_beyond_the_picture_is_refused(tmp_path: Path, images: Path) -> None:
    (source,) = predicted_sources(predict(tmp_path, "one.png"), images)
    with pytest.raises(HandsegInputError, match=r"one.png, finger-1: .* ends beyond the 10 x 10 pixels"):
        source.masks(10, 10)


def test_a_submission_without_images_is_refused(tmp_path: Path, images: Path) -> None:
    with pytest.raises(HandsegInputError, match="holds no image"):
        predicted_sources(predict(tmp_path), images)


def test_labels_are_rasterised(sample_data: Path) -> None:
    sources = annotated_sources(sample_data)
    assert len(sources) == 8
    assert {source.name for source in sources} == {path.name for path in sample_data.glob("DCM/*/*.png")}
    assert np.bitwise_or.reduce(sources[0].masks(512, 512), axis=None) == 2**NUM_BONES - 1


def test_labels_need_polygons(images: Path) -> None:
    with pytest.raises(HandsegInputError, match="without polygons"):
        annotated_sources(images)


def test_labelled_images_of_one_name_are_named_by_their_paths(tmp_path: Path) -> None:
    for name in ("a/left", "b/left", "b/deep/left", "b/right"):
        write_radiograph(tmp_path / "DCM" / f"{name}.png", np.zeros(SIZE, np.float32))
        write_annotations(tmp_path / "outputs_json" / f"{name}.json", {})
    sources = {source.name: source.image for source in annotated_sources(tmp_path)}
    assert set(sources) == {"a/left.png", "b/left.png", "b/deep/left.png", "right.png"}
    assert all(image.as_posix().endswith(f"/{name}") for name, image in sources.items())
