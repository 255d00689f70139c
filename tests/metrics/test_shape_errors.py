"""Errors of shape in cases drawn by hand, and against SciPy and scikit-image on whole pictures."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.measure import label

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.masks import pack_masks
from handseg_bundle_common.metrics import ShapeErrors, shape_errors

PAIRS = st.tuples(st.just(2), st.just(2), st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.bool_, shape)
)


def drawn(*rows: str) -> np.ndarray:
    """One bone, "#" inside."""
    return np.array([[[pixel == "#" for pixel in row] for row in rows]])


def whole_picture_errors(prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """The errors of one bone as scikit-image labels components and SciPy fills holes."""
    sizes = np.bincount(label(prediction, connectivity=2).ravel())[1:]
    holes = [label(ndimage.binary_fill_holes(mask) & ~mask, connectivity=1) for mask in (prediction, reference)]
    extra = [k for k in range(1, holes[0].max() + 1) if not holes[1][holes[0] == k].any()]
    area = reference.sum()
    return {
        "false_positive_px": (prediction & ~reference).sum(),
        "false_negative_px": (reference & ~prediction).sum(),
        "relative_size_error": (prediction.sum() - area) / area if area else math.nan,
        "extra_components": max(len(sizes) - label(reference, connectivity=2).max(), 0),
        "fragment_share": (sizes.sum() - sizes.max()) / sizes.sum() if len(sizes) else math.nan,
        "extra_holes": len(extra),
        "extra_hole_px": np.isin(holes[0], extra).sum(),
    }


def of_bone(errors: ShapeErrors, bone: int = 0) -> dict[str, float]:
    return {name: values[bone] for name, values in asdict(errors).items()}


BLOCK = drawn(
    "........",
    ".####...",
    ".####...",
    ".####...",
    ".####...",
    "........",
)


def test_a_block_that_is_shifted_pierced_and_splintered() -> None:
    """The prediction lacks the block's first column and a pixel in it, and has four in a column and two beyond."""
    prediction = drawn(
        "........",
        "..####..",
        "..#.##..",
        "..####..",
        "..####..",
        "#.....##",
    )
    errors = of_bone(shape_errors(prediction, BLOCK, spacing_mm=(0.5, 0.2)))
    assert errors["false_positive_px"] == 4 + 1 + 2
    assert errors["false_negative_px"] == 4 + 1
    assert errors["false_positive_mm2"] == pytest.approx(0.7)
    assert errors["false_negative_mm2"] == pytest.approx(0.5)
    assert errors["relative_size_error"] == (18 - 16) / 16
    # The two pixels at the right touch the block's corner; the one at the left is a splinter.
    assert errors["extra_components"] == 1
    assert errors["fragment_share"] == pytest.approx(1 / 18)
    assert (errors["extra_holes"], errors["extra_hole_px"]) == (1, 1)


def test_a_prediction_without_error() -> None:
    assert of_bone(shape_errors(BLOCK, BLOCK, 0.1)) == dict.fromkeys(of_bone(shape_errors(BLOCK, BLOCK)), 0)


@pytest.mark.parametrize(
    ("prediction", "holes", "area"),
    [
        pytest.param(drawn("#####", "#...#", "#####"), 1, 3, id="one hole of three pixels"),
        pytest.param(drawn("#####", "#.#.#", "#####"), 2, 2, id="two holes"),
        pytest.param(drawn("####", "#.##", "##.#", "####"), 2, 2, id="holes that touch at a corner are two"),
        pytest.param(drawn(".#.", "#.#", ".#."), 1, 1, id="an outline closed by corners encloses"),
        pytest.param(drawn("###", "#.#", "#.#"), 0, 0, id="background that reaches the border is no hole"),
        pytest.param(drawn("##.##", "#...#", "#####"), 0, 0, id="a bay is no hole"),
        pytest.param(drawn("#####", "#...#", "#.#.#", "#...#", "#####"), 1, 8, id="an island lies in a hole"),
    ],
)
def test_holes_are_background_that_the_prediction_encloses(prediction: np.ndarray, holes: int, area: int) -> None:
    """Wherever they are: within the reference, which fills the picture here, or where it has nothing."""
    for reference in (np.ones_like(prediction), np.zeros_like(prediction)):
        errors = shape_errors(prediction, reference)
        assert (errors.extra_holes[0], errors.extra_hole_px[0]) == (holes, area)


def test_holes_that_the_reference_has_too_are_not_counted() -> None:
    reference = drawn("#######", "#.###.#", "#######")
    wider = drawn("#######", "#..##.#", "#######")
    beside = drawn("#######", "##.##.#", "#######")
    assert shape_errors(wider, reference).extra_holes[0] == 0
    assert shape_errors(beside, reference).extra_holes[0] == 1
    assert shape_errors(np.ones_like(reference), reference).extra_holes[0] == 0


def test_a_reference_in_pieces_allows_as_many() -> None:
    three, two, one = drawn("#.##.#"), drawn("#.##.."), drawn("..##..")
    assert shape_errors(three, two).extra_components[0] == 1
    assert shape_errors(two, three).extra_components[0] == 0
    assert shape_errors(three, one).fragment_share[0] == pytest.approx(2 / 4)


def test_a_false_alarm_a_missed_bone_and_none() -> None:
    nothing, two_pixels = drawn("...."), drawn("#..#")
    false_alarm, missed, absent = (
        of_bone(shape_errors(*pair)) for pair in ((two_pixels, nothing), (nothing, two_pixels), (nothing, nothing))
    )
    assert (false_alarm["false_positive_px"], false_alarm["extra_components"]) == (2, 2)
    assert (missed["false_negative_px"], missed["relative_size_error"], missed["extra_components"]) == (2, -1, 0)
    assert math.isnan(false_alarm["relative_size_error"])
    assert math.isnan(missed["fragment_share"])
    undefined = {"relative_size_error", "fragment_share", "false_positive_mm2", "false_negative_mm2"}
    assert {name for name, value in absent.items() if math.isnan(value)} == undefined
    assert all(value == 0 for name, value in absent.items() if name not in undefined)


@given(pair=PAIRS)
def test_crops_give_what_whole_pictures_give(pair: np.ndarray) -> None:
    errors = shape_errors(*pair)
    for bone, (prediction, reference) in enumerate(zip(*pair, strict=True)):
        for name, value in whole_picture_errors(prediction, reference).items():
            assert of_bone(errors, bone)[name] == pytest.approx(value, nan_ok=True), name


def test_packed_masks_give_what_masks_give() -> None:
    prediction, reference = np.random.default_rng(0).random((2, NUM_BONES, 9, 14)) < 0.6
    packed = asdict(shape_errors(pack_masks(prediction), pack_masks(reference), 0.15))
    plain = asdict(shape_errors(prediction, torch.from_numpy(reference), (0.15, 0.15)))
    for name, values in packed.items():
        assert values.shape == (NUM_BONES,)
        assert values.dtype == np.float64
        assert np.array_equal(values, plain[name]), name


@pytest.mark.parametrize("spacing_mm", [0, -0.1, math.nan, math.inf, (0.1, 0)])
def test_a_spacing_is_positive(spacing_mm: float | tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="spacing_mm"):
        shape_errors(BLOCK, BLOCK, spacing_mm)
