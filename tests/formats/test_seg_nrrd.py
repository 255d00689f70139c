"""Segmentations of 3D Slicer, against pynrrd."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES, BONES, CHANNEL, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.formats.seg_nrrd import read_seg_nrrd, write_seg_nrrd
from handseg_bundle_common.masks import pack_masks

SIZE = (7, 5)


def blank() -> np.ndarray:
    return np.zeros((NUM_BONES, *SIZE), bool)


def overlapping() -> np.ndarray:
    """Return masks of which pisiform and triquetrum overlap; the others lie in a pixel each, the ulna in none."""
    masks = blank()
    for channel in range(NUM_BONES - 1):
        masks[channel, channel // 5, channel % 5] = True
    masks[CHANNEL["Pisiform"], 2:6, 1:4] = masks[CHANNEL["Triquetrum"], 1:4, 2:5] = True
    return masks


def read_with_pynrrd(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Return masks (29, H, W) by the segments' layers and label values, and the header."""
    data, header = nrrd.read(str(path))
    data = data if data.ndim == 4 else data[None]
    masks = np.zeros((NUM_BONES, data.shape[2], data.shape[1]), bool)
    for number in range(NUM_BONES):
        name, layer, value = (header[f"Segment{number}_{key}"] for key in ("Name", "Layer", "LabelValue"))
        masks[CHANNEL[name]] = np.equal(data[int(layer), :, :, 0].T, int(value))
    return masks, header


def test_pynrrd_reads_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "hand.seg.nrrd"
    write_seg_nrrd(path, MaskImage("hand.png", pack_masks(overlapping()), (0.14, 0.15)))
    masks, header = read_with_pynrrd(path)
    np.testing.assert_array_equal(masks, overlapping())
    assert header["kinds"] == ["list", "domain", "domain", "domain"]
    assert header["space"] == "left-posterior-superior"
    np.testing.assert_array_equal(header["space directions"][1:], np.diag([0.15, 0.14, 1]))
    geometry = header["Segmentation_ConversionParameters"].split("|")[1].split(";")
    assert [float(number) for number in geometry[:16:5]] == [-0.15, -0.14, 1, 1]
    assert geometry[16:] == ["0", "4", "0", "6", "0", "0", ""]
    assert header["Segment26_ID"] == header["Segment26_Name"] == "Pisiform"
    assert header["Segment26_Extent"] == "1 3 2 5 0 0"
    assert header["Segment28_Extent"] == "0 -1 0 -1 0 -1"
    colour = np.array(header["Segment26_Color"].split(), float)
    np.testing.assert_allclose(colour * 255, BONES[26].colour, atol=1e-3)


