"""Data lists: images and polygons of a folder, paired and named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from handseg_bundle_common import datasets, resources
from handseg_bundle_common.datasets import (
    data_list,
    find_images,
    image_list,
    sample_dir,
    sample_folds,
)
from handseg_bundle_common.errors import HandsegInputError

EXPECTED_LAYOUT = r"lay the images in DCM/<patient>/<image>\.png and the polygons in outputs_json/<patient>"


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def annotated(root: Path, patients: dict[str, int]) -> Path:
    """Lay out a data set with so many images of each patient."""
    for patient, count in patients.items():
        for number in range(count):
            touch(root, f"DCM/{patient}/{patient}_{number}.png", f"outputs_json/{patient}/{patient}_{number}.json")
    return root


def test_find_images_is_sorted_and_passes_over_what_is_no_visible_image(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.PNG", "a/1.tiff", "a/5.nii.gz", "3.jpg", "a/x.json", "a/x.gz", "a/._1.png", ".cache/4.png")
    (tmp_path / "folder.png").mkdir()
    names = ("3.jpg", "a/1.tiff", "a/5.nii.gz", "b/2.PNG")
    assert find_images(tmp_path) == [tmp_path / name for name in names]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_find_images_follows_links_but_not_in_circles(tmp_path: Path) -> None:
    touch(tmp_path, "store/1.png")
    (tmp_path / "data" / "p").mkdir(parents=True)
    (tmp_path / "data" / "q").symlink_to(tmp_path / "store")
    (tmp_path / "data" / "p" / "up").symlink_to(tmp_path / "data")
    assert find_images(tmp_path / "data") == [tmp_path / "data" / "q" / "1.png"]


def test_data_list_pairs_images_and_polygons(tmp_path: Path) -> None:
    annotated(tmp_path, {"p2": 1, "p1": 2})
    items = data_list(tmp_path)
    assert [item["image_name"] for item in items] == ["p1_0.png", "p1_1.png", "p2_0.png"]
    assert items[0] == {
        "image": str(tmp_path / "DCM/p1/p1_0.png"),
        "label": str(tmp_path / "outputs_json/p1/p1_0.json"),
        "image_name": "p1_0.png",
        "patient": "p1",
    }


def test_data_list_takes_nii_gz_for_one_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "DCM/p/1.nii.gz", "DCM/p/1.5.nii", "outputs_json/p/1.json", "outputs_json/p/1.5.json")
    labels = {item["image_name"]: Path(item["label"]).name for item in data_list(tmp_path)}
    assert labels == {"1.nii.gz": "1.json", "1.5.nii": "1.5.json"}


def test_data_list_makes_relative_paths_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    annotated(tmp_path / "data", {"p1": 1})
    monkeypatch.chdir(tmp_path)
    assert data_list("data") == data_list(tmp_path / "data")
    assert Path(data_list("data")[0]["label"]).is_absolute()


@pytest.mark.parametrize(
    ("image", "patient"),
    [("DCM/p1/x.png", "p1"), ("p1/x.jpg", "p1"), ("p1/study/x.png", "p1"), ("x.png", "test")],
    ids=["the data set's test tree", "folders", "folders in folders", "one folder"],
)
def test_images_alone_have_no_label(tmp_path: Path, image: str, patient: str) -> None:
    root = touch(tmp_path / "test", image)
    assert data_list(root) == [{"image": str(root / image), "image_name": Path(image).name, "patient": patient}]


def test_image_list_keeps_the_order_of_the_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert image_list(["q/2.png", tmp_path / "p" / "1.png"]) == [
        {"image": str(tmp_path / "q/2.png"), "image_name": "2.png", "patient": "q"},
        {"image": str(tmp_path / "p/1.png"), "image_name": "1.png", "patient": "p"},
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (None, rf"data: is not a folder; {EXPECTED_LAYOUT}"),
        ([], rf"data: holds no image \(\.png, .*\); {EXPECTED_LAYOUT}"),
        (["DCM/p/x.txt"], rf"DCM: holds no image \(\.png, .*\); {EXPECTED_LAYOUT}"),
        (["outputs_json/p/x.json"], rf"DCM: is not a folder; {EXPECTED_LAYOUT}"),
        (
            ["DCM/p/b.png", "DCM/p/a.png", "DCM/p/c.png", "outputs_json/p/c.json"],
            r"data: images without polygons in outputs_json: 2, p/a first; add the missing files",
        ),
        (
            ["DCM/p/a.png", "outputs_json/p/a.json", "outputs_json/q/a.json"],
            r"data: polygon files without an image in DCM: 1, q/a first; add the missing files",
        ),
        (
            ["DCM/p/a.png", "DCM/p/a.jpg", "outputs_json/p/a.json"],
            r"data: two images in DCM are named p/a; keep one of them",
        ),
    ],
    ids=["missing", "empty", "no image", "no DCM", "no polygons", "no image of polygons", "two images of a name"],
)
def test_bad_data(tmp_path: Path, names: list[str] | None, message: str) -> None:
    if names is not None:
        (tmp_path / "data").mkdir()
        touch(tmp_path / "data", *names)
    with pytest.raises(HandsegInputError, match=message):
        data_list(tmp_path / "data")


def test_sample_lies_in_the_repository_or_else_in_the_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "REPOSITORY", tmp_path / "repository")
    monkeypatch.setattr(resources, "INSTALLED", tmp_path / "share")
    with pytest.raises(HandsegInputError, match=r"data/sample: is neither in .*repository nor in .*share; name"):
        sample_dir()
    annotated(tmp_path / "share" / "data" / "sample", {"p1": 1})
    touch(tmp_path / "share", "data/folds/sample.json")
    assert sample_dir() == tmp_path / "share" / "data" / "sample"
    assert sample_folds() == tmp_path / "share" / "data" / "folds" / "sample.json"
    touch(tmp_path / "repository", "data/folds/sample.json")
    assert sample_folds() == tmp_path / "repository" / "data" / "folds" / "sample.json"


def test_repository_is_the_folder_of_the_package() -> None:
    package = Path(datasets.__file__).resolve().parents[1]
    assert resources.shared_path(package.name, "") == package
