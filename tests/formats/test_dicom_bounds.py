"""DICOM files that would take much memory: one error or the right array, and no more memory than the picture needs."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.dicom import is_dicom_seg, read_dicom_side_tag, read_dicom_spacing
from handseg_bundle_common.formats.radiograph import read_radiograph, read_size

Make = Callable[..., Dataset]

GREY = np.random.default_rng(0).integers(0, 256, (36, 40), np.uint8)
ITEM, END = struct.pack("<HHL", 0xFFFE, 0xE000, 0), struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
MEBIBYTE = 1 << 20
# Without bounds, the worst of these headers takes two gigabytes.
MOST = 60 * MEBIBYTE


def element(tag: int, kind: str, value: bytes, *, is_explicit: bool, length: int | None = None) -> bytes:
    """Encode an element of a kind with four bytes for its length (PS3.5, 7.1)."""
    length = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    return head + (struct.pack("<2sHL", kind.encode(), 0, length) if is_explicit else struct.pack("<L", length)) + value


def empty_elements(count: int, *, is_explicit: bool) -> bytes:
    """Return elements without a value, each with a tag of its own."""
    tags = np.arange(count, dtype=np.uint32)
    out = np.zeros((count, 4), np.uint16)
    out[:, 0], out[:, 1] = 0x11 + 2 * (tags >> 16), tags
    if is_explicit:
        out[:, 2] = int.from_bytes(b"LO", "little")
    return out.tobytes()


def with_header(make: Make, path: Path, extra: Callable[..., bytes], syntax: UID, mebibytes: int = 0) -> Path:
    """Write a radiograph with content before its patient's name, and after it elements of that many MiB of zeros."""
    dataset = make(GREY)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if syntax.is_implicit_VR else ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    is_explicit = not syntax.is_implicit_VR
    place = content.index(struct.pack("<HH", 0x10, 0x10))
    start = 144 + int.from_bytes(content[140:144], "little")
    plain = [content[start:place], extra(is_explicit=is_explicit)]
    head = element(0x00091001, "OB", b"", is_explicit=is_explicit, length=mebibytes * MEBIBYTE)
    plain += [head, *[bytes(MEBIBYTE)] * mebibytes] if mebibytes else []
    plain.append(content[place:])
    meta = content[:start]
    if syntax == DeflatedExplicitVRLittleEndian:
        old, new = ExplicitVRLittleEndian.encode() + b"\0", DeflatedExplicitVRLittleEndian.encode()
        changed = meta.replace(struct.pack("<H", len(old)) + old, struct.pack("<H", len(new)) + new)
        meta = changed[:140] + struct.pack("<L", len(changed) - 144) + changed[144:]
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        plain = [*map(deflater.compress, plain), deflater.flush()]
    path.write_bytes(meta + b"".join(plain))
    return path


def nothing(*, is_explicit: bool) -> bytes:
    return b""


def items(*, is_explicit: bool) -> bytes:
    """Return a private sequence without a length, of two million empty items, each a data set for pydicom."""
    return element(0x00091001, "SQ", ITEM * (2 << 20) + END, is_explicit=is_explicit, length=0xFFFFFFFF)


def items_of_known_length(*, is_explicit: bool) -> bytes:
    """Return a table of grey levels of empty items, which pydicom unpacks when it is asked for."""
    return element(0x00283010, "SQ", ITEM * (100 << 10), is_explicit=is_explicit)


def nested(*, is_explicit: bool) -> bytes:
    """Return sequences in each other."""
    endless = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    return 3000 * (element(0x00091001, "SQ", b"", is_explicit=is_explicit, length=0xFFFFFFFF) + endless)


def elements(*, is_explicit: bool) -> bytes:
    return empty_elements(1 << 20, is_explicit=is_explicit)


def text(*, is_explicit: bool) -> bytes:
    """Return twenty texts of a megabyte, each short enough to be read."""
    return b"".join(element(0x00091001 + k, "UT", bytes(MEBIBYTE - 8), is_explicit=is_explicit) for k in range(20))


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}
HEADERS = [(header, syntax) for header in (items, items_of_known_length, nested, text) for syntax in SYNTAXES]


