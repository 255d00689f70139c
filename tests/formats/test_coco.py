"""COCO files, against pycocotools as reader and writer."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from handseg_bundle_common.anatomy import BONE_NAMES, BONES, CHANNEL, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.coco import CocoFile, CocoWriter
from handseg_bundle_common.formats.coco_categories import bone_categories, ram_categories
from handseg_bundle_common.formats.coco_runs import (
    compress,
    counts_of_runs,
    decompress,
    runs_of_counts,
    runs_of_mask,
    runs_of_ring,
    union,
)
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.masks import pack_masks, unpack_masks

MASKS = np.random.default_rng(0).random((NUM_BONES, 7, 5)) < 0.4
MASKS[CHANNEL["Ulna"]] = False


def write(path: Path, *images: MaskImage, ram: bool = False) -> Path:
    with CocoWriter(path, ram_categories() if ram else bone_categories()) as file:
        for image in images:
            file.write(image)
    return path


def mask_of(runs: tuple[np.ndarray, np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Return a mask (H, W) of runs column after column."""
    pixels = np.zeros(size[0] * size[1], bool)
    for start, end in zip(*runs, strict=True):
        pixels[start:end] = True
    return pixels.reshape(size[::-1]).T


@settings(max_examples=200)
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_codes_are_those_of_pycocotools(mask: np.ndarray) -> None:
    runs = runs_of_mask(mask.T.ravel())
    text = compress(counts_of_runs(runs, mask.size))
    assert text == coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
    np.testing.assert_array_equal(mask_of(runs_of_counts(decompress(text), mask.size), mask.shape), mask)


@given(st.lists(st.integers(0, 80_000_000), max_size=20))
def test_counts_of_any_length_are_packed_and_unpacked(counts: list[int]) -> None:
    np.testing.assert_array_equal(decompress(compress(np.array(counts, np.int64))), np.array(counts, np.int64))


@settings(max_examples=300)
@given(
    st.lists(st.tuples(*[st.floats(-30, 50) | st.integers(-5, 20)] * 2), min_size=3, max_size=9),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_polygons_are_filled_as_by_pycocotools(points: list[tuple[float, float]], height: int, width: int) -> None:
    ring = [float(number) for point in points for number in point]
    expected = coco_mask.decode(coco_mask.frPyObjects([ring], height, width))[..., 0] != 0
    np.testing.assert_array_equal(mask_of(runs_of_ring(ring, height, width), (height, width)), expected)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8))
def test_runs_are_united_as_sets_of_pixels(pairs: list[tuple[int, int]]) -> None:
    parts = [tuple(np.array([place], np.int64) for place in sorted(pair)) for pair in pairs]
    pixels = {pixel for pair in pairs for pixel in range(*sorted(pair))}
    starts, ends = union([*parts, (np.empty(0, np.int64), np.empty(0, np.int64))])
    assert {pixel for pair in zip(starts, ends, strict=True) for pixel in range(*pair)} == pixels
    assert (starts[1:] > ends[:-1]).all()


def test_pycocotools_reads_what_is_written(tmp_path: Path) -> None:
    images = [MaskImage("p1/a.png", pack_masks(MASKS), (0.14, 0.15)), MaskImage("b.png", np.zeros((3, 9), np.uint32))]
    coco = COCO(write(tmp_path / "x.json", *images))
    assert [coco.imgs[number]["file_name"] for number in (1, 2)] == ["p1/a.png", "b.png"]
    assert [(c["id"], c["name"], c["supercategory"]) for c in coco.dataset["categories"]] == [
        (number, bone.name, bone.group.value) for number, bone in enumerate(BONES, start=1)
    ]
    assert coco.getAnnIds(imgIds=[2]) == []
    found = np.zeros_like(MASKS)
    for annotation in coco.loadAnns(coco.getAnnIds(imgIds=[1])):
        mask = coco.annToMask(annotation) != 0
        found[annotation["category_id"] - 1] = mask
        code = coco.annToRLE(annotation)
        assert annotation["area"] == coco_mask.area(code) == mask.sum()
        assert annotation["bbox"] == coco_mask.toBbox(code).tolist()
    np.testing.assert_array_equal(found, MASKS)


