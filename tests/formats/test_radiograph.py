"""Radiographs, against arrays written by Pillow and TIFF files put together byte by byte."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from handseg_bundle_common.anatomy import Side
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats import stored
from handseg_bundle_common.formats.radiograph import (
    MAX_PIXELS,
    SUFFIXES,
    has_radiograph_suffix,
    radiograph_stem,
    read_radiograph,
    read_size,
    read_stored,
    side_of_name,
    write_radiograph,
)

GREY_8 = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8)
GREY_16 = np.random.default_rng(1).integers(0, 65536, (5, 7), np.uint16)
ORIENTATION = 0x0112


def tiff_bytes(
    pixels: bytes,
    size: tuple[int, int],
    bits: int,
    *,
    big_endian: bool = False,
    white_is_zero: bool = False,
    sample_format: int = 1,
    orientation: int = 1,
) -> bytes:
    """Put together an uncompressed grey TIFF 6.0 of one strip; size is (height, width)."""
    order, short, long = ">" if big_endian else "<", 3, 4
    tags = [
        (256, short, size[1]),
        (257, short, size[0]),
        (258, short, bits),
        (259, short, 1),
        (262, short, 0 if white_is_zero else 1),
        (273, long, 8),
        (274, short, orientation),
        (277, short, 1),
        (278, short, size[0]),
        (279, long, len(pixels)),
        (339, short, sample_format),
    ]
    directory = struct.pack(f"{order}H", len(tags))
    for tag, kind, value in tags:
        directory += struct.pack(f"{order}HHI", tag, kind, 1)
        directory += struct.pack(f"{order}HH", value, 0) if kind == short else struct.pack(f"{order}I", value)
    header = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(f"{order}I", 8 + len(pixels))
    return header + pixels + directory + bytes(4)


def picture_bytes(image: Image.Image, suffix: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, {"png": "PNG", "jpg": "JPEG", "tif": "TIFF"}[suffix], **options)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", ["png", "tif", "tiff", "PNG"])
@pytest.mark.parametrize(("pixels", "white"), [(GREY_8, 255), (GREY_16, 65535)], ids=["8 bit", "16 bit"])
def test_grey_levels_are_divided_by_white(tmp_path: Path, suffix: str, pixels: np.ndarray, white: int) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(pixels).save(path)
    image = read_radiograph(path)
    assert image.dtype == np.float32
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, pixels[None].astype(np.float32) / np.float32(white))


def test_jpeg_is_close(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    Image.fromarray(ramp).save(tmp_path / "x.jpeg", quality=95)
    np.testing.assert_allclose(read_radiograph(tmp_path / "x.jpeg")[0], ramp / 255, atol=0.02)


def test_one_bit_is_black_or_white(tmp_path: Path) -> None:
    pixels = GREY_8 > 100
    Image.fromarray(pixels).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "x.png")[0], pixels.astype(np.float32))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_grey_stored_as_colour_is_the_same_grey(tmp_path: Path, mode: str) -> None:
    Image.fromarray(GREY_8).convert(mode).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "x.png")[0], GREY_8.astype(np.float32) / 255)


def test_colour_becomes_luminance(tmp_path: Path) -> None:
    """The weights are those of ITU-R BT.601."""
    Image.new("RGB", (1, 1), (200, 100, 50)).save(tmp_path / "x.png")
    expected = (0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 255
    assert read_radiograph(tmp_path / "x.png").item() == pytest.approx(expected, abs=0.5 / 255)


def test_transparency_is_dropped(tmp_path: Path) -> None:
    image = Image.fromarray(GREY_8).convert("RGBA")
    image.putalpha(0)
    image.save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "x.png")[0], GREY_8.astype(np.float32) / 255)


def test_palette_with_transparency_is_read_without_a_warning(tmp_path: Path) -> None:
    Image.fromarray(GREY_8).convert("P").save(tmp_path / "x.png", transparency=bytes(range(256)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read_radiograph(tmp_path / "x.png")[0], GREY_8.astype(np.float32) / 255)


@pytest.mark.parametrize("big_endian", [False, True], ids=["little endian", "big endian"])
def test_16_bit_tiff_of_either_byte_order(tmp_path: Path, big_endian: bool) -> None:
    pixels = GREY_16.astype(">u2" if big_endian else "<u2").tobytes()
    (tmp_path / "x.tif").write_bytes(tiff_bytes(pixels, (5, 7), 16, big_endian=big_endian))
    np.testing.assert_array_equal(read_radiograph(tmp_path / "x.tif")[0], GREY_16.astype(np.float32) / 65535)


@pytest.mark.parametrize(
    ("pixels", "bits", "white", "sample_format"),
    [
        (GREY_8, 8, 255, 1),
        (GREY_16, 16, 65535, 1),
        (GREY_8.astype(np.float32) / 255, 32, 1, 3),
    ],
    ids=["8 bit", "16 bit", "float"],
)
def test_tiff_in_which_white_is_zero_is_inverted(
    tmp_path: Path, pixels: np.ndarray, bits: int, white: int, sample_format: int
) -> None:
    content = tiff_bytes(pixels.tobytes(), (5, 7), bits, white_is_zero=True, sample_format=sample_format)
    (tmp_path / "x.tif").write_bytes(content)
    np.testing.assert_allclose(read_radiograph(tmp_path / "x.tif")[0], 1 - pixels / white, atol=1e-6)


def test_12_bit_tiff_reaches_white(tmp_path: Path) -> None:
    two_pixels = bytes([0x40, 0x0F, 0xFF])  # 0x400 and 0xFFF, packed
    (tmp_path / "x.tif").write_bytes(tiff_bytes(two_pixels, (1, 2), 12))
    np.testing.assert_allclose(read_radiograph(tmp_path / "x.tif")[0], [[0x400 / 0xFFF, 1]], rtol=1e-6)


def test_float_tiff_between_0_and_1_is_taken_as_it_is(tmp_path: Path) -> None:
    pixels = GREY_8.astype(np.float32) / 255
    Image.fromarray(pixels).save(tmp_path / "x.tif")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "x.tif")[0], pixels)


# Where Exif 2.3 puts the stored rows and columns.
UPRIGHT = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(("pixels", "white"), [(GREY_8, 255), (GREY_16, 65535)], ids=["8 bit", "16 bit"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_picture_is_turned_upright(
    tmp_path: Path, suffix: str, pixels: np.ndarray, white: int, orientation: int
) -> None:
    path = tmp_path / f"x.{suffix}"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    expected = UPRIGHT[orientation](pixels).astype(np.float32) / np.float32(white)
    np.testing.assert_array_equal(read_radiograph(path)[0], expected)
    assert read_size(path) == expected.shape


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_compressed_tiff_and_jpeg_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    ramp = np.add.outer(np.arange(0, 80, 2), np.arange(0, 160, 2)).astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / "x.tif", exif=exif, compression="tiff_lzw")
    Image.fromarray(ramp).save(tmp_path / "x.jpg", exif=exif, quality=95)
    expected = UPRIGHT[orientation](ramp) / 255
    for name in ("x.tif", "x.jpg"):
        np.testing.assert_allclose(read_radiograph(tmp_path / name)[0], expected, atol=0.02)
        assert read_size(tmp_path / name) == expected.shape


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_file_has_the_depth_that_its_levels_need(tmp_path: Path, suffix: str, bits: int) -> None:
    pixels = (GREY_16 >> (16 - bits)).astype(np.uint16)
    pixels[0, 0] = 2**bits - 1
    Image.fromarray(pixels).save(tmp_path / f"x.{suffix}")
    expected = pixels.astype(np.float32) / np.float32(2**bits - 1)
    np.testing.assert_array_equal(read_radiograph(tmp_path / f"x.{suffix}")[0], expected)


@pytest.mark.parametrize(("pixels", "white"), [(GREY_8, 255), (GREY_16, 65535)], ids=["8 bit", "16 bit"])
def test_stored_radiograph_keeps_levels_and_depth(tmp_path: Path, pixels: np.ndarray, white: int) -> None:
    Image.fromarray(pixels).save(tmp_path / "x.png")
    radiograph = read_stored(tmp_path / "x.png")
    assert radiograph.levels.dtype == pixels.dtype
    assert (radiograph.black, radiograph.white) == (0, white)
    np.testing.assert_array_equal(radiograph.levels, pixels)
    np.testing.assert_array_equal(radiograph.grey()[None], read_radiograph(tmp_path / "x.png"))


def test_bone_is_dark_where_the_caller_says_so(tmp_path: Path) -> None:
    Image.fromarray(GREY_8).save(tmp_path / "x.png")
    for inverted, expected in ((True, 255 - GREY_8), (False, GREY_8), (None, GREY_8)):
        image = read_radiograph(tmp_path / "x.png", inverted)
        np.testing.assert_array_equal(image[0], expected.astype(np.float32) / 255)


@pytest.fixture
def sample_hand(sample_data: Path) -> Path:
    """The first radiograph of the sample hands."""
    return min((sample_data / "DCM").glob("*/*.png"))


def test_inverted_hand_is_turned_and_named(tmp_path: Path, sample_hand: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Image.open(sample_hand) as picture:
        Image.fromarray(255 - np.asarray(picture)).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "x.png"), read_radiograph(sample_hand))
    assert [record.message for record in caplog.records] == [
        f"{tmp_path / 'x.png'}: bone looks dark, so black and white are exchanged."
    ]
    dark = read_radiograph(tmp_path / "x.png", inverted=False)
    np.testing.assert_allclose(dark, 1 - read_radiograph(sample_hand), atol=1e-6)


def test_inverted_hand_is_named_once(tmp_path: Path, sample_hand: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Image.open(sample_hand) as picture:
        for name in ("x.png", "y.png"):
            Image.fromarray(255 - np.asarray(picture)).save(tmp_path / name)
    for name in ("x.png", "y.png", "x.png", "y.png"):
        read_radiograph(tmp_path / name)
    assert [Path(record.message.split(": ")[0]).name for record in caplog.records] == ["x.png", "y.png"]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("hand.png", "hand"),
        ("a/b.c/hand.v2.TIFF", "hand.v2"),
        ("hand.nii", "hand"),
        ("hand.nii.gz", "hand"),
        ("HAND.NII.GZ", "HAND"),
        (".hand.jpg", ".hand"),
        ("1.2.840.7.dcm", "1.2.840.7"),
    ],
)
def test_name_with_suffix(name: str, stem: str) -> None:
    assert has_radiograph_suffix(name)
    assert radiograph_stem(name) == stem


@pytest.mark.parametrize(
    ("name", "stem"),
    [("hand.gz", "hand"), ("hand", "hand"), ("1.2.840.7", "1.2.840.7"), (".png", ".png"), ("png", "png")],
)
def test_name_without_suffix(name: str, stem: str) -> None:
    assert not has_radiograph_suffix(name)
    assert radiograph_stem(name) == stem


PART = st.text("abcxyz0189", min_size=2, max_size=6)
SEPARATOR = st.sampled_from("_-. ")
MARK = st.sampled_from(["L", "l", "R", "r", "left", "Left", "RIGHT"])
SUFFIX = st.sampled_from([*SUFFIXES, ".PNG"])


@given(PART, MARK, SUFFIX)
def test_side_before_the_suffix(part: str, mark: str, suffix: str) -> None:
    assert side_of_name(f"{part}_{mark}{suffix}") == mark[0].upper()


@given(PART, MARK, SEPARATOR, PART, SUFFIX)
def test_side_between_separators(first: str, mark: str, separator: str, second: str, suffix: str) -> None:
    assert side_of_name(f"{first}_{mark}{separator}{second}{suffix}") == mark[0].upper()


@given(PART, MARK, MARK, SUFFIX)
def test_two_sides_tell_only_what_they_agree_on(part: str, one: str, two: str, suffix: str) -> None:
    sides = {one[0].upper(), two[0].upper()}
    expected = sides.pop() if len(sides) == 1 else None
    assert side_of_name(f"{part}_{one}_{two}{suffix}") == expected


@given(st.lists(PART, min_size=1, max_size=3), SEPARATOR, SUFFIX)
def test_name_without_side_tells_nothing(parts: list[str], separator: str, suffix: str) -> None:
    assert side_of_name(separator.join(parts) + suffix) is None


@pytest.mark.parametrize(
    "name",
    [
        *("L.png", "R_01.png", "handL.png", "hand_Lat.png", "hand_LR.png", "hand_1L.png", "l_/hand.png", "x_L/1.png"),
        *("J. R. Smith 2.png", "ward-l-07.png", "hand.L.png", "hand-right.png", "a R.png"),
    ],
)
def test_letter_in_another_place_tells_nothing(name: str) -> None:
    assert side_of_name(name) is None


def test_side_of_a_path_is_that_of_its_last_part() -> None:
    assert side_of_name(Path("set_L", "hand_R.nii.gz")) is Side.RIGHT


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1)])
def test_thin_pictures(tmp_path: Path, shape: tuple[int, int]) -> None:
    Image.fromarray(np.full(shape, 51, np.uint8)).save(tmp_path / "x.png")
    assert read_size(tmp_path / "x.png") == shape
    np.testing.assert_allclose(read_radiograph(tmp_path / "x.png"), np.full((1, *shape), 0.2), rtol=1e-6)


def test_size_comes_from_the_header_alone(tmp_path: Path) -> None:
    content = picture_bytes(Image.fromarray(GREY_16), "png")
    (tmp_path / "x.png").write_bytes(content[: content.index(b"IDAT") + 6])
    assert read_size(tmp_path / "x.png") == (5, 7)
    with pytest.raises(HandsegInputError, match="cannot be read as a picture"):
        read_radiograph(tmp_path / "x.png")


def test_content_counts_not_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(picture_bytes(Image.fromarray(GREY_16), "png"))
    np.testing.assert_array_equal(read_radiograph(tmp_path / "x.jpg")[0], GREY_16.astype(np.float32) / 65535)


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and has no pixels."""
    buffer = io.BytesIO(b"")
    buffer.write(b"\x89PNG\r\n\x1a\n")
    PngImagePlugin.putchunk(buffer, b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    PngImagePlugin.putchunk(buffer, b"IDAT", b"x")
    return buffer.getvalue()


def two_pages(suffix: str) -> bytes:
    page = Image.fromarray(GREY_8)
    return picture_bytes(page, suffix, save_all=True, append_images=[page.transpose(Image.Transpose.ROTATE_180)])


NOISE = Image.fromarray(np.random.default_rng(2).integers(0, 256, (64, 64), np.uint8))
EXPORT = "export it again as PNG, JPEG or TIFF with 8 or 16 bits"
BAD_FILES = {
    "missing": ("x.png", None, "is not there or not a file; check the path"),
    "empty": ("x.png", b"", "is empty; copy or export it again"),
    "unsupported suffix": ("x.bmp", b"BM", "has an unsupported suffix; use one of .png, .jpg"),
    "no suffix": ("x", b"\x89PNG", "has an unsupported suffix; use one of .png, .jpg"),
    "text": ("x.png", b"not a picture", f"cannot be read as a picture .*; {EXPORT}"),
    "another format": ("x.png", b"GIF89a" + bytes(20), f"cannot be read as a picture .*; {EXPORT}"),
    "truncated PNG": ("x.png", picture_bytes(NOISE, "png")[:2000], f"cannot be read as a picture .*; {EXPORT}"),
    "truncated JPEG": ("x.jpg", picture_bytes(NOISE, "jpg")[:1500], f"cannot be read as a picture .*; {EXPORT}"),
    "truncated TIFF": ("x.tif", picture_bytes(NOISE, "tif")[:2000], f"cannot be read as a picture .*; {EXPORT}"),
    "no width": ("x.png", png_header(0, 5), f"; {EXPORT}"),
    "no height": ("x.tif", tiff_bytes(b"", (0, 5), 8), f"; {EXPORT}"),
    "too large": ("x.png", png_header(MAX_PIXELS // 1000 + 1, 1000), "has more than 80,000,000 pixels; crop or shrink"),
    "bomb": ("x.png", png_header(30_000, 30_000), "has more than 80,000,000 pixels; crop or shrink it"),
    "NaN": (
        "x.tif",
        tiff_bytes(np.float32([0, np.nan]).tobytes(), (1, 2), 32, sample_format=3),
        f"floating-point pixels that are NaN or outside 0..1; {EXPORT}",
    ),
    "float beyond 1": (
        "x.tif",
        tiff_bytes(np.float32([0, 4095]).tobytes(), (1, 2), 32, sample_format=3),
        f"floating-point pixels that are NaN or outside 0..1; {EXPORT}",
    ),
    "signed": ("x.tif", tiff_bytes(bytes(4), (1, 2), 16, sample_format=2), f"without a known white level; {EXPORT}"),
    "two pages": ("x.tif", two_pages("tif"), "holds 2 pictures; save each one in a file of its own"),
    "animated PNG": ("x.png", two_pages("png"), "holds 2 pictures; save each one in a file of its own"),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_file(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(HandsegInputError, match=rf"{name}: .*{message}"):
        read_radiograph(tmp_path / name)


@pytest.mark.parametrize("case", ["missing", "empty", "no suffix", "text", "no width", "bomb", "two pages"])
def test_bad_header_has_no_size(tmp_path: Path, case: str) -> None:
    name, content, message = BAD_FILES[case]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(HandsegInputError, match=rf"{name}: .*{message}"):
        read_size(tmp_path / name)


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "x.png").mkdir()
    with pytest.raises(HandsegInputError, match=r"x\.png: is not there or not a file; check the path"):
        read_radiograph(tmp_path / "x.png")


def test_limit_is_below_the_one_at_which_pillow_warns() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert Image.MAX_IMAGE_PIXELS > MAX_PIXELS


def test_largest_picture_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(GREY_8).save(tmp_path / "x.png")
    monkeypatch.setattr(stored, "MAX_PIXELS", GREY_8.size)
    assert read_radiograph(tmp_path / "x.png").shape == (1, 5, 7)
    monkeypatch.setattr(stored, "MAX_PIXELS", GREY_8.size - 1)
    with pytest.raises(HandsegInputError, match="has more than 34 pixels; crop or shrink it"):
        read_radiograph(tmp_path / "x.png")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["png", "jpg", "tif"]), st.data())
def test_damaged_bytes_raise_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, data: st.DataObject
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    content = bytearray(picture_bytes(Image.fromarray(GREY_8), suffix, exif=exif))
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[position] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = read_radiograph(path)
        except HandsegInputError:
            return
        assert image.shape == (1, *read_size(path))
        assert 0 <= image.min() <= image.max() <= 1


@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if suffix[:3] not in (".ni", ".dc")])
@pytest.mark.parametrize("bits", [8, 16])
def test_write_and_read(tmp_path: Path, suffix: str, bits: int) -> None:
    path = tmp_path / f"x{suffix}"
    image = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (1, 64, 1))
    is_jpeg = suffix in (".jpg", ".jpeg")
    if is_jpeg and bits == 16:
        with pytest.raises(HandsegInputError, match=r"cannot hold 16 bits a pixel; choose PNG or TIFF"):
            write_radiograph(path, image, bits)
        return
    write_radiograph(path, image, bits)
    tolerance = 0.02 if is_jpeg else 0.5 / (2**bits - 1) + 1e-7
    np.testing.assert_allclose(read_radiograph(path), image, atol=tolerance)


