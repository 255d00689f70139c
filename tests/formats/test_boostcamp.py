"""Polygon JSON, against OpenCV's fill of the whole image and SciPy's filling of holes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import binary_fill_holes, gaussian_filter

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import (
    masks_to_annotations,
    rasterise,
    rasterise_packed,
    read_annotations,
    write_annotations,
)
from handseg_bundle_common.masks import pack_masks, unpack_masks

TRIANGLE = [[1, 1], [6, 1], [1, 6]]
SQUARE = [[4, 4], [9, 4], [9, 9], [4, 9]]


def annotation(label: Any = "Radius", points: Any = TRIANGLE) -> dict[str, Any]:
    return {"id": "x", "type": "poly_seg", "attributes": {}, "points": points, "label": label}


def write_json(path: Path, *annotations: Any) -> Path:
    path.write_text(json.dumps({"annotations": list(annotations)}))
    return path


def naive_fill(rings: list[Any], height: int, width: int) -> np.ndarray:
    """Fill each ring in an image of its own and unite them."""
    united = np.zeros((height, width), bool)
    for ring in rings:
        image = np.zeros((height, width), np.uint8)
        cv2.fillPoly(image, [np.round(np.asarray(ring, float)).astype(np.int32)], 1)
        united |= image.astype(bool)
    return united


@pytest.mark.parametrize(
    ("points", "rings"),
    [(TRIANGLE, [TRIANGLE]), ([TRIANGLE], [TRIANGLE]), ([TRIANGLE, SQUARE], [TRIANGLE, SQUARE])],
    ids=["one ring", "list of one ring", "list of rings of different lengths"],
)
def test_points_are_a_ring_or_a_list_of_rings(tmp_path: Path, points: Any, rings: Any) -> None:
    read = read_annotations(write_json(tmp_path / "x.json", annotation(points=points)))
    assert list(read) == ["Radius"]
    assert [ring.tolist() for ring in read["Radius"]] == rings
    assert all(ring.dtype == np.float64 for ring in read["Radius"])


def test_a_bone_annotated_twice_has_both_rings(tmp_path: Path) -> None:
    path = write_json(tmp_path / "x.json", annotation(), annotation("Ulna"), annotation(points=SQUARE))
    assert {name: len(rings) for name, rings in read_annotations(path).items()} == {"Radius": 2, "Ulna": 1}


def test_a_missing_bone_has_an_empty_mask(tmp_path: Path) -> None:
    masks = rasterise(read_annotations(write_json(tmp_path / "x.json", annotation())), 10, 10)
    assert masks.shape == (NUM_BONES, 10, 10)
    assert np.flatnonzero(masks.any(axis=(1, 2))).tolist() == [CHANNEL["Radius"]]


BAD_ENTRIES = {
    "unknown label": (annotation("radius"), "unknown label 'radius'; use one of finger-1, .*Radius, Ulna"),
    "label is no text": (annotation(["Radius"]), r"unknown label \['Radius'\]; use one of"),
    "no label": ({"points": TRIANGLE}, 'annotation 1 has no "label" or no "points"; export'),
    "no points": ({"label": "Ulna"}, 'annotation 1 has no "label" or no "points"; export'),
    "annotation is text": ("Ulna", 'annotation 1 has no "label" or no "points"; export'),
    "empty ring": (annotation(points=[]), "Radius has a ring of only 0 points; redraw"),
    "two points": (annotation(points=TRIANGLE[:2]), "Radius has a ring of only 2 points; redraw"),
    "short second ring": (annotation(points=[TRIANGLE, TRIANGLE[:1]]), "Radius has a ring of only 1 points; redraw"),
    "empty points": (annotation(points=[[], [], []]), "not pairs of numbers; redraw"),
    "three coordinates": (annotation(points=[[1, 2, 3]] * 3), "not pairs of numbers; redraw"),
    "ragged": (annotation(points=[[1, 2], [3], [4, 5]]), "not pairs of numbers; redraw"),
    "text": (annotation(points=[["1", "2"]] * 3), "not pairs of numbers; redraw"),
    "null": (annotation(points=[[None, 2]] * 3), "not pairs of numbers; redraw"),
    "null for points": (annotation(points=None), "not pairs of numbers; redraw"),
    "object for points": (annotation(points={"x": 1}), "not pairs of numbers; redraw"),
    "huge integer": (annotation(points=[[10**30, 2]] * 3), "not pairs of numbers; redraw"),
    "NaN": (annotation(points=[[float("nan"), 2], *TRIANGLE]), "not finite or more than 1000000 pixels away; redraw"),
    "infinite": (annotation(points=[[1, float("inf")], *TRIANGLE]), "not finite or more than .* away; redraw"),
    "smallest integer": (annotation(points=[[-(2**63), 2], *TRIANGLE]), "not finite or more than .* away; redraw"),
    "too many points": (annotation(points=[[1, 2]] * 50_001), "a ring of 50001 points, more than 50000; redraw"),
    "far away": (annotation(points=[[1, -2e9], *TRIANGLE]), "not finite or more than .* away; redraw"),
}


@pytest.mark.parametrize(("entry", "message"), BAD_ENTRIES.values(), ids=BAD_ENTRIES)
def test_bad_annotation(tmp_path: Path, entry: Any, message: str) -> None:
    with pytest.raises(HandsegInputError, match=rf"bad\.json: .*{message}"):
        read_annotations(write_json(tmp_path / "bad.json", entry))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read"),
        ("", "is empty"),
        ("annotations", "is not JSON"),
        ("[]", 'has no list "annotations"'),
        ("{}", 'has no list "annotations"'),
        ('{"annotations": {}}', 'has no list "annotations"'),
    ],
    ids=["missing", "empty", "not JSON", "a list", "no annotations", "annotations is no list"],
)
def test_bad_file(tmp_path: Path, content: str | None, problem: str) -> None:
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(HandsegInputError, match=rf"bad\.json: {problem}.*; export the polygons again"):
        read_annotations(path)


coordinates = st.floats(-30, 60, width=32)
rings = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=8)


@settings(max_examples=200, deadline=None)
@given(st.lists(rings, min_size=1, max_size=3), st.integers(1, 40), st.integers(1, 40))
def test_fill_is_that_of_opencv_also_for_polygons_that_leave_the_image(
    polygon: list[Any], height: int, width: int
) -> None:
    masks = rasterise({"Lunate": [np.array(ring) for ring in polygon]}, height, width)
    np.testing.assert_array_equal(masks[CHANNEL["Lunate"]], naive_fill(polygon, height, width))


def test_a_ring_in_a_ring_makes_no_hole() -> None:
    outer, inner = np.array([[0, 0], [9, 0], [9, 9], [0, 9]], float), np.array(SQUARE, float)
    assert rasterise({"Ulna": [outer, inner]}, 10, 10)[CHANNEL["Ulna"]].all()


def test_overlapping_bones_both_keep_the_pixel() -> None:
    annotations = {"Pisiform": [np.array(SQUARE, float)], "Triquetrum": [np.array(SQUARE, float) + 2]}
    packed = rasterise_packed(annotations, 20, 20)
    assert int(packed[7, 7]) == 2 ** CHANNEL["Pisiform"] + 2 ** CHANNEL["Triquetrum"]
    np.testing.assert_array_equal(unpack_masks(packed), rasterise(annotations, 20, 20))


@settings(max_examples=200, deadline=None)
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_outlines_give_back_any_mask_with_its_holes(mask: np.ndarray) -> None:
    masks = np.zeros((NUM_BONES, *mask.shape), bool)
    masks[CHANNEL["Hamate"]] = mask
    back = rasterise(masks_to_annotations(masks), *mask.shape)
    np.testing.assert_array_equal(back[CHANNEL["Hamate"]], mask)
    assert back.sum() == back[CHANNEL["Hamate"]].sum()


def test_parts_with_holes_are_cut_and_parts_without_are_not() -> None:
    masks = np.zeros((NUM_BONES, 40, 40), bool)
    target, plain = masks[CHANNEL["Capitate"]], masks[CHANNEL["Lunate"]]
    target[2:38, 2:38], target[6:34, 6:34] = True, False  # a frame,
    target[10:30, 10:30], target[14:18, 14:18], target[14:20, 22:26] = True, False, False  # a part with holes in it,
    plain[2:38, 2:38] = True
    outlines = masks_to_annotations(masks)
    # One cut in the frame's top row of hole, and one through both holes of the part, whose tops are in one row.
    assert {name: len(rings) for name, rings in outlines.items()} == {"Capitate": 4, "Lunate": 1}
    np.testing.assert_array_equal(rasterise(outlines, 40, 40), masks)


@pytest.mark.parametrize("pixels", [[(2, 3)], [(2, 3), (2, 4)], [(0, 0), (4, 5)]], ids=["one", "two", "two apart"])
def test_outlines_of_single_pixels_survive_the_file(tmp_path: Path, pixels: list[tuple[int, int]]) -> None:
    masks = np.zeros((NUM_BONES, 5, 6), bool)
    for row, column in pixels:
        masks[CHANNEL["Pisiform"], row, column] = True
    write_annotations(tmp_path / "x.json", masks_to_annotations(masks))
    np.testing.assert_array_equal(rasterise(read_annotations(tmp_path / "x.json"), 5, 6), masks)


def test_overlapping_blobs_survive_the_file_exactly(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(NUM_BONES, 120, 90))
    masks = np.stack([binary_fill_holes(gaussian_filter(field, 6) > 0.02) for field in noise])
    assert masks.any(axis=(1, 2)).all()
    write_annotations(tmp_path / "x.json", masks_to_annotations(pack_masks(masks)))
    np.testing.assert_array_equal(rasterise(read_annotations(tmp_path / "x.json"), 120, 90), masks)


def test_packed_and_full_masks_have_the_same_outlines() -> None:
    masks = np.random.default_rng(1).random((NUM_BONES, 6, 6)) < 0.2
    full, packed = masks_to_annotations(masks), masks_to_annotations(pack_masks(masks))
    assert full.keys() == packed.keys()
    for name, outlines in full.items():
        assert [ring.tolist() for ring in outlines] == [ring.tolist() for ring in packed[name]]


def test_bones_without_pixels_are_not_annotated() -> None:
    assert masks_to_annotations(np.zeros((NUM_BONES, 4, 4), bool)) == {}


def test_written_file_has_the_layout_of_the_data_set(tmp_path: Path) -> None:
    rings = [np.array(TRIANGLE, float), np.array(SQUARE, float) + 0.25]
    write_annotations(tmp_path / "x.json", {"Radius": rings[:1], "Ulna": rings, "Lunate": []})
    entries = json.loads((tmp_path / "x.json").read_text())["annotations"]
    assert [entry["label"] for entry in entries] == ["Radius", "Ulna"]
    assert all(entry.keys() == annotation().keys() and entry["type"] == "poly_seg" for entry in entries)
    assert entries[0]["points"] == TRIANGLE
    assert all(isinstance(value, int) for point in entries[0]["points"] for value in point)
    assert entries[1]["points"] == [TRIANGLE, [[x + 0.25, y + 0.25] for x, y in SQUARE]]


def test_ids_are_unique_within_and_between_files(tmp_path: Path) -> None:
    for stem in ("a", "b"):
        write_annotations(tmp_path / f"{stem}.json", {name: [np.array(TRIANGLE, float)] for name in BONE_NAMES})
    entries = [entry for stem in "ab" for entry in json.loads((tmp_path / f"{stem}.json").read_text())["annotations"]]
    assert max(Counter(entry["id"] for entry in entries).values()) == 1


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ({"Patella": [np.ones((3, 2))]}, "unknown label 'Patella'; use one of"),
        ({"Ulna": [np.ones((2, 2))]}, "ring of only 2 points; redraw"),
        ({"Ulna": [np.full((3, 2), np.nan)]}, "not finite or more than .* away; redraw"),
    ],
    ids=["unknown label", "two points", "NaN"],
)
def test_what_could_not_be_read_is_not_written(tmp_path: Path, annotations: Any, message: str) -> None:
    with pytest.raises(HandsegInputError, match=rf"x\.json: .*{message}"):
        write_annotations(tmp_path / "x.json", annotations)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_window_is_what_slicing_the_whole_gives(data: st.DataObject) -> None:
    coordinate = st.integers(-30, 90)
    rings = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=8).map(lambda ring: np.array(ring, float))
    annotations = data.draw(st.dictionaries(st.sampled_from(BONE_NAMES), st.lists(rings, min_size=1, max_size=2)))
    top, left = data.draw(st.integers(0, 49)), data.draw(st.integers(0, 59))
    window = slice(top, data.draw(st.integers(top + 1, 50))), slice(left, data.draw(st.integers(left + 1, 60)))
    whole = rasterise_packed(annotations, 50, 60)
    np.testing.assert_array_equal(rasterise_packed(annotations, 50, 60, window), whole[window])
