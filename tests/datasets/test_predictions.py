"""Files that belong to predictions: sizes, radiographs, and what a name means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.datasets.predictions import (
    FileIndex,
    checked_size,
    find_radiographs,
    key_of,
    read_sizes,
    submission_file,
)
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import write_radiograph


def draw(path: Path) -> Path:
    write_radiograph(path, np.zeros((20, 30), np.float32))
    return path


def test_a_results_folder_stands_for_its_submission(tmp_path: Path) -> None:
    assert submission_file(tmp_path) == tmp_path / "predictions.csv"
    assert submission_file(tmp_path / "other.csv") == tmp_path / "other.csv"


def test_sizes_are_those_beside_the_submission(tmp_path: Path) -> None:
    submission = tmp_path / "predictions.csv"
    assert read_sizes(submission) == {}
    (tmp_path / "images.csv").write_text("image_name,height,width,side\na.png,20,30,L\n")
    assert read_sizes(submission) == {"a.png": (20, 30)}
    assert read_sizes(tmp_path / "renamed.csv") == {"a.png": (20, 30)}
    (tmp_path / "other.images.csv").write_text("image_name,height,width\na.png,40,50\n")
    assert read_sizes(tmp_path / "other.csv") == {"a.png": (40, 50)}
    (tmp_path / "images.csv").write_text("image_name,rows\na.png,20\n")
    with pytest.raises(HandsegInputError, match="tells no sizes of images"):
        read_sizes(submission)


def test_a_radiograph_has_the_size_that_was_segmented(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png")
    assert checked_size(path, None) == checked_size(path, (20, 30)) == (20, 30)
    with pytest.raises(HandsegInputError, match="is of 30 x 20 px, but what was segmented of 30 x 40"):
        checked_size(path, (40, 30))


def test_radiographs_have_keys_and_drawn_pictures_are_passed_over(tmp_path: Path) -> None:
    path = draw(tmp_path / "p/a.png")
    draw(tmp_path / "overlays/a.png")
    draw(tmp_path / "measured/a.png")
    draw(tmp_path / "run/disagreement/p/a.png")
    assert find_radiographs(tmp_path) == [(("p", "a"), path)]
    inner = draw(tmp_path / "DCM/q/b.png")
    assert find_radiographs(tmp_path) == [(("q", "b"), inner)]
    with pytest.raises(HandsegInputError, match="holds pictures that handseg drew, not radiographs"):
        find_radiographs(tmp_path / "run")
    with pytest.raises(HandsegInputError, match="is not a folder; name the folder of the radiographs"):
        find_radiographs(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.png", "p/a.png"),
        ("p/a.png", "p/a.png"),
        ("far/off/p/a.jpg", "p/a.png"),
        ("q/a.png", None),
        ("c.nii.gz", "q/c.nii.gz"),
        ("c.tif", "q/c.tif"),
        ("q/b.png", "q/b.png"),
    ],
)
def test_a_name_means_the_file_whose_path_ends_like_it(name: str, found: str | None) -> None:
    files = ("p/a.png", "p/b.png", "q/b.png", "q/c.tif", "q/c.nii.gz")
    file = FileIndex("images", [(key_of(path), Path(path)) for path in files]).find(key_of(name), name)
    assert (file and file[1].as_posix()) == found


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("b.png", r"images: holds 'b.png' 2 times, first as p/b and q/b; name a folder that holds it once"),
        ("c.jpg", r"images: holds c.tif and c.png, and either may be 'c.jpg'; keep one of them"),
    ],
)
def test_a_name_that_may_mean_two_files_is_refused(name: str, message: str) -> None:
    files = ("p/b.png", "q/b.png", "q/c.tif", "q/c.png")
    index = FileIndex("images", [(key_of(path), Path(path)) for path in files])
    with pytest.raises(HandsegInputError, match=message):
        index.find(key_of(name), name)
