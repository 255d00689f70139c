"""Odd files as they come: each gives the array that its maker put in, or exactly one clear error."""

from __future__ import annotations

import gzip
import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import read_radiograph, read_size

GENERATOR = np.random.default_rng(0)
GREY_8 = GENERATOR.integers(0, 256, (37, 53), np.uint8)
GREY_16 = GENERATOR.integers(0, 65536, (37, 53), np.uint16)
GREY_12 = np.append(GENERATOR.integers(0, 4096, (36, 53), np.uint16), np.full((1, 53), 4095, np.uint16), axis=0)
RAMP = np.add.outer(np.arange(0, 80, 2), np.arange(0, 160, 2)).astype(np.uint8)
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def picture(image: np.ndarray | Image.Image, kind: str, mode: str | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    made = image if isinstance(image, Image.Image) else Image.fromarray(image)
    (made.convert(mode) if mode else made).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size: tuple[int, int], bits: int, colour: int, rows: bytes, interlaced: bool = False) -> bytes:
    """Put together a PNG (ISO/IEC 15948) of packed rows, each behind its filter byte; size is (height, width)."""
    header = struct.pack(">IIBBBBB", size[1], size[0], bits, colour, 0, 0, interlaced)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def packed_rows(levels: np.ndarray, bits: int) -> bytes:
    """Pack levels of 1, 2, 4 or 8 bits, the first pixel in the highest bits."""
    binary = (levels[..., None] >> np.arange(bits)[::-1]) & 1
    rows = np.packbits(binary.reshape(len(levels), -1).astype(np.uint8), axis=1)
    return np.pad(rows, ((0, 0), (1, 0))).tobytes()


def tiff(levels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, levels, metadata=None, **options)
    return buffer.getvalue()


def nifti(voxels: np.ndarray) -> bytes:
    return nib.Nifti1Image(voxels, None, dtype=voxels.dtype).to_bytes()


def turned(orientation: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture(GREY_8, kind, exif=exif)


def palette(transparency: bytes) -> bytes:
    """Return a PNG whose palette runs backwards."""
    made = Image.fromarray(255 - GREY_8).convert("P")
    made.putpalette([level for grey in range(255, -1, -1) for level in (grey, grey, grey)])
    return picture(made, "PNG", transparency=transparency)


LOW = {bits: (GREY_8 >> (8 - bits)) for bits in (1, 2, 4)}
RGB_16 = np.repeat(GREY_16[..., None], 3, axis=2)
COLOUR = GENERATOR.integers(0, 256, (37, 53, 3), np.uint8)
LUMINANCE = COLOUR @ [0.299, 0.587, 0.114] / 255
SHARES = (GREY_8 / 255).astype(np.float32)
CMYK = Image.merge("CMYK", [Image.new("L", RAMP.shape[::-1])] * 3 + [Image.fromarray(255 - RAMP)])
NIFTI_RGB = np.ascontiguousarray(COLOUR.transpose(1, 0, 2)).view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]

