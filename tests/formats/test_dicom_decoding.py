"""Compressed, huge, damaged and malicious DICOM files: the right array or one clear error, in bounded memory."""

from __future__ import annotations

import io
import struct
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import read_radiograph, read_size

Make = Callable[..., Dataset]

GENERATOR = np.random.default_rng(0)
GREY_8 = GENERATOR.integers(0, 256, (36, 40), np.uint8)
GREY_12 = GENERATOR.integers(0, 4096, (36, 40), np.uint16)
BITS_12 = {"BitsStored": 12, "HighBit": 11}
RAMP = np.add.outer(np.arange(0, 120, 3), np.arange(0, 120, 3)).astype(np.uint8)


def save(dataset: Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def jpeg(levels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "JPEG", quality=98)
    return buffer.getvalue()


def lossless_jpeg(levels: np.ndarray, bits: int) -> bytes:
    """Encode by process 14, selection value 1 (ITU-T T.81, annex H), with categories of five bits each."""
    height, width = levels.shape
    out = ""
    for row in range(height):
        for column in range(width):
            above = int(levels[row - 1, 0]) if row else 1 << (bits - 1)
            predicted = int(levels[row, column - 1]) if column else above
            difference = int(levels[row, column]) - predicted
            category = abs(difference).bit_length()
            low = difference if difference >= 0 else difference + (1 << category) - 1
            out += f"{category:05b}" + (f"{low:0{category}b}" if category else "")
    out += "1" * (-len(out) % 8)
    scan = bytes(int(out[k : k + 8], 2) for k in range(0, len(out), 8)).replace(b"\xff", b"\xff\0")
    huffman = bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    frame = struct.pack(">BHHB", bits, height, width, 1) + bytes([1, 0x11, 0])
    head = b"\xff\xd8\xff\xc3" + struct.pack(">H", 2 + len(frame)) + frame
    head += b"\xff\xc4" + struct.pack(">H", 2 + len(huffman)) + huffman
    return head + b"\xff\xda" + struct.pack(">H", 8) + bytes([1, 1, 0, 1, 0, 0]) + scan + b"\xff\xd9"


def packed(dataset: Dataset, frame: bytes, syntax: UID) -> Dataset:
    """Put a compressed frame in place of the pixels."""
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian], ids=["implicit", "deflated"]
)
def test_plain_pixels(dicom_radiograph: Make, tmp_path: Path, syntax: UID) -> None:
    dataset = dicom_radiograph(GREY_12, **BITS_12)
    dataset.file_meta.TransferSyntaxUID = syntax
    path = save(dataset, tmp_path / "x.dcm")
    np.testing.assert_allclose(read_radiograph(path)[0], GREY_12 / 4095, atol=1e-6)
    assert read_size(path) == GREY_12.shape


def test_big_endian(dicom_radiograph: Make, tmp_path: Path) -> None:
    dataset = dicom_radiograph(GREY_12, **BITS_12, PixelData=GREY_12.astype(">u2").tobytes())
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dataset.save_as(tmp_path / "x.dcm", little_endian=False, implicit_vr=False, enforce_file_format=True)
    np.testing.assert_allclose(read_radiograph(tmp_path / "x.dcm")[0], GREY_12 / 4095, atol=1e-6)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=["RLE", "JPEG-LS", "JPEG 2000"])
@pytest.mark.parametrize(("levels", "white"), [(GREY_8, 255), (GREY_12, 4095)], ids=["8 bits", "12 bits"])
def test_lossless_compression(
    dicom_radiograph: Make, tmp_path: Path, syntax: UID, levels: np.ndarray, white: int
) -> None:
    dataset = dicom_radiograph(levels, **(BITS_12 if white == 4095 else {}))
    dataset.compress(syntax, generate_instance_uid=False)
    path = save(dataset, tmp_path / "x.dcm")
    np.testing.assert_allclose(read_radiograph(path)[0], levels / white, atol=1e-6)


def test_signed_rle(dicom_radiograph: Make, tmp_path: Path) -> None:
    levels = GENERATOR.integers(-2000, 2000, (36, 40), np.int16)
    dataset = dicom_radiograph(levels)
    dataset.compress(RLELossless, generate_instance_uid=False)
    low, high = int(levels.min()), int(levels.max())
    image = read_radiograph(save(dataset, tmp_path / "x.dcm"))[0]
    np.testing.assert_allclose(image, (levels.astype(float) - low) / (high - low), atol=1e-6)


@pytest.mark.parametrize(("levels", "bits"), [(GREY_8, 8), (GREY_12, 12)], ids=["8 bits", "12 bits"])
def test_lossless_jpeg(dicom_radiograph: Make, tmp_path: Path, levels: np.ndarray, bits: int) -> None:
    dataset = dicom_radiograph(levels, BitsStored=bits, HighBit=bits - 1)
    path = save(packed(dataset, lossless_jpeg(levels, bits), JPEGLosslessSV1), tmp_path / "x.dcm")
    np.testing.assert_allclose(read_radiograph(path)[0], levels / (2**bits - 1), atol=1e-6)


