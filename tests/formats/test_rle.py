"""Run-length codes, against a pixel-by-pixel encoder and pycocotools."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pycocotools.mask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.rle import (
    SubmissionWriter,
    decode_packed,
    decode_rle,
    encode_masks,
    encode_rle,
    read_submission,
)
from handseg_bundle_common.formats.runs import decode_runs, encode_runs
from handseg_bundle_common.masks import pack_masks, unpack_masks

masks_2d = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=15))


def naive_encode(mask: np.ndarray) -> str:
    """Walk over the pixels row by row and note where a run starts and how long it lasts."""
    numbers: list[int] = []
    covered_before = False
    for position, covered in enumerate(mask.ravel(), start=1):
        if covered and not covered_before:
            numbers += [position, 0]
        if covered:
            numbers[-1] += 1
        covered_before = bool(covered)
    return " ".join(str(number) for number in numbers)


def write_csv(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def complete_rows(image_name: str = "a.png") -> list[list[str]]:
    return [["image_name", "class", "rle"], *([image_name, bone, "1 2"] for bone in BONE_NAMES)]


@pytest.mark.parametrize(
    ("mask", "rle"),
    [
        ([[0, 0, 0], [0, 0, 0]], ""),
        ([[1, 1, 1], [1, 1, 1]], "1 6"),
        ([[0, 0, 1], [1, 0, 1]], "3 2 6 1"),
        ([[1, 0, 0], [0, 0, 1]], "1 1 6 1"),
    ],
    ids=["empty", "full", "a run goes on in the next row", "first and last pixel"],
)
def test_code_of_small_masks(mask: list[list[int]], rle: str) -> None:
    assert encode_rle(np.array(mask, bool)) == rle


@given(masks_2d)
def test_encoding_is_that_of_the_naive_encoder(mask: np.ndarray) -> None:
    assert encode_rle(mask) == naive_encode(mask)
    assert encode_rle(mask.T) == naive_encode(mask.T)
    assert encode_rle(mask.astype(np.uint8) * 255) == naive_encode(mask)


@given(masks_2d)
def test_decoding_inverts_encoding(mask: np.ndarray) -> None:
    decoded = decode_rle(encode_rle(mask), *mask.shape)
    assert decoded.dtype == bool
    np.testing.assert_array_equal(decoded, mask)


@given(masks_2d)
def test_pycocotools_understands_the_runs(mask: np.ndarray) -> None:
    """Its codes count background and mask in turn, column after column: those of the transposed mask."""
    counts, end = [], 0
    numbers = [int(number) for number in encode_rle(mask).split()]
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        counts += [start - 1 - end, length]
        end = start - 1 + length
    counts.append(mask.size - end)
    height, width = mask.shape
    coco = pycocotools.mask.frPyObjects({"size": [width, height], "counts": counts}, width, height)
    np.testing.assert_array_equal(pycocotools.mask.decode(coco).T, mask)


@given(masks_2d)
def test_runs_are_those_of_the_mask(mask: np.ndarray) -> None:
    starts, ends = decode_runs([naive_encode(mask)], ["code"])
    assert starts.dtype == ends.dtype == np.int64
    inside = [pixel for start, end in zip(starts, ends, strict=True) for pixel in range(start, end)]
    assert inside == np.flatnonzero(mask).tolist()
    assert encode_runs(starts, ends) == naive_encode(mask)


@given(arrays(bool, st.tuples(st.just(NUM_BONES), st.integers(1, 6), st.integers(1, 6))))
def test_codes_of_an_image_give_the_packed_masks_they_were_made_of(masks: np.ndarray) -> None:
    np.testing.assert_array_equal(decode_packed(encode_masks(masks), *masks.shape[1:]), pack_masks(masks))


@given(arrays(np.uint32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 2**NUM_BONES - 1)))
def test_packed_masks_give_the_codes_of_every_bone(packed: np.ndarray) -> None:
    codes = encode_masks(packed)
    assert codes == encode_masks(unpack_masks(packed)) == [naive_encode(mask) for mask in unpack_masks(packed)]
    assert encode_masks(packed.T) == [naive_encode(mask) for mask in unpack_masks(packed.T)]
    np.testing.assert_array_equal(decode_packed(codes, *packed.shape), packed)


def test_a_picture_without_pixels_has_empty_codes() -> None:
    assert encode_masks(np.zeros((0, 3), np.uint32)) == [""] * NUM_BONES
    assert decode_packed([""] * NUM_BONES, 0, 3).shape == (0, 3)


def test_runs_that_touch_are_one() -> None:
    np.testing.assert_array_equal(decode_packed(["1 2 3 1", *[""] * (NUM_BONES - 1)], 1, 4), [[1, 1, 1, 0]])


def test_codes_of_a_larger_picture_are_refused() -> None:
    codes = ["", "4 2", *[""] * (NUM_BONES - 2)]
    with pytest.raises(HandsegInputError, match=r"a.csv, finger-2: the run 4 2 ends beyond the 2 x 2 pixels"):
        decode_packed(codes, 2, 2, "a.csv")


@pytest.mark.parametrize("rle", ["1 2 5 1", " 1 2\n5\t1 ", "001 2 5 01", "1\u00a02 5\x1c1", "1  2\r\n5  1"])
def test_any_white_space_and_leading_zeros_are_accepted(rle: str) -> None:
    np.testing.assert_array_equal(decode_runs([rle], ["code"]), [[0, 4], [2, 5]])


@pytest.mark.parametrize("rle", ["", " ", "\n\t"])
def test_no_numbers_are_no_runs(rle: str) -> None:
    assert not decode_rle(rle, 2, 3).any()
    np.testing.assert_array_equal(decode_runs([rle], ["code"]), np.empty((2, 0)))


def test_touching_runs_are_accepted() -> None:
    np.testing.assert_array_equal(decode_rle("1 2 3 1", 2, 3), [[1, 1, 1], [0, 0, 0]])


@pytest.mark.parametrize(
    ("rle", "problem"),
    [
        ("1", "has an odd count of numbers, 1"),
        ("1 2 4", "has an odd count of numbers, 3"),
        ("1 x", "'x' is no pixel number"),
        ("1 2.0", r"'2\.0' is no pixel number"),
        ("1 1_0", "'1_0' is no pixel number"),
        ("\u0661 1", "'\u0661' is no pixel number"),
        ("=1+1 1", r"'=1\+1' is no pixel number"),
        ("9" * 5000 + " 1", "'9{20}' is no pixel number"),
        ("nan", "'nan' is no pixel number"),
        ("0 2", "the run 0 2 starts or lasts less than 1"),
        ("1 0", "the run 1 0 starts or lasts less than 1"),
        ("-1 2", "the run -1 2 starts or lasts less than 1"),
        ("2 -1", "the run 2 -1 starts or lasts less than 1"),
        ("1 3 3 1", "the run 3 1 overlaps or precedes"),
        ("4 1 1 1", "the run 1 1 overlaps or precedes"),
        ("6 2", "the run 6 2 ends beyond the 3 x 2 pixels"),
        ("7 1", "the run 7 1 ends beyond the 3 x 2 pixels"),
        ("999999999999999999 1", "the run 9{18} 1 ends beyond the 3 x 2 pixels"),
    ],
)
def test_bad_code(rle: str, problem: str) -> None:
    with pytest.raises(HandsegInputError, match=rf"^a\.csv, Ulna: {problem}.*; encode the mask again\.$"):
        decode_rle(rle, 2, 3, source="a.csv, Ulna")


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=6), arrays(bool, (NUM_BONES, 2, 3)), max_size=3))
def test_submission_round_trip(tmp_path_factory: pytest.TempPathFactory, images: dict[str, np.ndarray]) -> None:
    path = tmp_path_factory.mktemp("submission") / "submission.csv"
    with SubmissionWriter(path) as submission:
        for image_name, masks in images.items():
            submission.write(image_name, masks)
    read = read_submission(path)
    assert list(read) == list(images)
    for image_name, masks in images.items():
        assert list(read[image_name]) == list(BONE_NAMES)
        np.testing.assert_array_equal([decode_rle(rle, 2, 3) for rle in read[image_name].values()], masks)


@pytest.mark.parametrize(
    "image_name", ["001", "1e5", "NA", "a,b.png", 'a"b".png', "a\nb.png", "a\rb.png", " a ", "=1+1", "\u624b", "\udcff"]
)
def test_image_names_stay_text(tmp_path: Path, image_name: str) -> None:
    with SubmissionWriter(tmp_path / "x.csv") as submission:
        submission.write(image_name, np.zeros((NUM_BONES, 1, 1), bool))
    assert list(read_submission(tmp_path / "x.csv")) == [image_name]


def test_written_file_has_29_rows_an_image_in_channel_order(tmp_path: Path) -> None:
    masks = np.zeros((NUM_BONES, 2, 2), bool)
    masks[0, 0, 1] = True
    with SubmissionWriter(tmp_path / "x.csv") as submission:
        submission.write("a.png", masks)
        submission.write("b.png", pack_masks(masks))
    rows = (tmp_path / "x.csv").read_text().splitlines()
    assert rows[:3] == ["image_name,class,rle", "a.png,finger-1,2 1", "a.png,finger-2,"]
    assert [row.split(",")[1] for row in rows[1:]] == [*BONE_NAMES, *BONE_NAMES]
    assert rows[30] == "b.png,finger-1,2 1"


def test_submission_appears_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with pytest.raises(RuntimeError, match="interrupted"), SubmissionWriter(path) as submission:
        submission.write("a.png", np.zeros((NUM_BONES, 2, 2), bool))
        assert not path.exists()
        raise RuntimeError("interrupted")
    assert list(tmp_path.iterdir()) == []


def test_submission_needs_a_folder_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(HandsegInputError, match=r"cannot be written.*choose a folder"),
        SubmissionWriter(tmp_path / "file" / "x.csv"),
    ):
        pass


def test_writing_an_image_twice_is_refused(tmp_path: Path) -> None:
    masks = np.zeros((NUM_BONES, 2, 2), bool)
    message = r"x\.csv: would hold the image 'a\.png' twice; rename"
    with pytest.raises(HandsegInputError, match=message), SubmissionWriter(tmp_path / "x.csv") as submission:
        submission.write("a.png", masks)
        submission.write("a.png", masks)
    assert list(tmp_path.iterdir()) == []


def test_rows_may_come_in_any_order_and_after_a_byte_order_mark(tmp_path: Path) -> None:
    header, *rows = complete_rows()
    path = write_csv(tmp_path / "x.csv", [header, *reversed(rows)])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert list(read_submission(path)["a.png"]) == list(BONE_NAMES)


def test_a_bone_without_a_row_is_empty_on_request(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", complete_rows()[:-1])
    assert read_submission(path, allow_missing=True)["a.png"] == dict.fromkeys(BONE_NAMES, "1 2") | {"Ulna": ""}


def test_codes_longer_than_the_csv_module_expects(tmp_path: Path) -> None:
    masks = np.zeros((NUM_BONES, 200, 400), bool)
    masks[5, :, ::2] = True
    with SubmissionWriter(tmp_path / "x.csv") as submission:
        submission.write("a.png", masks)
    limit = csv.field_size_limit()
    rle = read_submission(tmp_path / "x.csv")["a.png"][BONE_NAMES[5]]
    assert len(rle) > limit
    assert csv.field_size_limit() == limit
    np.testing.assert_array_equal(decode_rle(rle, 200, 400), masks[5])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "does not start with the line image_name,class,rle; write"),
        ([["image", "class", "rle"]], "does not start with the line image_name,class,rle; write"),
        ([*complete_rows(), ["a.png", "Ulna"]], "line 31 has 2 fields, not 3; write"),
        ([*complete_rows(), ["a.png", "Ulna", "", ""]], "line 31 has 4 fields, not 3; write"),
        ([*complete_rows(), ["a.png", "ulna", ""]], "line 31 has the unknown class 'ulna'; use finger-1, .*Ulna"),
        ([*complete_rows(), ["a.png", "Ulna", ""]], r"line 31 repeats Ulna of 'a\.png'; write"),
        (complete_rows()[:-2], r"'a\.png' lacks 2 of 29 classes, Radius first; write a row with an empty code"),
    ],
    ids=["empty", "header", "two fields", "four fields", "unknown class", "class twice", "class missing"],
)
def test_bad_submission(tmp_path: Path, rows: list[list[str]], message: str) -> None:
    with pytest.raises(HandsegInputError, match=rf"bad\.csv: {message}"):
        read_submission(write_csv(tmp_path / "bad.csv", rows))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cannot be read \(No such file or directory\); name a submission CSV"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "does not start with the line"),
        (b'image_name,class,rle\n"a.png,finger-1,\n', "is not a CSV file .*; write the submission again"),
    ],
    ids=["missing", "a picture", "open quote"],
)
def test_file_that_is_no_submission(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(HandsegInputError, match=rf"bad\.csv: {message}"):
        read_submission(tmp_path / "bad.csv")