# Name, bytes, expected shares (H, W) and tolerance: half a level of 8 bits for colour, more for JPEG.
GOOD: dict[str, tuple[str, bytes, np.ndarray, float]] = {
    "one row": ("x.png", picture(GREY_16[:1], "PNG"), GREY_16[:1] / 65535, 0),
    "one column": ("x.tif", tiff(GREY_16[:, :1]), GREY_16[:, :1] / 65535, 0),
    "30,000 columns": ("x.png", picture(np.full((1, 30_000), 51, np.uint8), "PNG"), np.full((1, 30_000), 0.2), 0),
    "one pixel": ("x.jpg", picture(np.full((1, 1), 51, np.uint8), "JPEG"), np.full((1, 1), 0.2), 0.01),
    "JPEG named .png": ("x.png", picture(RAMP, "JPEG", quality=95), RAMP / 255, 0.02),
    "PNG named .tiff": ("x.tiff", picture(GREY_8, "PNG"), GREY_8 / 255, 0),
    "suffix in capitals": ("X.PNG", picture(GREY_8, "PNG"), GREY_8 / 255, 0),
    "palette": ("x.png", palette(b"\xff"), GREY_8 / 255, 0),
    "palette with alpha": ("x.png", palette(bytes(range(256))), GREY_8 / 255, 0),
    "1-bit PNG": ("x.png", png(GREY_8.shape, 1, 0, packed_rows(LOW[1], 1)), LOW[1] / 1, 0),
    "2-bit PNG": ("x.png", png(GREY_8.shape, 2, 0, packed_rows(LOW[2], 2)), LOW[2] / 3, 0),
    "4-bit PNG": ("x.png", png(GREY_8.shape, 4, 0, packed_rows(LOW[4], 4)), LOW[4] / 15, 0),
    "interlaced PNG": (
        "x.png",
        png(
            GREY_8.shape,
            8,
            0,
            b"".join(packed_rows(GREY_8[r::dr, c::dc], 8) for r, c, dr, dc in ADAM7),
            interlaced=True,
        ),
        GREY_8 / 255,
        0,
    ),
    "16-bit RGB PNG": (
        "x.png",
        png(GREY_16.shape, 16, 2, b"".join(b"\0" + row.astype(">u2").tobytes() for row in RGB_16)),
        GREY_16 / 65535,
        1 / 255,
    ),
    "LA": ("x.png", picture(GREY_8, "PNG", "LA"), GREY_8 / 255, 0),
    "RGBA": ("x.png", picture(np.dstack([COLOUR, GREY_8]), "PNG"), LUMINANCE, 0.51 / 255),
    "CMYK JPEG": ("x.jpg", picture(CMYK, "JPEG", quality=95), RAMP / 255, 0.02),
    "colour JPEG": ("x.jpg", picture(RAMP, "JPEG", "RGB", quality=95), RAMP / 255, 0.02),
    "progressive JPEG": ("x.jpg", picture(RAMP, "JPEG", quality=95, progressive=True), RAMP / 255, 0.02),
    "12 bits in 16, PNG": ("x.png", picture(GREY_12, "PNG"), GREY_12 / 4095, 0),
    "12 bits in 16, TIFF": ("x.tif", tiff(GREY_12), GREY_12 / 4095, 0),
    "16-bit big-endian TIFF": ("x.tif", tiff(GREY_16, byteorder=">"), GREY_16 / 65535, 0),
    "LZW TIFF": ("x.tif", picture(GREY_16, "TIFF", compression="tiff_lzw"), GREY_16 / 65535, 0),
    "deflate TIFF": ("x.tif", tiff(GREY_16, compression="zlib"), GREY_16 / 65535, 0),
    "tiled TIFF": ("x.tif", tiff(GREY_8, tile=(16, 16)), GREY_8 / 255, 0),
    "white is zero": ("x.tif", tiff(GREY_16, photometric="miniswhite"), 1 - GREY_16 / 65535, 0),
    "float TIFF": ("x.tif", tiff(SHARES), SHARES, 0),
    "RGB TIFF": ("x.tif", tiff(COLOUR, photometric="rgb"), LUMINANCE, 0.51 / 255),
    "EXIF orientation 3": ("x.png", turned(3, "PNG"), GREY_8[::-1, ::-1] / 255, 0),
    "EXIF orientation 6": ("x.tif", turned(6, "TIFF"), np.rot90(GREY_8, -1) / 255, 0),
    "EXIF orientation 8": ("x.png", turned(8, "PNG"), np.rot90(GREY_8) / 255, 0),
    "NIfTI, 2-D": ("x.nii", nifti(GREY_8.T), GREY_8 / 255, 0),
    "NIfTI, one slice": ("x.nii.gz", gzip.compress(nifti(GREY_16.T[..., None])), GREY_16 / 65535, 0),
    "NIfTI, 12 bits in 16": ("x.nii", nifti(GREY_12.T), GREY_12 / 4095, 0),
    "NIfTI, RGB": ("x.nii", nifti(NIFTI_RGB), LUMINANCE, 0.51 / 255),
}


@pytest.mark.parametrize("case", GOOD)
def test_array(tmp_path: Path, case: str) -> None:
    name, content, expected, tolerance = GOOD[case]
    (tmp_path / name).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = read_radiograph(tmp_path / name)
    assert image.dtype == np.float32
    assert image.shape == (1, *expected.shape)
    np.testing.assert_allclose(image[0], expected, atol=tolerance + 1e-6)
    assert read_size(tmp_path / name) == expected.shape


PICTURE = r"cannot be read as a picture \(.+\); export it again as PNG, JPEG or TIFF with 8 or 16 bits"
EXPORT = "export it again as PNG, JPEG or TIFF with 8 or 16 bits"
NIFTI = r"cannot be read as NIfTI \(.+\); save it again as NIfTI of one slice with 8 or 16 unsigned bits"
SAVE = "save it again as NIfTI of one slice with 8 or 16 unsigned bits"
TWICE = {"save_all": True, "append_images": [Image.fromarray(255 - GREY_8)]}
NAN = np.where(GREY_8 < 5, np.nan, SHARES).astype(np.float32)
TOO_LARGE = "has more than 80,000,000 pixels; crop or shrink it"

