"""Where bones lie: single pixels laid over the mean hand, against SciPy's Procrustes analysis."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import procrustes

from handseg_bundle_common.anatomy import MEAN_CENTROIDS, NUM_BONES
from handseg_bundle_common.ensemble.found_bones import FEWEST_BONES, FoundBones

MEAN = np.array(MEAN_CENTROIDS, float)
ALL = np.arange(NUM_BONES)


def pixels(places: np.ndarray) -> FoundBones:
    """Bones of one pixel each at x, y; a row of NaN is a missing bone."""
    packed = np.zeros((1000, 1000), np.uint32)
    for channel, (x, y) in enumerate(places):
        if np.isfinite(x):
            packed[int(y), int(x)] |= np.uint32(1 << channel)
    found = FoundBones(packed)
    vars(found)["found"] = np.isfinite(places[:, 0])  # although they are specks
    return found


def turned(degrees: float, *, mirrored: bool = False) -> np.ndarray:
    """The mean hand in a picture, in whole px."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.rint(500 + 2 * (MEAN * [-1 if mirrored else 1, 1]) @ turn.T)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 77, 180])
def test_the_mean_hand_is_found_in_any_turn_of_either_side(degrees: float, mirrored: bool) -> None:
    places = turned(degrees, mirrored=mirrored)
    fit = pixels(places).fit(ALL)
    assert fit is not None
    assert fit.unexplained < 1e-4
    np.testing.assert_allclose(fit.places, places @ [1, 1j], atol=1)


def test_what_is_left_is_that_of_procrustes_analysis_without_the_worst_bones() -> None:
    """Of 14 bones two may lie anywhere; both of these lie in a corner."""
    rng = np.random.default_rng(0)
    channels = rng.permutation(NUM_BONES)[:14]
    places = turned(20, mirrored=True) + rng.integers(-30, 31, MEAN.shape)
    places[channels[:2]] = [[3, 4], [990, 5]]
    fit = pixels(places).fit(channels)
    expected = procrustes(MEAN[channels[2:]], places[channels[2:]])[2]
    assert fit is not None
    assert fit.unexplained == pytest.approx(expected)
    assert expected > 0.005


def test_bones_that_were_not_found_do_not_count() -> None:
    places = turned(0)
    places[FEWEST_BONES:] = np.nan
    fit = pixels(places).fit(ALL)
    assert fit is not None
    np.testing.assert_allclose(fit.places, turned(0) @ [1, 1j], atol=15)
    places[FEWEST_BONES - 1 :] = np.nan
    assert pixels(places).fit(ALL) is None


def test_bones_in_one_place_fit_no_hand() -> None:
    fit = pixels(np.full((NUM_BONES, 2), 7.0)).fit(ALL)
    assert fit is not None
    assert fit.unexplained == 1


def test_specks_are_not_found() -> None:
    packed = np.zeros((1000, 1000), np.uint32)
    packed[10, 10:60] = 1
    packed[20, 10:58] = 2
    packed[22, 10:30] |= 2
    assert np.flatnonzero(FoundBones(packed).found).tolist() == [0]


@pytest.mark.parametrize(("gap", "second", "expected"), [(60, 40, True), (10, 40, False), (60, 15, False)])
def test_groups_are_a_wide_gap_apart_and_similar(gap: int, second: int, expected: bool) -> None:
    """A square of 60 x 60 px and a rectangle of 60 rows; 0.16 times the root of their areas is 10 to 13 px."""
    packed = np.zeros((100, 300), np.uint32)
    packed[20:80, 20:80] = 1 << 5
    packed[20:80, 80 + gap : 80 + gap + second] = 1 << 9
    assert FoundBones(packed).is_in_two_groups is expected
    assert FoundBones(np.kron(packed, np.ones((5, 5), np.uint32))).is_in_two_groups is expected
