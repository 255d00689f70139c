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


@pytest.mark.parametrize("margin", [0, 400])
def test_specks_are_not_found(margin: int) -> None:
    """Beside bones of 10,000 px in all, in a picture of any size."""
    packed = np.zeros((200, 200), np.uint32)
    packed[:100, :100] = 1 << 5
    packed[190, 10:16] = 1
    packed[192, 10:14] = 2
    packed[194, 10:14] |= 2
    assert np.flatnonzero(FoundBones(np.pad(packed, margin)).found).tolist() == [0, 5]


def test_specks_alone_are_no_bones() -> None:
    packed = np.zeros((300, 300), np.uint32)
    packed[10, 10:19] = 1
    assert not FoundBones(packed).found.any()
    packed[10, 19] = 1
    assert np.flatnonzero(FoundBones(packed).found).tolist() == [0]


def squares(*places: np.ndarray, side: int = 10) -> FoundBones:
    """Bones of one square each around x, y, once more for every further array, each smaller by half."""
    packed = np.zeros((1000, 2500), np.uint32)
    for number, parts in enumerate(places):
        half = side // 2**number
        for channel, (x, y) in enumerate(parts):
            if np.isfinite(x):
                window = slice(int(y) - half, int(y) + half), slice(int(x) - half, int(x) + half)
                packed[window] |= np.uint32(1 << channel)
    return FoundBones(packed)


@pytest.mark.parametrize(("count", "expected"), [(4, False), (5, True), (12, True), (NUM_BONES, True)])
def test_a_few_bones_twice_are_two_hands_away_from_the_others(count: int, expected: bool) -> None:
    """A second hand of half the size."""
    second = turned(0) / 2 + [1200, 0]
    second[np.random.default_rng(0).permutation(NUM_BONES)[count:]] = np.nan
    assert squares(turned(0), second).is_doubled is expected


@pytest.mark.parametrize(("count", "expected"), [(8, False), (9, True)])
def test_stray_parts_among_the_bones_make_no_second_hand_unless_many(count: int, expected: bool) -> None:
    """Each lies where that of the other bones is which is furthest away; of 29 bones 8.7 may be there twice."""
    chosen = np.random.default_rng(0).permutation(NUM_BONES)
    strays, others = chosen[:count], turned(0)[chosen[count:]]
    distances = np.linalg.norm(turned(0)[strays, None] - others, axis=2)
    second = np.full(MEAN.shape, np.nan)
    second[strays] = others[distances.argmax(axis=1)]
    assert squares(turned(0), second).is_doubled is expected


@pytest.mark.parametrize(("gap", "second", "expected"), [(60, 40, True), (10, 40, False), (60, 15, False)])
def test_groups_are_a_wide_gap_apart_and_similar(gap: int, second: int, expected: bool) -> None:
    """A square of 60 x 60 px and a rectangle of 60 rows; 0.16 times the root of their areas is 10 to 13 px."""
    packed = np.zeros((100, 300), np.uint32)
    packed[20:80, 20:80] = 1 << 5
    packed[20:80, 80 + gap : 80 + gap + second] = 1 << 9
    assert FoundBones(packed).is_in_two_groups is expected
    assert FoundBones(np.kron(packed, np.ones((5, 5), np.uint32))).is_in_two_groups is expected
