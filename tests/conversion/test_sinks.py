"""Files of converted masks beside others: nothing foreign is removed, replaced or taken for the image's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.conversion import convert
from handseg_bundle_common.conversion.sinks import open_sink
from handseg_bundle_common.conversion.sources import Radiographs, entries_of
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.masks import pack_masks


def image(name: str) -> MaskImage:
    seed = sum(map(ord, name))
    return MaskImage(name, pack_masks(np.random.default_rng(seed).random((NUM_BONES, 6, 7)) < 0.5))


def write(target: Path, name: str, images: list[MaskImage], *, overwrite: bool = False) -> Path:
    with open_sink(target, name, overwrite=overwrite) as sink:
        for one in images:
            sink.write(one)
    return target


def read(source: Path, name: str) -> dict[str, np.ndarray]:
    found = [entry.read() for entry in entries_of(source, name, Radiographs(None))]
    return {one.name: one.masks for one in found}


NESTED = ["p1.png", "p1/b.png", "p1/b/c.png"]


@pytest.mark.parametrize("names", [NESTED, NESTED[::-1]])
@pytest.mark.parametrize("overwrite", [False, True])
def test_pictures_of_an_image_and_of_a_folder_of_its_name_stand_side_by_side(
    tmp_path: Path, names: list[str], overwrite: bool
) -> None:
    source = write(tmp_path / "x.json", "coco", [image(name) for name in names])
    for _ in range(2):
        result = convert(source, tmp_path / "there", target_format="png", overwrite=overwrite)
        found = read(tmp_path / "there", "png")
        assert sorted(found) == NESTED
        for name in names:
            np.testing.assert_array_equal(found[name], image(name).masks)
    assert (result.done, result.kept) == ((3, 0) if overwrite else (0, 3))


def test_only_pictures_of_bones_are_replaced(tmp_path: Path) -> None:
    folder = write(tmp_path, "png", [image("a.png")]) / "a"
    (folder / "notes.txt").write_text("mine")
    (folder / "sub").mkdir()
    (folder / "sub" / "cast.png").write_text("mine")
    other = MaskImage("a.png", image("b.png").masks)
    write(tmp_path, "png", [other], overwrite=True)
    assert (folder / "notes.txt").read_text() == (folder / "sub" / "cast.png").read_text() == "mine"
    np.testing.assert_array_equal(read(tmp_path, "png")["a.png"], other.masks)
    assert len(list(folder.iterdir())) == NUM_BONES + 2
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_with_some_pictures_is_neither_finished_nor_replaced(tmp_path: Path) -> None:
    source = write(tmp_path / "x.json", "coco", [image("a.png")])
    folder = write(tmp_path / "there", "png", [image("a.png")]) / "a"
    (folder / "Ulna.png").unlink()
    with pytest.raises(HandsegInputError, match=r"a: holds pictures of 28 of 29 bones; .* add --overwrite"):
        convert(source, tmp_path / "there", target_format="png")
    assert convert(source, tmp_path / "there", target_format="png", overwrite=True).done == 1
    assert (folder / "Ulna.png").is_file()


def test_a_picture_under_another_name_of_a_bone_is_not_mixed_in(tmp_path: Path) -> None:
    folder = write(tmp_path, "png", [image("a.png")]) / "a"
    (folder / "Ulna.png").rename(folder / "distal ulna.PNG")
    with pytest.raises(HandsegInputError, match=r"a: holds 'distal ulna\.PNG', which would be read with Ulna\.png"):
        write(tmp_path, "png", [image("a.png")], overwrite=True)
    assert (folder / "distal ulna.PNG").is_file()


def test_a_folder_in_place_of_a_file_is_not_taken_for_it(tmp_path: Path) -> None:
    source = write(tmp_path / "x.json", "coco", [image("a.png")])
    (tmp_path / "there" / "a.nii.gz").mkdir(parents=True)
    with pytest.raises(HandsegInputError, match=r"a\.nii\.gz: cannot be written"):
        convert(source, tmp_path / "there", target_format="nifti")


@pytest.mark.parametrize("name", ["nifti", "png"])
def test_images_that_share_a_file_are_refused_however_often(tmp_path: Path, name: str) -> None:
    """Were they found only while writing, a second attempt would pass over both and look finished."""
    source = write(tmp_path / "x.json", "coco", [image(one) for one in ("a.png", "p1/b.png", "p1/b.tif")])
    for _ in range(2):
        with pytest.raises(HandsegInputError, match=r"b.*would be written twice, for 'p1/b\.png' and 'p1/b\.tif'"):
            convert(source, tmp_path / "there", target_format=name)
        assert not (tmp_path / "there").exists()


def test_submissions_in_one_folder_keep_their_sizes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "1.csv", "rle", [image("a.png")]), tmp_path / "2.csv"
    turned = MaskImage("a.png", np.ascontiguousarray(image("a.png").masks.T))
    write(second, "rle", [turned])
    write(tmp_path, "rle", [turned])
    assert {path.name for path in tmp_path.iterdir()} == {
        *("1.csv", "1.images.csv", "2.csv", "2.images.csv", "predictions.csv", "images.csv")
    }
    np.testing.assert_array_equal(read(first, "rle")["a.png"], image("a.png").masks)
    np.testing.assert_array_equal(read(second, "rle")["a.png"], turned.masks)
    np.testing.assert_array_equal(read(tmp_path, "rle")["a.png"], turned.masks)
    with pytest.raises(HandsegInputError, match=r"2\.csv: is there already"):
        write(second, "rle", [turned])
    second.unlink()
    with pytest.raises(HandsegInputError, match=r"2\.images\.csv: is there already"):
        write(second, "rle", [turned])


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(("name", "suffix"), [("dicom-seg", ".dcm"), ("nifti", ".nii.gz")])
def test_a_radiograph_is_neither_replaced_nor_taken_for_masks(
    tmp_path: Path, write_dicom: Callable[..., Path], name: str, suffix: str, overwrite: bool
) -> None:
    """Masks as DICOM and NIfTI are named as their radiographs are."""
    source = write(tmp_path / "x.json", "coco", [image("a.png"), image("b.png")])
    for stem in "ab":
        write_dicom(tmp_path / "DCM" / f"{stem}.dcm", (6, 7))
    there = tmp_path / ("DCM" if name == "dicom-seg" else "there")
    path = there / f"b{suffix}"
    if name == "nifti":
        there.mkdir()
        nib.save(nib.Nifti1Image(np.zeros((7, 6, 1), np.uint8), np.eye(4)), path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(HandsegInputError, match=rf"{suffix}: is there, and is a radiograph .*; name another folder"):
        convert(source, there, target_format=name, images=tmp_path / "DCM", overwrite=overwrite)
    with pytest.raises(HandsegInputError, match="name another folder"):
        convert(write(tmp_path / "1.json", "coco", [image("b.png")]), path, images=tmp_path / "DCM", overwrite=True)
    assert all(file.read_bytes() == content for file, content in before.items())
    assert set(before) == {file for file in tmp_path.rglob("*") if file.is_file()} - {tmp_path / "1.json"}
