"""Where the pixels of a NRRD file lie, against its definition and pynrrd.

The definition (http://teem.sourceforge.net/nrrd/format.html, section 4): the sample of indices i, j, ... lies at the
space origin plus i times the first of the space directions, plus j times the second, and so on. The axes of the space
point where its name says: those of left-posterior-superior to the left, posterior and superior.
"""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.formats.seg_nrrd import read_seg_nrrd

SPACES = {
    "left-posterior-superior": "LPS",
    "right-anterior-superior": "RAS",
    "left-anterior-superior": "LAS",
    "LPS": "LPS",
    "RAS": "RAS",
    "LAS": "LAS",
}
# What lies more to the left, more to the back and less to the top is shown further to the right and down.
SHOWN = {"L": 1, "R": -1, "P": 1, "A": -1, "I": 1, "S": -1}
ULNA = {"Segment0_Name": "Ulna", "Segment0_LabelValue": "1", "Segment0_Layer": "0"}
ANATOMICAL = {"L": 0, "R": 0, "P": 1, "A": 1, "I": 2, "S": 2}


def shown(path: Path) -> np.ndarray:
    """Return the picture of a file as the definition places its samples, sample by sample, read by pynrrd."""
    data, header = nrrd.read(str(path))
    directions, letters = header["space directions"], SPACES[header["space"]]
    places = {}
    for index in np.argwhere(np.ones(data.shape, bool)):
        point = header["space origin"] + sum(step * vector for step, vector in zip(index, directions, strict=True))
        # Distances to the left, back and bottom.
        display = np.zeros(3)
        for letter, distance in zip(letters, point, strict=True):
            display[ANATOMICAL[letter]] = SHOWN[letter] * distance
        places[tuple(np.round(display, 3))] = data[tuple(index)]
    sides = [sorted({place[axis] for place in places}) for axis in range(3)]
    column, row = (axis for axis in range(3) if len(sides[axis]) > 1)
    picture = np.zeros((len(sides[row]), len(sides[column])), bool)
    for place, value in places.items():
        picture[sides[row].index(place[row]), sides[column].index(place[column])] = value
    return picture


def write(path: Path, data: np.ndarray, space: str, directions: np.ndarray, **keys: Any) -> Path:
    header = {"space": space, "space directions": directions, "space origin": np.array([3.0, -4.0, 5.0])}
    nrrd.write(str(path), data, {**header, "kinds": ["domain"] * 3, **ULNA, **keys})
    return path


@settings(max_examples=60, deadline=None)
@given(
    space=st.sampled_from(list(SPACES)),
    order=st.sampled_from(list(permutations(range(3)))),
    signs=st.sampled_from(list(product((-1, 1), repeat=3))),
    thin=st.integers(0, 2),
    seed=st.integers(0, 99),
)
def test_pixels_are_shown_where_the_definition_places_them(
    tmp_path_factory: pytest.TempPathFactory,
    space: str,
    order: tuple[int, ...],
    signs: tuple[int, ...],
    thin: int,
    seed: int,
) -> None:
    sizes = [4, 5, 6]
    sizes[thin] = 1
    data = (np.random.default_rng(seed).random(sizes) < 0.5).astype(np.uint8)
    directions = np.zeros((3, 3))
    for axis, (target, sign, step) in enumerate(zip(order, signs, (0.2, 0.3, 0.4), strict=True)):
        directions[axis, target] = sign * step
    path = write(tmp_path_factory.getbasetemp() / "x.seg.nrrd", data, space, directions)
    expected = shown(path)
    for size in (None, expected.shape):
        back = read_seg_nrrd(path, size)
        np.testing.assert_array_equal(back.masks == 1 << CHANNEL["Ulna"], expected)
    steps = {sizes[axis]: step for axis, step in enumerate((0.2, 0.3, 0.4))}
    assert back.spacing_mm == pytest.approx([steps[side] for side in expected.shape])