def test_names_masks_and_spacings_come_back(tmp_path: Path) -> None:
    images = [MaskImage("p1/ä.png", pack_masks(MASKS), (0.14, 0.15)), MaskImage("b.png", np.zeros((3, 9), np.uint32))]
    for image, back in zip(images, CocoFile(write(tmp_path / "x.json", *images)), strict=True):
        np.testing.assert_array_equal(back.masks, image.masks)
        assert (back.name, back.spacing_mm, back.notes) == (image.name, image.spacing_mm, ())


def test_a_file_without_images_is_one(tmp_path: Path) -> None:
    assert list(CocoFile(write(tmp_path / "x.json"))) == []


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    image = MaskImage("a.png", pack_masks(MASKS))
    with pytest.raises(HandsegInputError, match="twice"):
        write(tmp_path / "x.json", image, image)
    assert list(tmp_path.iterdir()) == []


def document(tmp_path: Path, segmentations: list[Any], names: tuple[str, ...] = BONE_NAMES) -> Path:
    """Write a file of one image (7, 5) with a segmentation of each of the first bones."""
    content = {
        "images": [{"id": 40, "file_name": "a.png", "height": 7, "width": 5}],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names)],
        "annotations": [
            {"id": number, "image_id": 40, "category_id": number % len(names), "segmentation": segmentation}
            for number, segmentation in enumerate(segmentations)
        ],
    }
    (tmp_path / "x.json").write_text(json.dumps(content))
    return tmp_path / "x.json"


def test_all_kinds_of_segmentations(tmp_path: Path) -> None:
    """Polygons of several parts, counts compressed or not; two annotations of a bone are united."""
    rings = [[0, 0, 3, 0, 3, 3, 0, 3], [2.2, 4.4, 4.9, 4.1, 3.3, 6.8]]
    codes = [coco_mask.encode(np.asfortranarray(MASKS[channel], np.uint8)) for channel in (1, 2)]
    uncompressed = decompress(codes[1]["counts"].decode()).tolist()
    sizes = {"size": [7, 5]}
    segmentations = [rings, {**sizes, "counts": codes[0]["counts"].decode()}, {**sizes, "counts": uncompressed}]
    path = document(tmp_path, [*segmentations, []], BONE_NAMES[:3])
    (image,) = CocoFile(path)
    found = unpack_masks(image.masks)
    filled = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(rings, 7, 5))) != 0
    np.testing.assert_array_equal(found[:3], [filled, MASKS[1], MASKS[2]])
    assert image.notes == ("several annotations became one: finger-1", "polygons became masks of whole pixels")
    (twice,) = CocoFile(document(tmp_path, [segmentations[1], segmentations[2]], BONE_NAMES[:1]))
    np.testing.assert_array_equal(unpack_masks(twice.masks)[0], MASKS[1] | MASKS[2])


def test_categories_of_ram_h1200(tmp_path: Path) -> None:
    """The thirty classes in alphabetical order, as its code numbers them (`fullhand_bone_name_dict`)."""
    path = write(tmp_path / "x.json", MaskImage("a.png", pack_masks(MASKS)), ram=True)
    coco = COCO(path)
    names = [category["name"] for category in coco.dataset["categories"]]
    assert names[:9] == ["Capitate", "DP1", "DP2", "DP3", "DP4", "DP5", "Hamate", "Lunate", "MC1"]
    assert names[13:18] == ["MP2", "MP3", "MP4", "MP5", "PP1"]
    assert names[22:] == [
        *("Pisifrom_Triquetrum", "Radius", "Scaphoid", "Sesamoid", "SoftTissue", "Trapezium", "Trapezoid", "Ulna")
    ]
    both = coco.loadAnns(coco.getAnnIds(catIds=[23]))
    assert len(both) == 1
    union_of_both = MASKS[CHANNEL["Triquetrum"]] | MASKS[CHANNEL["Pisiform"]]
    np.testing.assert_array_equal(coco.annToMask(both[0]) != 0, union_of_both)
    (back,) = CocoFile(path)
    expected = MASKS.copy()
    expected[CHANNEL["Triquetrum"]], expected[CHANNEL["Pisiform"]] = union_of_both, False
    np.testing.assert_array_equal(back.masks, pack_masks(expected))
    assert "cannot be separated" in back.notes[0]


