"""Indices of palm and wrist, of rectangles and of simulated hands read off upright pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.datasets import wrist_angle
from handseg_bundle_common.formats.boostcamp import read_annotations
from handseg_bundle_common.measurements import Indices, measure_hand
from handseg_bundle_common.measurements.indices import METACARPALS

OF_CARPAL_HEIGHT = {"carpal_height", "carpal_height_ratio", "revised_carpal_height_ratio"}


def indices(packed: np.ndarray) -> Indices:
    return measure_hand(packed, np.zeros(packed.shape, np.float32)).indices


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turn", [0, 30, 90, 180, 251])
def test_rectangles_have_the_indices_of_their_sides(draw_hand, rectangles, turn, mirrored) -> None:
    """Metacarpals of 48 x 10 px, a radius 34 px below the third one, and a capitate 14 px long."""
    found = indices(draw_hand(rectangles, turn, mirrored))
    assert found.carpal_height.value == pytest.approx(34, abs=1.5)
    assert found.carpal_height_ratio.value == pytest.approx(34 / 48, rel=0.05)
    assert found.revised_carpal_height_ratio.value == pytest.approx(34 / 14, rel=0.12)
    assert found.metacarpal_index.value == pytest.approx(48 / 10, rel=0.05)


def test_the_metacarpal_index_is_the_mean_of_four_ratios(draw_hand, rectangles) -> None:
    for bone, width in zip(METACARPALS, (6, 8, 10, 12), strict=True):
        rectangles[bone] = rectangles[bone][0], 48, width
    assert indices(draw_hand(rectangles)).metacarpal_index.value == pytest.approx(
        np.mean([48 / 6, 48 / 8, 48 / 10, 48 / 12]), rel=0.02
    )


@pytest.mark.parametrize("name", ["sim29-0001_L", "sim29-0002_R", "sim29-0004_L"])
def test_a_simulated_hand_turned_upright_reads_the_same(sample_hand, name: str) -> None:
    """The third metacarpal is turned upright by interpolation; column and rows are then counted."""
    _, packed = sample_hand(name)
    found = indices(packed)
    rows, columns = np.nonzero(packed >> CHANNEL["finger-11"] & 1)
    x, y = np.linalg.eigh(np.cov(columns, rows))[1][:, 1]
    degrees = np.degrees(np.arctan2(x, -y) if y < 0 else np.arctan2(-x, y))
    metacarpal, radius = (
        ndimage.rotate((packed >> CHANNEL[bone] & 1).astype(float), degrees, order=1) > 0.5
        for bone in ("finger-11", "Radius")
    )
    column = round(np.nonzero(metacarpal)[1].mean())
    on_axis, below = np.flatnonzero(metacarpal[:, column]), np.flatnonzero(radius[:, column])
    length, height = on_axis[-1] + 1 - on_axis[0], below[0] - on_axis[-1] - 1
    assert found.carpal_height.value == pytest.approx(height, abs=2)
    assert found.carpal_height_ratio.value == pytest.approx(height / length, abs=0.025)


@pytest.mark.parametrize("name", ["sim29-0001_R", "sim29-0003_L"])
def test_midshafts_of_simulated_metacarpals_are_as_wide_as_their_distance_map_says(sample_hand, name: str) -> None:
    """In the middle of a shaft, the inscribed circle is as wide as the bone."""
    _, packed = sample_hand(name)
    measure = indices(packed).metacarpal_index
    for bone, (start, end) in zip(METACARPALS, measure.lines, strict=True):
        inside = ndimage.distance_transform_edt(packed >> CHANNEL[bone] & 1)
        middle = (start + end) / 2
        near = inside[round(middle.imag) - 2 : round(middle.imag) + 3, round(middle.real) - 2 : round(middle.real) + 3]
        assert abs(end - start) == pytest.approx(2 * near.max() - 1, abs=1.5)


def test_the_angle_of_the_wrist_is_that_of_its_polygons(sample_hand, sample_data: Path) -> None:
    """Polygons are measured without drawing a pixel, whole; a mirrored and turned picture has the same angle."""
    for name in ("sim29-0001_L", "sim29-0002_R", "sim29-0004_L"):
        (label,) = sample_data.glob(f"outputs_json/*/{name}.json")
        packed = sample_hand(name)[1]
        expected = pytest.approx(wrist_angle(read_annotations(label)), abs=1)
        for seen in (packed, np.ascontiguousarray(np.rot90(packed)), np.ascontiguousarray(packed[:, ::-1])):
            assert indices(seen).wrist_angle.value == expected


@pytest.mark.parametrize(
    ("bone", "missing"),
    [
        ("finger-11", {*OF_CARPAL_HEIGHT, "metacarpal_index", "wrist_angle"}),
        ("Radius", {*OF_CARPAL_HEIGHT, "ulnar_variance", "wrist_angle"}),
        ("Capitate", {"revised_carpal_height_ratio"}),
        ("finger-19", {"metacarpal_index"}),
        ("Ulna", {"ulnar_variance", "wrist_angle"}),
        ("Pisiform", set()),
    ],
)
def test_a_missing_bone_takes_only_its_own_indices(draw_hand, rectangles, bone: str, missing: set[str]) -> None:
    del rectangles[bone]
    found = vars(indices(draw_hand(rectangles)))
    assert {name for name, measure in found.items() if measure.missing} == missing
    assert {name for name, measure in found.items() if np.isnan(measure.value)} == missing


def test_the_reason_names_the_bone(draw_hand, rectangles) -> None:
    del rectangles["finger-15"]
    packed = draw_hand(rectangles)
    assert indices(packed).metacarpal_index.missing == "fourth metacarpal missing"
    middle, _, _ = rectangles["finger-19"]
    cut = packed[:, : round(middle.real)]
    assert indices(cut).metacarpal_index.missing == "fourth metacarpal missing, fifth metacarpal cut by the border"


def test_a_cut_head_takes_only_what_needs_the_length_of_the_metacarpal(draw_hand, rectangles) -> None:
    """The revised ratio was made for pictures that end in the third metacarpal."""
    whole, packed = indices(draw_hand(rectangles)), draw_hand(rectangles)
    middle, _, _ = rectangles["finger-11"]
    found = indices(np.ascontiguousarray(packed[round(middle.imag) - 8 :]))
    assert found.carpal_height.value == pytest.approx(whole.carpal_height.value, abs=0.5)
    assert found.revised_carpal_height_ratio.value == pytest.approx(whole.revised_carpal_height_ratio.value, rel=0.02)
    assert found.carpal_height_ratio.missing == "third metacarpal cut by the border"


def test_a_cut_base_leaves_no_carpal_height(draw_hand, rectangles) -> None:
    middle, height, width = rectangles["finger-11"]
    rectangles["finger-11"] = complex(middle.real, 420 - 0.75 * height), 2 * height, width
    found = indices(draw_hand(rectangles))
    assert found.carpal_height.missing == "base of the third metacarpal cut by the border or too thin"
    assert found.revised_carpal_height_ratio.missing == found.carpal_height.missing


def test_the_capitate_is_measured_through_its_middle(draw_hand, rectangles) -> None:
    """A corner that sticks out, as that of a tilted capitate, is not part of the length."""
    packed = draw_hand(rectangles)
    before = indices(packed).revised_carpal_height_ratio.value
    rows, columns = np.nonzero(packed >> CHANNEL["Capitate"] & 1)
    packed[rows.min() - 3 : rows.min(), columns.min()] |= np.uint32(1 << CHANNEL["Capitate"])
    assert indices(packed).revised_carpal_height_ratio.value == pytest.approx(before, rel=0.05)


def test_an_axis_that_passes_by_the_radius_is_told(draw_hand, rectangles) -> None:
    rectangles["Radius"] = rectangles["Radius"][0] - 60, 120, 40
    assert indices(draw_hand(rectangles)).carpal_height.missing == (
        "the axis of the third metacarpal does not meet the radius"
    )
