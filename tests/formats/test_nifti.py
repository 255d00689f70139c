"""Masks in NIfTI files, against nibabel."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.formats.nifti import is_nifti_masks, read_nifti_masks, write_nifti
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.masks import pack_masks

MASKS = np.random.default_rng(0).random((NUM_BONES, 7, 5)) < 0.4
MASKS[CHANNEL["Ulna"]] = False
IMAGE = MaskImage("p1/hand.png", pack_masks(MASKS), (0.14, 0.15))


def save(path: Path, volumes: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(volumes, affine), path)
    return path


def as_volumes(masks: np.ndarray) -> np.ndarray:
    """Return masks (29, H, W) as nibabel's array (columns, rows, 1, 29)."""
    return masks.transpose(2, 1, 0)[:, :, None].astype(np.uint8)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nibabel_reads_what_is_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"hand{suffix}"
    write_nifti(path, IMAGE)
    found = nib.load(path)
    np.testing.assert_array_equal(np.asarray(found.dataobj), as_volumes(MASKS))
    assert found.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(found.header.get_zooms()[:2], (0.15, 0.14), rtol=1e-6)
    # Columns run to the patient's left, rows to the feet: the picture stands upright in viewers.
    assert nib.aff2axcodes(found.affine) == ("L", "I", "A")
    np.testing.assert_allclose(found.header.get_qform(), found.header.get_sform(), atol=1e-6)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_name_and_spacing_come_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"hand{suffix}"
    exact = MaskImage("p1/händ.png", IMAGE.masks, (0.14000000001, 0.15))
    write_nifti(path, exact)
    back = read_nifti_masks(path)
    np.testing.assert_array_equal(back.masks, IMAGE.masks)
    assert (back.name, back.spacing_mm, back.notes) == (exact.name, exact.spacing_mm, ())


def test_an_unknown_spacing_stays_unknown(tmp_path: Path) -> None:
    write_nifti(tmp_path / "hand.nii", MaskImage("", IMAGE.masks))
    assert read_nifti_masks(tmp_path / "hand.nii").spacing_mm is None


def test_the_same_masks_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(tmp_path / name, IMAGE)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_volumes_without_names_are_in_channel_order(tmp_path: Path) -> None:
    path = save(tmp_path / "hand.nii.gz", as_volumes(MASKS) * 255)
    np.testing.assert_array_equal(read_nifti_masks(path).masks, IMAGE.masks)


@pytest.mark.parametrize("axes", ["LIA", "RIP", "RSA", "LSP", "ILA", "SRA"])
def test_masks_are_turned_as_their_radiograph_is(tmp_path: Path, axes: str) -> None:
    """A mask and a picture of one affine lie over each other, whatever the affine."""
    affine = np.zeros((4, 4))
    for column, letter in enumerate(axes):
        row = "RLAPSI".index(letter) // 2
        affine[row, column] = 1.5 if letter in "RAS" else -1.5
    affine[3, 3] = 1
    picture = np.zeros((5, 7), np.uint8)
    picture[1, 2] = picture[3, 5] = 255
    volumes = np.repeat(picture[:, :, None, None] > 0, NUM_BONES, axis=3).astype(np.uint8)
    shown = read_radiograph(save(tmp_path / "picture.nii", picture[:, :, None], affine), inverted=False)[0]
    found = read_nifti_masks(save(tmp_path / "masks.nii", volumes, affine)).masks
    np.testing.assert_array_equal(found != 0, shown > 0)


def test_volumes_in_another_order_are_matched_by_name(tmp_path: Path) -> None:
    path = tmp_path / "hand.nii"
    write_nifti(path, IMAGE)
    content = path.read_bytes()
    swapped = content.replace(b'"finger-1"', b'"########"').replace(b'"finger-2"', b'"finger-1"')
    path.write_bytes(swapped.replace(b'"########"', b'"finger-2"'))
    masks = MASKS.copy()
    masks[[0, 1]] = masks[[1, 0]]
    np.testing.assert_array_equal(read_nifti_masks(path).masks, pack_masks(masks))


def test_missing_and_unknown_volumes_are_told(tmp_path: Path) -> None:
    path = tmp_path / "hand.nii"
    write_nifti(path, IMAGE)
    path.write_bytes(path.read_bytes().replace(b'"Ulna"', b'"Ring"'))
    first, second = read_nifti_masks(path).notes
    assert first == "no volume of Ulna: taken for empty"
    assert second.endswith("volume Ring")


def test_a_radiograph_is_no_mask_file(tmp_path: Path) -> None:
    write_nifti(tmp_path / "masks.nii.gz", IMAGE)
    assert is_nifti_masks(tmp_path / "masks.nii.gz")
    assert not is_nifti_masks(save(tmp_path / "hand.nii.gz", np.zeros((5, 7, 1), np.uint8)))
    assert not is_nifti_masks(tmp_path / "missing.nii")


@pytest.mark.parametrize(
    ("volumes", "message"),
    [
        (np.zeros((5, 7, 1, 28), np.uint8), "holds 28 volumes, not 29"),
        (np.zeros((5, 7, 2, 29), np.uint8), "holds 58 volumes"),
        (np.arange(5 * 7 * 29, dtype=np.int16).reshape(5, 7, 1, 29), "values other than 0 and one more"),
        (np.zeros((5, 7, 1, 29), np.complex64), "pixels of type"),
        (np.zeros((5,), np.uint8), "no rows and columns|holds"),
    ],
)
def test_files_that_are_no_masks_are_refused(tmp_path: Path, volumes: np.ndarray, message: str) -> None:
    with pytest.raises(HandsegInputError, match=message):
        read_nifti_masks(save(tmp_path / "x.nii", volumes))


def test_cut_off_and_damaged_files_are_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "x.nii", IMAGE)
    content = (tmp_path / "x.nii").read_bytes()
    for damaged in (content[:-1], content[:400], gzip.compress(content)[:-3], b"", b"NIFTI"):
        (tmp_path / "y.nii").write_bytes(damaged)
        with pytest.raises(HandsegInputError, match="cannot be read as NIfTI masks"):
            read_nifti_masks(tmp_path / "y.nii")


def test_sizes_are_checked_before_memory_is_taken(tmp_path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((30000, 30000, 1, 29))
    header["vox_offset"] = 352
    (tmp_path / "x.nii").write_bytes(header.binaryblock + bytes(4))
    with pytest.raises(HandsegInputError, match="more than"):
        read_nifti_masks(tmp_path / "x.nii")


def test_masks_of_another_image_are_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "x.nii", IMAGE)
    with pytest.raises(HandsegInputError, match="is of 5 x 7 px, its image of 7 x 5"):
        read_nifti_masks(tmp_path / "x.nii", (5, 7))


def test_the_bones_stand_in_the_header(tmp_path: Path) -> None:
    write_nifti(tmp_path / "x.nii", IMAGE)
    (extension,) = nib.load(tmp_path / "x.nii").header.extensions
    assert extension.get_code() == 6
    assert all(name.encode() in bytes(extension.content) for name in BONE_NAMES)