def test_a_slanted_picture_is_turned_to_the_nearest_axes(tmp_path: Path) -> None:
    data = (np.arange(20) % 3 == 0).astype(np.uint8).reshape(4, 5, 1)
    angle = np.radians(30)
    right, down = np.array([-np.cos(angle), np.sin(angle), 0]), np.array([np.sin(angle), np.cos(angle), 0])
    path = write(tmp_path / "x.seg.nrrd", data, "LPS", np.array([right, down, [0, 0, 1]]))
    back = read_seg_nrrd(path)
    np.testing.assert_array_equal(back.masks != 0, data[::-1, :, 0].T == 1)
    assert back.spacing_mm is None


def test_a_cropped_file_is_turned_with_its_image(tmp_path: Path) -> None:
    """Its place is told in the samples of the whole image, before it is turned."""
    whole = np.zeros((7, 9, 1), np.uint8)
    whole[2:5, 1:7, 0] = (np.random.default_rng(0).random((3, 6)) < 0.5).astype(np.uint8)
    for directions in (np.diag([1.0, 1, 1]), np.array([[0.0, 2, 0], [-3, 0, 0], [0, 0, 1]])):
        expected = shown(write(tmp_path / "whole.seg.nrrd", whole, "RAS", directions))
        offset = {"Segmentation_ReferenceImageExtentOffset": "2 1 0"}
        path = write(tmp_path / "x.seg.nrrd", whole[2:5, 1:7], "RAS", directions, **offset)
        np.testing.assert_array_equal(read_seg_nrrd(path, expected.shape).masks != 0, expected)
        told = {"Segmentation_ConversionParameters": f"Reference image geometry|{'0;' * 16}0;6;0;8;0;0;|x&"}
        path = write(tmp_path / "x.seg.nrrd", whole[2:5, 1:7], "RAS", directions, **offset, **told)
        back = read_seg_nrrd(path)
        np.testing.assert_array_equal(back.masks != 0, expected)
        assert not any("cropped" in note for note in back.notes)


PIXELS = bytes(range(2)) * 3
HEADER = "NRRD0004\ntype: uchar\ndimension: {}\nsizes: {}\nencoding: raw\n" + "".join(
    f"{key}:={value}\n" for key, value in ULNA.items()
)


@pytest.mark.parametrize(
    ("sizes", "fields", "is_turned", "spacing"),
    [
        ("2 3", "", False, None),
        ("2 3", "spacings: 0.2 0.3\n", False, (0.3, 0.2)),
        ("2 3", "space dimension: 2\nspace directions: (0.2,0) (0,0.3)\n", False, (0.3, 0.2)),
        ("2 3", "space: RAS\nspace directions: (0.2,0,0) (0,0.3,0)\n", True, (0.3, 0.2)),
        ("2 3 1", "space dimension: 3\nspace directions: (0.2,0,0) (0,0.3,0) (0,0,1)\n", False, (0.3, 0.2)),
        ("2 3 1", "space: scanner-xyz\nspace directions: (-0.2,0,0) (0,0.3,0) (0,0,1)\n", False, (0.3, 0.2)),
        ("2 3 1", "space: RAS\nspace directions: (0,0,0) (0,0.3,0) (0,0,1)\n", False, None),
        ("1 2 3 1", "space: RAS\nspace directions: none (0.2,0,0) (0,0.3,0) (0,0,1)\n", True, (0.3, 0.2)),
    ],
)
def test_files_that_do_not_tell_where_they_lie_stay_as_stored(
    tmp_path: Path, sizes: str, fields: str, is_turned: bool, spacing: tuple[float, float] | None
) -> None:
    header = HEADER.format(len(sizes.split()), sizes) + fields + "\n"
    (tmp_path / "x.nrrd").write_bytes(header.encode() + PIXELS)
    expected = np.frombuffer(PIXELS, np.uint8).reshape(3, 2) == 1
    back = read_seg_nrrd(tmp_path / "x.nrrd")
    np.testing.assert_array_equal(back.masks != 0, expected[::-1, ::-1] if is_turned else expected)
    assert back.spacing_mm == spacing