@pytest.mark.parametrize("kind", ["YBR_FULL", "YBR_FULL_422"])
def test_colour_of_lossy_jpeg(dicom_radiograph: Make, tmp_path: Path, kind: str) -> None:
    colours = np.stack([RAMP, RAMP // 2, 255 - RAMP], axis=-1)
    dataset = dicom_radiograph(colours, PhotometricInterpretation=kind)
    path = save(packed(dataset, jpeg(colours), JPEGBaseline8Bit), tmp_path / "x.dcm")
    np.testing.assert_allclose(read_radiograph(path)[0], colours @ [0.299, 0.587, 0.114] / 255, atol=0.02)


def test_plain_luminance_and_chrominance(dicom_radiograph: Make, tmp_path: Path) -> None:
    colours = np.stack([RAMP, np.full_like(RAMP, 128), np.full_like(RAMP, 128)], axis=-1)
    path = save(dicom_radiograph(colours, PhotometricInterpretation="YBR_FULL"), tmp_path / "x.dcm")
    np.testing.assert_allclose(read_radiograph(path)[0], RAMP / 255, atol=0.005)


def test_lossy_jpeg(dicom_radiograph: Make, tmp_path: Path) -> None:
    path = save(packed(dicom_radiograph(RAMP), jpeg(RAMP), JPEGBaseline8Bit), tmp_path / "x.dcm")
    np.testing.assert_allclose(read_radiograph(path)[0], RAMP / 255, atol=0.02)


@pytest.mark.parametrize(
    ("syntax", "remedy"),
    [
        (JPEGLosslessSV1, r"pip install pylibjpeg pylibjpeg-libjpeg, or python-gdcm"),
        (JPEGLSLossless, r"pip install pyjpegls"),
        (JPEG2000Lossless, r"pip install pylibjpeg pylibjpeg-openjpeg"),
    ],
)
def test_missing_plugin(
    dicom_radiograph: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: UID, remedy: str
) -> None:
    path = save(packed(dicom_radiograph(GREY_8), b"\xff\xd8", syntax), tmp_path / "x.dcm")
    nothing = SimpleNamespace(available_plugins=())
    monkeypatch.setattr("pydicom.pixels.decoders.base.get_decoder", lambda syntax: nothing)
    with pytest.raises(HandsegInputError, match=rf"compressed as JPEG.*, for which a plugin is missing; {remedy}\.$"):
        read_radiograph(path)


def test_extended_jpeg_of_12_bits_needs_more_than_pillow(
    dicom_radiograph: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(packed(dicom_radiograph(GREY_12, **BITS_12), b"\xff\xd8", JPEGExtended12Bit), tmp_path / "x.dcm")
    pillow = SimpleNamespace(available_plugins=("pillow",))
    monkeypatch.setattr("pydicom.pixels.decoders.base.get_decoder", lambda syntax: pillow)
    with pytest.raises(HandsegInputError, match=r"compressed as JPEG Extended.*, for which a plugin is missing; pip"):
        read_radiograph(path)


def test_extended_jpeg_of_8_bits(dicom_radiograph: Make, tmp_path: Path) -> None:
    path = save(packed(dicom_radiograph(RAMP), jpeg(RAMP), JPEGExtended12Bit), tmp_path / "x.dcm")
    np.testing.assert_allclose(read_radiograph(path)[0], RAMP / 255, atol=0.02)


def refused(path: Path, match: str, most_bytes: int = 60 << 20) -> None:
    """Expect one error, and no more memory than that on the way."""
    tracemalloc.start()
    with pytest.raises(HandsegInputError, match=match):
        read_radiograph(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most_bytes


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (JPEGBaseline8Bit, jpeg),
        (JPEGLosslessSV1, lambda levels: lossless_jpeg(levels, 8)),
    ],
    ids=["JPEG", "lossless JPEG"],
)
def test_frame_larger_than_the_header_says(
    dicom_radiograph: Make, tmp_path: Path, syntax: UID, encode: Callable[[np.ndarray], bytes]
) -> None:
    frame = encode(np.zeros((60, 50), np.uint8))
    path = save(packed(dicom_radiograph(GREY_8), frame, syntax), tmp_path / "x.dcm")
    refused(path, r"its compressed pixels are \(60, 50\), its header says \(36, 40\)")


def test_jpeg_2000_that_claims_to_be_huge(dicom_radiograph: Make, tmp_path: Path) -> None:
    dataset = dicom_radiograph(GREY_8)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    start = dataset.PixelData.index(b"\xff\x4f\xff\x51") + 8
    dataset.PixelData = dataset.PixelData[:start] + struct.pack(">2L", 60_000, 60_000) + dataset.PixelData[start + 8 :]
    refused(save(dataset, tmp_path / "x.dcm"), r"its compressed pixels are \(60000, 60000\)")


def test_size_that_hides_in_a_comment(dicom_radiograph: Make, tmp_path: Path) -> None:
    """Each family is asked for its own header alone."""
    fake = b"\xff\x4f\xff\x51" + struct.pack(">HH4L", 41, 0, 40, 36, 0, 0)
    frame = jpeg(np.zeros((600, 500), np.uint8))
    frame = frame[:2] + b"\xff\xfe" + struct.pack(">H", len(fake) + 2) + fake + frame[2:]
    path = save(packed(dicom_radiograph(GREY_8), frame, JPEGBaseline8Bit), tmp_path / "x.dcm")
    refused(path, r"its compressed pixels are \(600, 500\)")
    path = save(packed(dicom_radiograph(GREY_8), b"\0" + fake, JPEG2000Lossless), tmp_path / "x.dcm")
    refused(path, "its compressed pixels are no codestream of JPEG 2000")
    path = save(packed(dicom_radiograph(GREY_8), b"\xff\xd8\xff\xd9", JPEGBaseline8Bit), tmp_path / "x.dcm")
    refused(path, "its compressed pixels do not tell their size")


def test_run_lengths_that_unroll_to_too_much(dicom_radiograph: Make, tmp_path: Path) -> None:
    bomb = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\0" * 300_000
    refused(
        save(packed(dicom_radiograph(GREY_8), bomb, RLELossless), tmp_path / "x.dcm"), "unroll to more than its pixels"
    )


def test_deflated_bomb(dicom_radiograph: Make, tmp_path: Path) -> None:
    """What follows the pixels is not inflated."""
    dataset = dicom_radiograph(GREY_8)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = save(dataset, tmp_path / "x.dcm")
    content = path.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    inflated = zlib.decompress(content[start:], -zlib.MAX_WBITS)
    bomb = deflater.compress(inflated) + b"".join(deflater.compress(bytes(1 << 20)) for _ in range(300))
    path.write_bytes(content[:start] + bomb + deflater.flush())
    tracemalloc.start()
    np.testing.assert_allclose(read_radiograph(path)[0], GREY_8 / 255, atol=1e-6)
    assert tracemalloc.get_traced_memory()[1] < 60 << 20
    tracemalloc.stop()


def test_value_that_claims_to_be_long(dicom_radiograph: Make, tmp_path: Path) -> None:
    path = save(dicom_radiograph(GREY_8), tmp_path / "x.dcm")
    content = path.read_bytes()
    private = struct.pack("<HH2sHL", 9, 0x1001, b"OB", 0, 0xF0000000)
    place = content.index(struct.pack("<HH", 0x10, 0x10))
    path.write_bytes(content[:place] + private + content[place:])
    refused(path, "x.dcm: ")


def table(bits: int) -> list[Dataset]:
    """Return the only item of a sequence of tables of grey levels."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [256, 9, bits])
    item.add_new("LUTData", "US", [k * k % (1 << bits) for k in range(256)])
    return [item]


def seeds(make: Make) -> dict[str, Dataset]:
    window = make(GREY_12[:6, :10], **BITS_12, WindowCenter=2000, WindowWidth=900, PixelPaddingValue=0)
    rle, jpeg_ls, jpeg_2000 = (make(GREY_8.copy()) for _ in range(3))
    rle.compress(RLELossless, generate_instance_uid=False)
    jpeg_ls.compress(JPEGLSLossless, generate_instance_uid=False)
    jpeg_2000.compress(JPEG2000Lossless, generate_instance_uid=False)
    lossless = packed(make(GREY_8[:6, :10].copy()), lossless_jpeg(GREY_8[:6, :10], 8), JPEGLosslessSV1)
    deflated = make(GREY_8[:6, :10].copy())
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    tables = make(GREY_12[:6, :10], **BITS_12, ModalityLUTSequence=table(16), VOILUTSequence=table(12))
    kinds = {"tables": tables, "plain": window, "RLE": rle, "JPEG-LS": jpeg_ls, "JPEG 2000": jpeg_2000}
    return kinds | {"lossless JPEG": lossless, "deflated": deflated}


@pytest.fixture(scope="module")
def contents(dicom_radiograph: Make) -> dict[str, bytes]:
    found = {}
    for name, dataset in seeds(dicom_radiograph).items():
        buffer = io.BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        found[name] = buffer.getvalue()
    return found


@settings(max_examples=300)
@given(
    st.sampled_from(["plain", "tables", "RLE", "JPEG-LS", "JPEG 2000", "lossless JPEG", "deflated"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=5),
    st.floats(0, 1),
)
def test_damaged_file_gives_an_array_or_one_error(
    contents: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    case: str,
    flips: list[tuple[float, int]],
    share: float,
) -> None:
    content = bytearray(contents[case])
    for position, change in flips:
        # The preamble means nothing, and what follows is read only with its mark.
        content[132 + int(position * (len(content) - 132))] ^= change
    path = tmp_path_factory.getbasetemp() / "damaged.dcm"
    # Most files stay whole, so that the flips matter.
    path.write_bytes(content[: round(min(1, 2 * share) * len(content))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            image = read_radiograph(path)
        except HandsegInputError as error:
            assert "\n" not in str(error)
        else:
            assert image.shape == (1, *read_size(path))
            assert 0 <= image.min() <= image.max() <= 1