BAD: dict[str, tuple[str, bytes, str]] = {
    "0 bytes": ("x.png", b"", "is empty; copy or export it again"),
    "0 bytes, NIfTI": ("x.nii.gz", b"", "is empty; copy or export it again"),
    "0 px": ("x.png", png((5, 0), 8, 0, bytes(5)), PICTURE),
    "header of 30,000 columns alone": ("x.png", png((1, 30_000), 8, 0, b"")[:40], PICTURE),
    "30,000 x 30,000": ("x.png", png((30_000, 30_000), 8, 0, b""), TOO_LARGE),
    "bomb": ("x.png", png((9_000, 9_000), 1, 0, bytes(9_000 * 1_126)), TOO_LARGE),
    "animated PNG": ("x.png", picture(GREY_8, "PNG", **TWICE), "holds 2 pictures; save each one in a file of its own"),
    "two pages": ("x.tif", picture(GREY_8, "TIFF", **TWICE), "holds 2 pictures; save each one in a file of its own"),
    "text": ("x.jpg", b"Dear colleague,\n", rf"cannot be read as a picture \(no PNG, JPEG or TIFF\); {EXPORT}"),
    "GIF named .png": ("x.png", picture(GREY_8, "GIF"), PICTURE),
    "NIfTI named .png": ("x.png", nifti(GREY_8.T), PICTURE),
    "PNG named .nii": ("x.nii", picture(GREY_8, "PNG"), NIFTI),
    "text named .nii.gz": ("x.nii.gz", b"Dear colleague,\n", NIFTI),
    "gzip without NIfTI": ("x.nii.gz", gzip.compress(bytes(1000)), NIFTI),
    "NaN TIFF": ("x.tif", tiff(NAN), f"has floating-point pixels that are NaN or outside 0..1; {EXPORT}"),
    "float TIFF beyond 1": ("x.tif", tiff(2 * SHARES), f"has floating-point pixels .* outside 0..1; {EXPORT}"),
    "int32 TIFF": (
        "x.tif",
        tiff(GREY_16.astype(np.int32)),
        f"has signed or 32-bit pixels, without a known white level; {EXPORT}",
    ),
    "several slices": (
        "x.nii",
        nifti(np.stack([GREY_8.T] * 4, axis=-1)),
        "holds 4 slices; save each one in a file of its own",
    ),
    "NaN in NIfTI": ("x.nii", nifti(NAN.T), f"has pixels that are NaN or infinite; {SAVE}"),
    "large NIfTI": ("x.nii", nifti(GREY_8.T).replace(struct.pack("<hh", 53, 37), b"\x30\x75\x30\x75"), TOO_LARGE),
}


@pytest.mark.parametrize("case", BAD)
def test_error(tmp_path: Path, case: str) -> None:
    name, content, message = BAD[case]
    (tmp_path / name).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(HandsegInputError, match=rf"/{name}: {message}\.$"):
            read_radiograph(tmp_path / name)


CUT = {
    "PNG": ("x.png", picture(GREY_8, "PNG"), PICTURE),
    "16-bit PNG": ("x.png", picture(GREY_16, "PNG"), PICTURE),
    "JPEG": ("x.jpg", picture(GREY_8, "JPEG"), PICTURE),
    "TIFF": ("x.tif", picture(GREY_16, "TIFF"), PICTURE),
    "LZW TIFF": ("x.tif", picture(GREY_8, "TIFF", compression="tiff_lzw"), PICTURE),
    "NIfTI": ("x.nii", nifti(GREY_16.T), NIFTI),
    "compressed NIfTI": ("x.nii.gz", gzip.compress(nifti(GREY_16.T)), NIFTI),
}


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.97])
@pytest.mark.parametrize("case", CUT)
def test_file_cut_off(tmp_path: Path, case: str, share: float) -> None:
    name, content, message = CUT[case]
    (tmp_path / name).write_bytes(content[: round(share * len(content))])
    with pytest.raises(HandsegInputError, match=rf"/{name}: {message}\.$"):
        read_radiograph(tmp_path / name)


SMALL = (GREY_8[:5, :7], GREY_16[:5, :7])
SEEDS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "PNG": ("x.png", lambda: picture(SMALL[0], "PNG")),
    "16-bit PNG": ("x.png", lambda: picture(SMALL[1], "PNG")),
    "palette": ("x.png", lambda: picture(SMALL[0], "PNG", "P", transparency=bytes(range(256)))),
    "JPEG": ("x.jpg", lambda: picture(SMALL[0], "JPEG")),
    "TIFF": ("x.tif", lambda: tiff(SMALL[1])),
    "LZW TIFF": ("x.tif", lambda: picture(SMALL[1], "TIFF", compression="tiff_lzw")),
    "float TIFF": ("x.tif", lambda: tiff(SHARES[:5, :7])),
    "NIfTI": ("x.nii", lambda: nifti(SMALL[1].T)),
    "float NIfTI": ("x.nii", lambda: nifti(SHARES[:5, :7].T)),
    "compressed NIfTI": ("x.nii.gz", lambda: gzip.compress(nifti(SMALL[0].T))),
}


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(list(SEEDS)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=5),
    st.floats(0, 1),
)
@example("PNG", [], 1.0)
def test_damaged_file_gives_an_array_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, case: str, flips: list[tuple[float, int]], share: float
) -> None:
    name, make = SEEDS[case]
    content = bytearray(make())
    for position, change in flips:
        content[int(position * len(content))] ^= change
    path = tmp_path_factory.getbasetemp() / name
    # Most files stay whole, so that the flips matter.
    path.write_bytes(content[: round(min(1, 2 * share) * len(content))])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        try:
            image = read_radiograph(path)
        except HandsegInputError:
            pass
        else:
            assert image.shape == (1, *read_size(path))
            assert 0 <= image.min() <= image.max() <= 1
    # Pillow names every broken tag of a TIFF once.
    assert len(seen) <= 12