def test_write_clips_and_accepts_an_array_without_channel(tmp_path: Path) -> None:
    write_radiograph(tmp_path / "x.png", np.float32([[-0.5, 0.5, np.inf]]), bits=8)
    np.testing.assert_array_equal(read_radiograph(tmp_path / "x.png") * 255, [[[0, 128, 255]]])


@pytest.mark.parametrize(
    ("name", "value", "bits", "message"),
    [
        ("x.bmp", 0, 8, "has an unsupported suffix; use one of"),
        ("x.nii.gz", 0, 8, "has an unsupported suffix; use one of .png, .jpg, .jpeg, .tif, .tiff\\.$"),
        ("x.png", 0, 12, "cannot hold 12 bits a pixel; choose PNG or TIFF with 8 or 16 bits"),
        ("x.png", np.nan, 16, "would hold pixels that are not numbers; replace NaN"),
    ],
    ids=["suffix", "NIfTI", "bits", "NaN"],
)
def test_what_cannot_be_written(tmp_path: Path, name: str, value: float, bits: int, message: str) -> None:
    with pytest.raises(HandsegInputError, match=rf"{name}: {message}"):
        write_radiograph(tmp_path / name, np.full((1, 2, 2), value, np.float32), bits)
    assert list(tmp_path.iterdir()) == []
