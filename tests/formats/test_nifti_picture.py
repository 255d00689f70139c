"""NIfTI radiographs, against arrays written by nibabel."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats import stored
from handseg_bundle_common.formats.radiograph import read_radiograph, read_size, read_stored

# (row, column), as a radiograph has them; NIfTI wants them the other way round.
GREY_8 = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8)
GREY_16 = np.random.default_rng(1).integers(0, 65536, (5, 7), np.uint16)
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def write(path: Path, voxels: np.ndarray, version: type = nib.Nifti1Image, **header: float) -> Path:
    image = version(voxels, None, dtype=voxels.dtype)
    for field, value in header.items():
        image.header[field] = value
    nib.save(image, path)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".NII.GZ"])
@pytest.mark.parametrize("extra", [(), (1,), (1, 1)], ids=["2-D", "one slice", "one slice and time"])
@pytest.mark.parametrize(("pixels", "white"), [(GREY_8, 255), (GREY_16, 65535)], ids=["8 bit", "16 bit"])
def test_columns_become_columns(
    tmp_path: Path, suffix: str, extra: tuple[int, ...], pixels: np.ndarray, white: int
) -> None:
    path = write(tmp_path / f"x{suffix}", pixels.T.reshape(7, 5, *extra))
    stored_radiograph = read_stored(path)
    assert stored_radiograph.levels.dtype == pixels.dtype
    assert stored_radiograph.levels.flags.c_contiguous
    np.testing.assert_array_equal(read_radiograph(path)[0], pixels.astype(np.float32) / np.float32(white))
    assert read_size(path) == (5, 7)


def test_12_bits_in_16(tmp_path: Path) -> None:
    pixels = (GREY_16 >> 4).astype(np.uint16)
    pixels[0, 0] = 4095
    path = write(tmp_path / "x.nii", pixels.T)
    np.testing.assert_array_equal(read_radiograph(path)[0], pixels.astype(np.float32) / np.float32(4095))


def test_second_version_and_other_byte_order(tmp_path: Path) -> None:
    path = write(tmp_path / "second.nii", GREY_16.T, nib.Nifti2Image)
    np.testing.assert_array_equal(read_stored(path).levels, GREY_16)
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(np.uint16)
    nib.save(nib.Nifti1Image(GREY_16.T, None, header), tmp_path / "big.nii")
    levels = read_stored(tmp_path / "big.nii").levels
    np.testing.assert_array_equal(levels, GREY_16)
    assert levels.dtype.isnative


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.uint32, np.int64, np.float32, np.float64])
def test_other_numbers_reach_from_smallest_to_largest(tmp_path: Path, kind: type) -> None:
    pixels = GREY_8.astype(np.float64) / 2 - 50
    voxels = np.trunc(pixels).astype(kind) if np.issubdtype(kind, np.signedinteger) else abs(pixels).astype(kind)
    shares = read_radiograph(write(tmp_path / "x.nii", voxels.T))[0]
    low, high = float(voxels.min()), float(voxels.max())
    np.testing.assert_allclose(shares, (voxels.astype(np.float64) - low) / (high - low), atol=1e-6)


def test_display_range_of_the_header_comes_first(tmp_path: Path) -> None:
    voxels = np.array([[-100, 0, 50, 200, 400]], np.int16).T
    path = write(tmp_path / "x.nii", voxels, cal_min=0, cal_max=200)
    np.testing.assert_allclose(read_radiograph(path), [[[0, 0, 0.25, 1, 1]]])


@pytest.mark.parametrize("limits", [(0, 0), (5, 2), (np.nan, 9), (0, np.inf)])
def test_display_range_without_sense_does_not_count(tmp_path: Path, limits: tuple[float, float]) -> None:
    voxels = np.array([[-100, 0, 100]], np.int16).T
    path = write(tmp_path / "x.nii", voxels, cal_min=limits[0], cal_max=limits[1])
    np.testing.assert_allclose(read_radiograph(path), [[[0, 0.5, 1]]])


def test_scaled_levels_are_numbers_like_others(tmp_path: Path) -> None:
    path = write(tmp_path / "x.nii", GREY_8.T)
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([0.5, -3], "<f4").tobytes()  # slope and intercept
    path.write_bytes(content)
    low, high = int(GREY_8.min()), int(GREY_8.max())
    np.testing.assert_allclose(read_radiograph(path)[0], (GREY_8.astype(float) - low) / (high - low), atol=1e-6)


def test_one_number_everywhere_is_black(tmp_path: Path) -> None:
    assert not read_radiograph(write(tmp_path / "x.nii", np.full((7, 5), 3, np.float32))).any()


def test_numbers_of_any_magnitude(tmp_path: Path) -> None:
    path = write(tmp_path / "x.nii", np.array([[-1.7e308, 0, 1.7e308]]).T)
    np.testing.assert_allclose(read_radiograph(path), [[[0, 0.5, 1]]])


@pytest.mark.parametrize("kind", [RGB, np.dtype([*RGB.descr, ("A", "u1")])], ids=["RGB", "RGBA"])
def test_colour_becomes_luminance(tmp_path: Path, kind: np.dtype) -> None:
    """The weights are those of ITU-R BT.601."""
    colours = np.random.default_rng(2).integers(0, 256, (5, 7, len(kind)), np.uint8)
    path = write(tmp_path / "x.nii", np.ascontiguousarray(colours.transpose(1, 0, 2)).view(kind)[..., 0])
    expected = colours[..., :3] @ [0.299, 0.587, 0.114] / 255
    np.testing.assert_allclose(read_radiograph(path)[0], expected, atol=0.51 / 255)


def test_content_tells_whether_it_is_compressed(tmp_path: Path) -> None:
    content = write(tmp_path / "x.nii", GREY_8.T).read_bytes()
    (tmp_path / "plain.nii.gz").write_bytes(content)
    (tmp_path / "packed.nii").write_bytes(gzip.compress(content))
    for name in ("plain.nii.gz", "packed.nii"):
        np.testing.assert_array_equal(read_stored(tmp_path / name).levels, GREY_8)


def test_size_comes_from_the_header_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "x.nii.gz", np.zeros((70, 50), np.uint8))
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:400]))
    assert read_size(path) == (50, 70)
    with pytest.raises(HandsegInputError, match=r"x\.nii\.gz: cannot be read as NIfTI"):
        read_radiograph(path)


# Where the columns and rows of a radiograph point to in the world (right, anterior, superior) on a display.
TO_LEFT, TO_POSTERIOR, TO_INFERIOR = np.diag([-1.0, -1.0, -1.0])
VIEWS = {
    "axial": (TO_LEFT, TO_POSTERIOR),
    "coronal": (TO_LEFT, TO_INFERIOR),
    "sagittal": (TO_POSTERIOR, TO_INFERIOR),
}
# How programs lay out the same array (column, row), of which the affine follows.
LAYOUTS = {
    "as displayed": lambda array: array,
    "rows from below": lambda array: array[:, ::-1],
    "columns from the right": lambda array: array[::-1],
    "turned": lambda array: array[::-1, ::-1],
    "rows before columns": lambda array: array.T,
    "rows before columns, turned": lambda array: array.T[::-1, ::-1],
}


@pytest.mark.parametrize("form", ["sform", "qform"])
@pytest.mark.parametrize("tilt", [0, 20], ids=["straight", "oblique"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("view", VIEWS)
def test_affine_tells_how_the_picture_is_displayed(
    tmp_path: Path, view: str, layout: str, tilt: float, form: str
) -> None:
    columns, rows = Rotation.from_euler("xyz", [tilt, 0, tilt], degrees=True).apply(VIEWS[view])
    # Where every pixel (column, row) lies in the world; the affine is read off two neighbours.
    world = np.array([[(30, 40, 50) + 0.2 * x * columns + 0.2 * y * rows for y in range(5)] for x in range(7)])
    places = np.stack([LAYOUTS[layout](world[..., axis]) for axis in range(3)], axis=-1)
    first, second = places[1, 0] - places[0, 0], places[0, 1] - places[0, 0]
    affine = np.eye(4)
    affine[:3] = np.column_stack([first, second, np.cross(first, second) / 0.2, places[0, 0]])
    image = nib.Nifti1Image(LAYOUTS[layout](GREY_8.T)[..., None], None)
    (image.set_sform if form == "sform" else image.set_qform)(affine, code=1)
    nib.save(image, tmp_path / "x.nii")
    np.testing.assert_array_equal(read_stored(tmp_path / "x.nii").levels, GREY_8)
    assert read_size(tmp_path / "x.nii") == (5, 7)


def test_dcm2niix_without_orientation_turns_the_rows(tmp_path: Path) -> None:
    """The header is that of version 1.0.20260724 for a computed radiograph, whose DICOM file has no orientation."""
    image = nib.Nifti1Image(GREY_8.T[:, ::-1, None], None)
    for row, values in (("srow_x", [1, 0, 0, 0]), ("srow_y", [0, 1, 0, -4]), ("srow_z", [0, 0, 1, 0])):
        image.header[row] = values
    nib.save(image, tmp_path / "x.nii")
    np.testing.assert_array_equal(read_stored(tmp_path / "x.nii").levels, GREY_8)


@pytest.mark.parametrize("diagonal", [(1, 1, 1, 1), (0.2, 0.2, 1, 1), (0, 0, 0, 1), (np.nan, 1, 1, 1)])
def test_affine_that_says_nothing_leaves_columns_before_rows(tmp_path: Path, diagonal: tuple[float, ...]) -> None:
    """MONAI and many scripts write an identity for pictures whose rows come from above."""
    image = nib.Nifti1Image(GREY_8.T, None)
    image.header.set_sform(np.diag(diagonal), code=2)
    nib.save(image, tmp_path / "x.nii")
    np.testing.assert_array_equal(read_stored(tmp_path / "x.nii").levels, GREY_8)


@pytest.mark.parametrize("field", ["quatern_b", "pixdim"])
def test_a_faulty_qform_leaves_columns_before_rows(tmp_path: Path, field: str) -> None:
    faulty = 3.0 if field == "quatern_b" else np.array([5, 1, 1, 1, 0, 0, 0, 0], np.float32)
    header = nib.Nifti1Image(GREY_8.T, None).header
    header["vox_offset"], header["qform_code"], header["sform_code"] = 352, 1, 0
    header["magic"] = b"n+1"
    header[field] = faulty
    (tmp_path / "x.nii").write_bytes(header.binaryblock + bytes(4) + GREY_8.T.tobytes(order="F"))
    np.testing.assert_array_equal(read_stored(tmp_path / "x.nii").levels, GREY_8)


def test_crop_of_a_picture_in_pixels_stays_as_it_is(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[:2, 3] = 30, 40
    nib.save(nib.Nifti1Image(GREY_8.T, affine), tmp_path / "x.nii")
    np.testing.assert_array_equal(read_stored(tmp_path / "x.nii").levels, GREY_8)


AGAIN = "save it again as NIfTI of one slice with 8 or 16 unsigned bits"


@pytest.mark.parametrize(
    ("voxels", "message"),
    [
        (np.zeros((7, 5, 3), np.uint8), "holds 3 slices; save each one in a file of its own"),
        (np.zeros((7, 5, 1, 2), np.uint8), "holds 2 slices; save each one in a file of its own"),
        (np.zeros(7, np.uint8), f"has no rows and columns; {AGAIN}"),
        (np.zeros((7, 5), np.complex64), f"has pixels of type 32; {AGAIN}"),
        (np.array([[0, np.nan]], np.float32), f"has pixels that are NaN or infinite; {AGAIN}"),
        (np.array([[0, np.inf]], np.float64), f"has pixels that are NaN or infinite; {AGAIN}"),
    ],
    ids=["three slices", "two times", "1-D", "complex", "NaN", "infinite"],
)
def test_what_is_no_radiograph(tmp_path: Path, voxels: np.ndarray, message: str) -> None:
    with pytest.raises(HandsegInputError, match=rf"x\.nii: {message}"):
        read_radiograph(write(tmp_path / "x.nii", voxels))


def test_pixel_limit_is_checked_before_data_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.nii", GREY_8.T)
    path.write_bytes(path.read_bytes()[:352])
    monkeypatch.setattr(stored, "MAX_PIXELS", 34)
    with pytest.raises(HandsegInputError, match="has more than 34 pixels; crop or shrink it"):
        read_size(path)


@pytest.mark.parametrize(
    ("position", "values"),
    [(0, b"\0\0\0\0"), (108, np.float32(1e9).tobytes()), (108, np.float32(40).tobytes()), (344, b"ni1\0")],
    ids=["length of the header", "data far away", "data in the header", "data in another file"],
)
def test_broken_header(tmp_path: Path, position: int, values: bytes) -> None:
    path = write(tmp_path / "x.nii", GREY_8.T)
    content = bytearray(path.read_bytes())
    content[position : position + 4] = values
    path.write_bytes(content)
    with pytest.raises(HandsegInputError, match=rf"x\.nii: cannot be read as NIfTI .*; {AGAIN}"):
        read_size(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_file_cut_off_anywhere(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"x{suffix}", GREY_16.T)
    content = path.read_bytes()
    for length in range(1, len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(HandsegInputError, match=rf"x{suffix}: cannot be read as NIfTI .*; {AGAIN}"):
            read_radiograph(path)


def test_checksum_of_a_compressed_file_is_compared(tmp_path: Path) -> None:
    path = write(tmp_path / "x.nii.gz", GREY_8.T)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(HandsegInputError, match="CRC check failed"):
        read_radiograph(path)