def test_classes_that_are_no_bones_are_left_out_and_told(tmp_path: Path) -> None:
    ring = [[0, 0, 3, 0, 3, 3]]
    (image,) = CocoFile(document(tmp_path, [ring, ring], ("Sesamoid", "Trapzoid")))
    assert (np.unique(image.masks) == [0, 1 << CHANNEL["Trapezoid"]]).all()
    assert image.notes[0].endswith("category Sesamoid")


GOOD = {
    "images": [{"id": 1, "file_name": "a.png", "height": 7, "width": 5}],
    "categories": [{"id": 1, "name": "Ulna"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 3, 0, 3, 3]]}],
}
CODE = {"size": [7, 5], "counts": [35]}


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("images", {"height": "7"}, "without"),
        ("images", {"height": 0}, "no pixels"),
        ("images", {"height": 10**6, "width": 10**6}, "more than"),
        ("images", {"id": True}, 'without an "id"'),
        ("images", {"id": 2}, "unknown image 1"),
        ("images", {"file_name": 3}, "without"),
        ("categories", {"name": "dog"}, "no category that is a bone"),
        ("categories", {"name": None}, 'without a "name"'),
        ("annotations", {"category_id": 7}, "unknown category"),
        ("annotations", {"category_id": [1]}, "unknown category"),
        ("annotations", {"segmentation": None}, "neither polygons nor run lengths"),
        ("annotations", {"segmentation": [[1, 2, 3]]}, "three points"),
        ("annotations", {"segmentation": [[0, 0, 1, 1, float("nan"), 2]]}, "not finite"),
        ("annotations", {"segmentation": [[0, 0, 1, 1, 1e9, 2]]}, "far from the image"),
        ("annotations", {"segmentation": [[1, 2] * 50_001]}, "50001 points, more than 50000"),
        ("annotations", {"segmentation": [["a"] * 6]}, "no list x, y"),
        ("annotations", {"segmentation": [3]}, "no usable segmentation"),
        ("annotations", {"segmentation": CODE | {"size": [5, 7]}}, "its size is"),
        ("annotations", {"segmentation": CODE | {"counts": [34]}}, "not those of 35 pixels"),
        ("annotations", {"segmentation": CODE | {"counts": [-5, 40]}}, "not those of 35 pixels"),
        ("annotations", {"segmentation": CODE | {"counts": [10**30]}}, "no usable segmentation"),
        ("annotations", {"segmentation": CODE | {"counts": ["35"]}}, "neither text nor"),
        ("annotations", {"segmentation": CODE | {"counts": "\u00e9"}}, "none of theirs|not those"),
        ("annotations", {"segmentation": CODE | {"counts": "oooooooooooo0"}}, "too long"),
        ("annotations", {"segmentation": CODE | {"counts": "o"}}, "within a number"),
    ],
)
def test_files_that_cannot_be_used_are_refused(tmp_path: Path, part: str, change: dict[str, Any], message: str) -> None:
    content = copy.deepcopy(GOOD)
    content[part][0].update(change)
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(HandsegInputError, match=message):
        list(CocoFile(tmp_path / "x.json"))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"images": [1], "categories": [], "annotations": []}', "{"])
def test_json_of_another_kind_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(HandsegInputError):
        CocoFile(tmp_path / "x.json")