@pytest.mark.parametrize(("header", "syntax"), [*HEADERS, (elements, "explicit")])
def test_header_that_would_take_much_memory(
    dicom_radiograph: Make, tmp_path: Path, header: Callable[..., bytes], syntax: str
) -> None:
    path = with_header(dicom_radiograph, tmp_path / "x.dcm", header, SYNTAXES[syntax])

    def refuse() -> None:
        with pytest.raises(HandsegInputError, match=r"/x\.dcm: [^\n]*\.$"):
            read_radiograph(path)

    assert peak(refuse) < MOST


@pytest.mark.parametrize("read", [read_size, read_dicom_side_tag, read_dicom_spacing, is_dicom_seg])
def test_whoever_reads_a_header(dicom_radiograph: Make, tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = with_header(dicom_radiograph, tmp_path / "x.dcm", items, ExplicitVRLittleEndian)
    with pytest.raises(HandsegInputError, match="holds much more than its picture"):
        read(path)


def test_the_error_of_a_header_says_what_is_wrong(dicom_radiograph: Make, tmp_path: Path) -> None:
    path = with_header(dicom_radiograph, tmp_path / "x.dcm", items, ExplicitVRLittleEndian)
    with pytest.raises(
        HandsegInputError, match=r"x\.dcm: holds much more than its picture and a header of 16 MiB; export it again"
    ):
        read_size(path)


@pytest.mark.parametrize("mebibytes", [40, 400])
def test_deflated_bomb_before_the_pixels(dicom_radiograph: Make, tmp_path: Path, mebibytes: int) -> None:
    path = with_header(
        dicom_radiograph, tmp_path / "x.dcm", nothing, DeflatedExplicitVRLittleEndian, mebibytes=mebibytes
    )
    assert path.stat().st_size < MEBIBYTE

    def refuse() -> None:
        for read in (read_size, read_radiograph):
            with pytest.raises(HandsegInputError, match="holds much more than its picture and a header of 16 MiB"):
                read(path)

    assert peak(refuse) < 60 * MEBIBYTE


def test_deflated_file_that_hides_its_syntax(dicom_radiograph: Make, tmp_path: Path) -> None:
    """Elements of the meta group that are out of order or encoded otherwise must not lead past the bounds."""
    path = with_header(dicom_radiograph, tmp_path / "x.dcm", nothing, DeflatedExplicitVRLittleEndian, mebibytes=200)
    content = path.read_bytes()
    place = content.index(struct.pack("<HH", 2, 0x10))
    # The same element as implicit VR.
    length = int.from_bytes(content[place + 6 : place + 8], "little")
    hidden = content[place : place + 4] + struct.pack("<L", length)
    path.write_bytes(content[:place] + hidden + content[place + 8 :])

    def refuse() -> None:
        with pytest.raises(HandsegInputError):
            read_size(path)

    assert peak(refuse) < 60 * MEBIBYTE


def test_long_values_beside_the_pixels_are_passed_over(dicom_radiograph: Make, tmp_path: Path) -> None:
    """Devices keep what the detector measured in private elements, beside the picture."""
    path = with_header(dicom_radiograph, tmp_path / "x.dcm", nothing, ExplicitVRLittleEndian, mebibytes=40)
    with path.open("ab") as file:
        file.truncate(path.stat().st_size + (200 << 20))  # what follows the pixels does not count; no disk is filled

    def read() -> None:
        np.testing.assert_allclose(read_radiograph(path)[0], GREY / 255, atol=1e-6)

    assert peak(read) < 20 * MEBIBYTE


def test_deflated_with_a_long_value(dicom_radiograph: Make, tmp_path: Path) -> None:
    path = with_header(dicom_radiograph, tmp_path / "x.dcm", nothing, DeflatedExplicitVRLittleEndian, mebibytes=10)
    np.testing.assert_allclose(read_radiograph(path)[0], GREY / 255, atol=1e-6)


@pytest.mark.parametrize("claim", [5 << 20, 0xFFFFFFFE])
def test_pixels_longer_than_the_picture(dicom_radiograph: Make, tmp_path: Path, claim: int) -> None:
    path = tmp_path / "x.dcm"
    dicom_radiograph(GREY).save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    place = content.index(struct.pack("<HH", 0x7FE0, 0x10)) + 8
    path.write_bytes(content[:place] + struct.pack("<L", claim) + content[place + 4 :])

    def refuse() -> None:
        with pytest.raises(HandsegInputError, match="holds much more than its picture"):
            read_radiograph(path)

    assert peak(refuse) < 20 * MEBIBYTE
