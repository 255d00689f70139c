"""Ulnar variance of rectangles with and without styloid, and of simulated hands read off upright pictures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.measurements.regions import find_regions
from handseg_bundle_common.measurements.ulnar_variance import ulnar_variance


def variance(packed: np.ndarray) -> float:
    return ulnar_variance(find_regions(packed)).value


def with_variance(rectangles: dict, px: float) -> dict:
    """Return the hand with another length of the ulna; the radius ends 60 px above its middle."""
    middle, height, width = rectangles["Ulna"]
    bottom, top = middle.imag + height / 2, rectangles["Radius"][0].imag - 60 - px
    return rectangles | {"Ulna": (complex(middle.real, (top + bottom) / 2), bottom - top, width)}


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turn", [0, 25, 90, 180, 290])
@pytest.mark.parametrize("px", [-9, 0, 7])
def test_positive_when_the_ulna_is_longer(draw_hand, rectangles, px, turn, mirrored) -> None:
    assert variance(draw_hand(with_variance(rectangles, px), turn, mirrored)) == pytest.approx(px, abs=1.5)


@pytest.mark.parametrize("turn", [0, 120])
def test_the_styloid_process_does_not_count(draw_hand, rectangles, turn) -> None:
    hand = with_variance(rectangles, -4)
    middle, height, width = hand["Ulna"]
    styloid = complex(middle.real + width / 2 - 2, middle.imag - height / 2 - 4)
    packed = draw_hand(hand, turn) | draw_hand({"Ulna": (styloid, 10, 4)}, turn)
    assert variance(packed) == pytest.approx(-4, abs=1)


@pytest.mark.parametrize("turn", [0, 200])
def test_the_flare_and_the_slope_of_the_radius_do_not_turn_its_axis(draw_hand, rectangles, turn) -> None:
    """The end of the radius is wider towards the ulna, and its outline rises by 10 px to the styloid."""
    middle, height, width = rectangles["Radius"]
    top = middle.imag - height / 2
    packed = draw_hand(rectangles, turn)
    for step in range(10):
        packed |= draw_hand({"Radius": (complex(middle.real - 2 * step, top - step), 2, width - 4 * step)}, turn)
    packed |= draw_hand({"Radius": (complex(middle.real + width / 2, top + 9), 18, 8)}, turn)
    assert variance(packed) == pytest.approx(-6, abs=1.5)


@pytest.mark.parametrize("name", ["sim29-0001_L", "sim29-0002_R", "sim29-0003_R", "sim29-0004_L"])
def test_a_simulated_forearm_turned_upright_reads_the_same(sample_hand, name: str) -> None:
    """The middles of the radius's rows are fitted, the picture is turned, and rows are counted at both ends."""
    _, packed = sample_hand(name)
    radius, ulna = ((packed >> CHANNEL[bone] & 1).astype(float) for bone in ("Radius", "Ulna"))
    rows = np.flatnonzero(radius.any(axis=1))
    shaft = rows[rows > rows[0] + radius.sum(axis=1).max()][:-3]
    middles = [np.flatnonzero(radius[row]).mean() for row in shaft]
    slope = np.polyfit(shaft, middles, 1)[0]
    upright = [ndimage.rotate(bone, -np.degrees(np.arctan(slope)), order=1) > 0.5 for bone in (radius, ulna)]
    if name.endswith("L"):
        upright = [bone[:, ::-1] for bone in upright]
    places = np.argwhere(upright[0])
    corner = places[(places[:, 1] - places[:, 0]).argmax()][0]
    head = np.argwhere(upright[1])
    head = head[head[:, 0] < head[:, 0].min() + 0.7 * radius.sum(axis=1).max()]
    radial = head[head[:, 1] <= (head[:, 1].min() + head[:, 1].max()) / 2]
    assert variance(packed) == pytest.approx(corner - radial[:, 0].min(), abs=2)


def test_the_lines_show_the_distance_and_lie_at_right_angles_to_the_axis(sample_hand) -> None:
    _, packed = sample_hand("sim29-0004_R")
    measure = ulnar_variance(find_regions(packed))
    (start, end), *perpendiculars, (proximal, distal) = measure.lines
    axis = (distal - proximal) / abs(distal - proximal)
    assert ((end - start) * axis.conjugate()).real == pytest.approx(measure.value)
    for first, last in perpendiculars:
        assert ((last - first) * axis.conjugate()).real == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"Ulna": None}, "ulna missing"),
        ({"Radius": (210 + 300j, 50, 40)}, "too little of the radius in the picture"),
    ],
)
def test_what_cannot_be_measured_is_told(draw_hand, rectangles, change, missing) -> None:
    hand = {bone: place for bone, place in (rectangles | change).items() if place is not None}
    assert ulnar_variance(find_regions(draw_hand(hand))).missing == missing


@pytest.mark.parametrize("seed", range(40))
def test_a_speck_for_a_radius_is_told(draw_hand, rectangles, seed) -> None:
    """Whatever its pixels are, as poor predictions have them."""
    packed = draw_hand({name: place for name, place in rectangles.items() if name != "Radius"})
    rng = np.random.default_rng(seed)
    middle = rectangles["Radius"][0]
    rows, columns = rng.integers(0, 4, (2, rng.integers(1, 8)))
    packed[int(middle.imag) + rows, int(middle.real) + columns] |= np.uint32(1 << CHANNEL["Radius"])
    assert np.isnan(variance(packed))


def test_forearms_without_a_hand_are_told(draw_hand, rectangles) -> None:
    hand = {bone: rectangles[bone] for bone in ("Radius", "Ulna")}
    assert ulnar_variance(find_regions(draw_hand(hand))).missing == "no bone but radius and ulna found"


def test_a_wrist_at_the_border_is_told(draw_hand, rectangles) -> None:
    packed = draw_hand(rectangles)
    top = round(rectangles["Radius"][0].imag - 60)
    assert ulnar_variance(find_regions(packed[top + 1 :])).missing == (
        "the distal end of radius or ulna is cut by the border"
    )