def test_as_few_layers_as_the_overlaps_need(tmp_path: Path) -> None:
    apart, heap = blank(), np.ones((NUM_BONES, *SIZE), bool)
    for channel in range(NUM_BONES):
        apart[channel, channel // 5, channel % 5] = True
    for name, masks, shape in (("apart", apart, (5, 7, 1)), ("heap", heap, (NUM_BONES, 5, 7, 1))):
        path = tmp_path / f"{name}.seg.nrrd"
        write_seg_nrrd(path, MaskImage("", pack_masks(masks)))
        assert nrrd.read(str(path))[0].shape == shape
        np.testing.assert_array_equal(read_with_pynrrd(path)[0], masks)
        np.testing.assert_array_equal(read_seg_nrrd(path).masks, pack_masks(masks))


def test_name_and_spacing_come_back(tmp_path: Path) -> None:
    for name, spacing in (("p1/händ 50%.png", (0.14, 1 / 7)), ("", None)):
        write_seg_nrrd(tmp_path / "x.seg.nrrd", MaskImage(name, pack_masks(overlapping()), spacing))
        back = read_seg_nrrd(tmp_path / "x.seg.nrrd")
        assert (back.name, back.spacing_mm, back.notes) == (name, spacing, ())


def slicer(path: Path, data: np.ndarray, segments: list[dict[str, object]], **fields: Any) -> Path:
    """Write label values ([layers,] columns, rows, 1) by pynrrd, as Slicer would."""
    is_list = data.ndim == 4
    header: dict[str, Any] = {
        "space": "left-posterior-superior",
        "kinds": ["list"] * is_list + ["domain"] * 3,
        "space directions": np.array([[np.nan] * 3] * is_list + np.diag([0.2, 0.2, 1]).tolist()),
        "space origin": np.zeros(3),
    }
    for number, segment in enumerate(segments):
        header |= {f"Segment{number}_{key}": str(value) for key, value in segment.items()}
    nrrd.write(str(path), data, header | fields)
    return path


def test_segments_that_share_a_layer_in_any_order(tmp_path: Path) -> None:
    data = np.zeros((2, 5, 7, 1), np.uint8)
    data[0, 1:3, 2, 0], data[0, 4, 4, 0], data[1, 2:4, 2:4, 0] = 7, 2, 1
    path = slicer(
        tmp_path / "x.seg.nrrd",
        data,
        [
            {"Name": "Ulna", "ID": "Segment_3", "Layer": 1, "LabelValue": 1},
            {"Name": "third metacarpal", "ID": "Segment_1", "Layer": 0, "LabelValue": 7},
            {"Name": "Segment_9", "ID": "Lunate", "Layer": 0, "LabelValue": 2},
            {"Name": "cast", "ID": "Segment_2", "Layer": 0, "LabelValue": 3},
        ],
    )
    back, masks = read_seg_nrrd(path), blank()
    masks[CHANNEL["finger-11"], 2, 1:3] = masks[CHANNEL["Lunate"], 4, 4] = masks[CHANNEL["Ulna"], 2:4, 2:4] = True
    np.testing.assert_array_equal(back.masks, pack_masks(masks))
    assert back.spacing_mm == (0.2, 0.2)
    missing, unknown = back.notes
    assert missing.count(",") == NUM_BONES - 4
    assert "Ulna" not in missing
    assert unknown.endswith("segment cast")


@pytest.mark.parametrize("kind", [np.int16, np.uint16, ">u2", np.int32])
@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
def test_types_and_encodings(tmp_path: Path, kind: Any, encoding: str) -> None:
    data = np.zeros((5, 7, 1), kind)
    data[1, 2, 0] = 3
    path = slicer(tmp_path / "x.seg.nrrd", data, [{"Name": "Ulna", "LabelValue": 3}], encoding=encoding)
    (rows, columns) = np.nonzero(read_seg_nrrd(path).masks)
    assert (rows.tolist(), columns.tolist()) == ([2], [1])


def test_old_files_have_a_layer_a_segment(tmp_path: Path) -> None:
    data = np.zeros((2, 5, 7, 1), np.uint8)
    data[0, 0, 0, 0] = data[1, 4, 6, 0] = 1
    path = slicer(tmp_path / "x.seg.nrrd", data, [{"Name": "Ulna", "ID": "a"}, {"Name": "Radius", "ID": "b"}])
    back = read_seg_nrrd(path).masks
    assert back[0, 0] == 1 << CHANNEL["Ulna"]
    assert back[6, 4] == 1 << CHANNEL["Radius"]


def test_cropped_files_find_their_place(tmp_path: Path) -> None:
    segments: list[dict[str, object]] = [{"Name": "Ulna", "LabelValue": 1, "Layer": 0}]
    offset = {"Segmentation_ReferenceImageExtentOffset": "3 1 0"}
    path = slicer(tmp_path / "x.seg.nrrd", np.ones((2, 4, 1), np.uint8), segments, **offset)
    expected = np.zeros((9, 8), bool)
    expected[1:5, 3:5] = True
    np.testing.assert_array_equal(read_seg_nrrd(path, (9, 8)).masks != 0, expected)
    back = read_seg_nrrd(path)
    np.testing.assert_array_equal(back.masks != 0, expected[:5, :5])
    assert "cropped" in back.notes[-1]
    with pytest.raises(HandsegInputError, match="covers 2 x 4 px from column 3, row 1 of 4 x 9"):
        read_seg_nrrd(path, (9, 4))


# A conversion parameter as 3D Slicer 5.13 writes it: an affine, and first and last column, row and slice.
GEOMETRY = "Smoothing factor|0.5|&Reference image geometry|-0.2;0;0;0;0;-0.2;0;0;0;0;1;0;0;0;0;1;0;{};0;{};0;0;|x&"


def test_the_image_is_as_large_as_slicer_says(tmp_path: Path) -> None:
    segments: list[dict[str, object]] = [{"Name": "Ulna", "LabelValue": 1, "Layer": 0}]
    fields = {"Segmentation_ReferenceImageExtentOffset": "3 1 0"}
    for (width, height), shape in (((10, 12), (12, 10)), ((2, 12), (5, 5)), ((10**9, 10**9), None), ("xx", (5, 5))):
        last = (width, height) if shape is None or width == "x" else (width - 1, height - 1)
        fields["Segmentation_ConversionParameters"] = GEOMETRY.format(*last)
        path = slicer(tmp_path / "x.seg.nrrd", np.ones((2, 4, 1), np.uint8), segments, **fields)
        if shape is None:
            with pytest.raises(HandsegInputError, match="more than"):
                read_seg_nrrd(path)
        else:
            back = read_seg_nrrd(path)
            assert back.masks.shape == shape
            assert back.masks[1:5, 3:5].all()
            assert any("cropped" in note for note in back.notes) == (shape == (5, 5))


def test_triquetrum_and_pisiform_in_one_segment_are_told(tmp_path: Path) -> None:
    segments: list[dict[str, object]] = [{"Name": "Pisiform_Triquetrum", "LabelValue": 1, "Layer": 0}]
    back = read_seg_nrrd(slicer(tmp_path / "x.seg.nrrd", np.ones((5, 7, 1), np.uint8), segments))
    assert (back.masks == 1 << CHANNEL["Triquetrum"]).all()
    assert "cannot be separated" in back.notes[-1]


def test_several_segments_of_a_bone_are_united_and_told(tmp_path: Path) -> None:
    data = np.array([1, 2, 0], np.uint8).reshape(3, 1, 1)
    names = ("Ulna", "distal ulna")
    segments: list[dict[str, object]] = [
        {"Name": name, "LabelValue": k + 1, "Layer": 0} for k, name in enumerate(names)
    ]
    back = read_seg_nrrd(slicer(tmp_path / "x.seg.nrrd", data, segments))
    assert back.masks.tolist() == [[1 << CHANNEL["Ulna"], 1 << CHANNEL["Ulna"], 0]]
    assert back.notes[-1] == "several segments became one: Ulna"


ULNA = "Segment0_Name:=Ulna\nSegment0_LabelValue:=1\n"
HEADER = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 5 7 1\nencoding: raw\n"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("NRRD0009\n", "does not begin with NRRD"),
        (HEADER, "header does not end"),
        (HEADER.replace("5 7 1", "5 7 3") + ULNA + "\n", "holds 3 slices"),
        (HEADER.replace("5 7 1", "50000 70000 1") + ULNA + "\n", "more than"),
        (HEADER.replace("5 7 1", "5 -7 1") + ULNA + "\n", "its sizes are"),
        (HEADER.replace("5 7 1", "5 7") + ULNA + "\n", "its sizes are"),
        (HEADER.replace("uchar", "float") + ULNA + "\n", "no integer"),
        (HEADER.replace("raw", "hex") + ULNA + "\n", "its encoding is 'hex'"),
        (HEADER + "data file: ../../etc/passwd\n" + ULNA + "\n", "in another file"),
        (HEADER + "byte skip: -1\n" + ULNA + "\n", "skips"),
        (HEADER + "\n", "no segments"),
        (HEADER + "Segment0_Name:=cast\n\n", "no segment with the name of a bone"),
        (HEADER + ULNA + "Segment0_Layer:=1\n\n", "value 1 in layer 1 of 1"),
        (HEADER + ULNA.replace("=1", "=x") + "\n", "layer is no number"),
        (HEADER + ULNA + "\n", "ends too early"),
        (HEADER.replace("raw", "gzip") + ULNA + "\n", "cannot be read as NRRD"),
        (HEADER.replace("dimension: 3", "dimension: 4").replace("5 7 1", "999 5 7 1") + ULNA + "\n", "999 layers"),
        (HEADER + "no field\n\n", "is no field"),
    ],
)
def test_files_that_cannot_be_used_are_refused(tmp_path: Path, header: str, message: str) -> None:
    (tmp_path / "x.seg.nrrd").write_text(header)
    with pytest.raises(HandsegInputError, match=message):
        read_seg_nrrd(tmp_path / "x.seg.nrrd")


def test_a_gzip_bomb_takes_no_memory(tmp_path: Path) -> None:
    """What stands behind the last label value is not unpacked."""
    content = (HEADER.replace("raw", "gzip") + ULNA + "\n").encode() + gzip.compress(bytes(50_000_000))
    (tmp_path / "x.seg.nrrd").write_bytes(content)
    assert not read_seg_nrrd(tmp_path / "x.seg.nrrd").masks.any()


def test_every_bone_has_a_segment(tmp_path: Path) -> None:
    write_seg_nrrd(tmp_path / "x.seg.nrrd", MaskImage("", pack_masks(blank())))
    header = nrrd.read_header(str(tmp_path / "x.seg.nrrd"))
    assert [header[f"Segment{number}_Name"] for number in range(NUM_BONES)] == list(BONE_NAMES)
