"""Faults that are planted in predictions of simulated hands are found, named, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from handseg_bundle_common.analysis import Fault, FaultKind, find_faults
from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.masks import pack_masks
from handseg_bundle_common.metrics import case_scores

Masks = NDArray[np.bool_]
Roughen = Callable[[Masks, int], Masks]

SQUARE = np.ones((3, 3), np.uint8)


def faults(prediction: Masks, reference: Masks) -> tuple[Fault, ...]:
    packed = pack_masks(prediction), pack_masks(reference)
    return find_faults(*packed, case_scores(*packed))


def plain_dice(a: Masks, b: Masks) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def shifted_pisiform(masks: Masks) -> None:
    masks[CHANNEL["Pisiform"]] = np.roll(masks[CHANNEL["Pisiform"]], -8, axis=1)


def swapped_carpals(masks: Masks) -> None:
    pair = [CHANNEL["Lunate"], CHANNEL["Scaphoid"]]
    masks[pair] = masks[pair[::-1]]


def hole_in_radius(masks: Masks) -> None:
    radius = masks[CHANNEL["Radius"]]
    row, column = np.argwhere(radius).mean(axis=0).astype(int)
    radius[row - 4 : row + 4, column - 3 : column + 3] = False


def missing_finger_tip(masks: Masks) -> None:
    masks[CHANNEL["finger-16"]] = False


def doubled_trapezium(masks: Masks) -> None:
    masks[CHANNEL["Trapezium"]] |= np.roll(masks[CHANNEL["Trapezium"]], (-60, 20), axis=(0, 1))


def thin_radius(masks: Masks) -> None:
    radius = masks[CHANNEL["Radius"]]
    radius[:] = cv2.erode(radius.astype(np.uint8), SQUARE, iterations=12)


def swollen_hamate(masks: Masks) -> None:
    hamate = masks[CHANNEL["Hamate"]]
    hamate[:] = cv2.dilate(hamate.astype(np.uint8), SQUARE, iterations=9)


def lunate_on_scaphoid(masks: Masks) -> None:
    masks[CHANNEL["Lunate"]] = masks[CHANNEL["Scaphoid"]]


def broken_ulna(masks: Masks) -> None:
    ulna = masks[CHANNEL["Ulna"]]
    row = int(np.argwhere(ulna)[:, 0].mean())
    ulna[row - 6 : row + 6] = False


def turned_metacarpal(masks: Masks) -> None:
    bone = masks[CHANNEL["finger-11"]]
    row, column = np.argwhere(bone).mean(axis=0)
    turn = cv2.getRotationMatrix2D((float(column), float(row)), 25, 1)
    bone[:] = cv2.warpAffine(bone.astype(np.uint8), turn, bone.shape[::-1], flags=cv2.INTER_NEAREST)


def cut_metacarpal(masks: Masks) -> None:
    bone = masks[CHANNEL["finger-11"]]
    rows = np.flatnonzero(bone.any(axis=1))
    bone[: rows[0] + int(0.45 * len(rows))] = False


def half_taken_hamate(masks: Masks) -> None:
    hamate, capitate = masks[CHANNEL["Hamate"]], masks[CHANNEL["Capitate"]]
    near = np.argwhere(hamate).mean(axis=0) - np.argwhere(capitate).mean(axis=0)
    places = np.argwhere(hamate)
    along = (places - places.mean(axis=0)) @ near
    taken = places[along < np.quantile(along, 0.44)]
    hamate[*taken.T] = False
    capitate[*taken.T] = True


def dilated_scaphoid(masks: Masks) -> None:
    scaphoid = masks[CHANNEL["Scaphoid"]]
    scaphoid[:] = cv2.dilate(scaphoid.astype(np.uint8), SQUARE, iterations=4)


def eroded_scaphoid(masks: Masks) -> None:
    scaphoid = masks[CHANNEL["Scaphoid"]]
    scaphoid[:] = cv2.erode(scaphoid.astype(np.uint8), SQUARE, iterations=3)


PLANTED = [
    (shifted_pisiform, FaultKind.SHIFTED, "Pisiform", None),
    (swapped_carpals, FaultKind.SWAPPED, "Scaphoid", "Lunate"),
    (hole_in_radius, FaultKind.HOLE, "Radius", None),
    (missing_finger_tip, FaultKind.MISSING, "finger-16", None),
    (doubled_trapezium, FaultKind.FRAGMENT, "Trapezium", None),
    (thin_radius, FaultKind.TOO_SMALL, "Radius", None),
    (swollen_hamate, FaultKind.TOO_LARGE, "Hamate", None),
    (lunate_on_scaphoid, FaultKind.SHIFTED, "Lunate", "Scaphoid"),
    (broken_ulna, FaultKind.FRAGMENT, "Ulna", None),
]


@pytest.mark.parametrize("is_rough", [False, True], ids=["perfect", "rough"])
@pytest.mark.parametrize(("plant", "kind", "bone", "other"), PLANTED)
def test_a_planted_fault_is_named_and_nothing_else(
    hands: dict[str, Masks],
    roughened: Roughen,
    plant: Callable[[Masks], None],
    kind: FaultKind,
    bone: str,
    other: str | None,
    is_rough: bool,
) -> None:
    for seed, reference in enumerate(list(hands.values())[:2]):
        prediction = roughened(reference, seed) if is_rough else reference.copy()
        plant(prediction)
        assert [(fault.kind, fault.bone, fault.other) for fault in faults(prediction, reference)] == [
            (kind, bone, other)
        ]


def test_outlines_that_are_off_by_two_pixels_are_no_faults(hands: dict[str, Masks], roughened: Roughen) -> None:
    for seed, reference in enumerate(list(hands.values()) * 2):
        assert faults(roughened(reference, seed), reference) == ()


def test_a_bone_that_is_not_there_is_extra(hands: dict[str, Masks]) -> None:
    prediction = next(iter(hands.values()))
    reference = prediction.copy()
    reference[CHANNEL["Pisiform"]] = False
    (fault,) = faults(prediction, reference)
    pixels = np.count_nonzero(prediction[CHANNEL["Pisiform"]])
    assert fault == Fault(FaultKind.EXTRA, "Pisiform", severity=1.0, pixels=pixels)


def test_the_severity_is_the_dice_that_mending_regains(hands: dict[str, Masks]) -> None:
    reference = next(iter(hands.values()))
    prediction = reference.copy()
    shifted_pisiform(prediction)
    hole_in_radius(prediction)
    swapped_carpals(prediction)
    lost = [1 - plain_dice(prediction[CHANNEL[bone]], reference[CHANNEL[bone]]) for bone in ("Pisiform", "Radius")]
    swap = sum(1 - plain_dice(prediction[CHANNEL[bone]], reference[CHANNEL[bone]]) for bone in ("Lunate", "Scaphoid"))
    found = faults(prediction, reference)
    assert [fault.kind for fault in found] == [FaultKind.SWAPPED, FaultKind.SHIFTED, FaultKind.HOLE]
    np.testing.assert_allclose([fault.severity for fault in found], [swap, *lost], atol=1e-6)
    assert found[1].shift_px == pytest.approx((0, -8))
    assert found[2].pixels == 48


def test_two_mistakes_with_one_bone_have_two_names(hands: dict[str, Masks]) -> None:
    reference = next(iter(hands.values()))
    prediction = reference.copy()
    hamate = prediction[CHANNEL["Hamate"]]
    row, column = np.argwhere(hamate).mean(axis=0).astype(int)
    hamate[row - 2 : row + 3, column - 2 : column + 3] = False
    hamate[:] = np.roll(hamate, 15, axis=0)
    found = faults(prediction, reference)
    assert [(fault.kind, fault.bone) for fault in found] == [(FaultKind.SHIFTED, "Hamate"), (FaultKind.HOLE, "Hamate")]


@pytest.mark.parametrize(
    ("plant", "bone", "text"),
    [
        (turned_metacarpal, "finger-11", "The third metacarpal differs from the reference (Dice 0.37)."),
        (cut_metacarpal, "finger-11", "The third metacarpal differs from the reference (Dice 0.68)."),
        (half_taken_hamate, "Hamate", "The hamate differs from the reference (Dice 0.72, 33 % taken by the capitate)."),
        (dilated_scaphoid, "Scaphoid", "The scaphoid differs from the reference (Dice 0.72)."),
        (eroded_scaphoid, "Scaphoid", "The scaphoid differs from the reference (Dice 0.68)."),
    ],
)
def test_a_large_mistake_without_a_better_name_is_a_difference(
    hands: dict[str, Masks], plant: Callable[[Masks], None], bone: str, text: str
) -> None:
    reference = next(iter(hands.values()))
    prediction = reference.copy()
    plant(prediction)
    (fault,) = (fault for fault in faults(prediction, reference) if fault.bone == bone)
    assert fault.text == text
    assert 0.05 <= fault.severity <= 1 - plain_dice(prediction[CHANNEL[bone]], reference[CHANNEL[bone]])


def overlapping_carpals(reference: Masks) -> None:
    """Give the pisiform most of the triquetrum's place, as where one lies over the other."""
    triquetrum = reference[CHANNEL["Triquetrum"]]
    reference[CHANNEL["Pisiform"]] = triquetrum & np.roll(triquetrum, 7, axis=1)


def test_bones_that_overlap_in_the_reference_are_not_drawn_in_the_place_of_each_other(hands: dict[str, Masks]) -> None:
    reference = next(iter(hands.values())).copy()
    overlapping_carpals(reference)
    pair = reference[CHANNEL["Pisiform"]], reference[CHANNEL["Triquetrum"]]
    assert plain_dice(*pair) > 0.7
    prediction = reference.copy()
    prediction[CHANNEL["Pisiform"]] = np.roll(pair[0], -6, axis=1)
    own, other = (plain_dice(prediction[CHANNEL["Pisiform"]], bone) for bone in pair)
    assert own < 0.7 < other, "nearer to the other, though not by much"
    (fault,) = faults(prediction, reference)
    assert (fault.kind, fault.other) == (FaultKind.SHIFTED, None)


def test_a_hole_where_the_reference_has_nothing_is_none(hands: dict[str, Masks]) -> None:
    reference = next(iter(hands.values())).copy()
    radius = reference[CHANNEL["Radius"]]
    row = int(np.argwhere(radius)[:, 0].mean())
    prediction = reference.copy()
    end = int(np.flatnonzero(radius[row])[-1])
    prediction[CHANNEL["Radius"], row - 8 : row + 8, end - 2 : end + 14] = True
    prediction[CHANNEL["Radius"], row - 6 : row + 6, end + 3 : end + 12] = False
    assert FaultKind.HOLE not in {fault.kind for fault in faults(prediction, reference)}


def test_swapped_bones_with_another_mistake_have_both_names(hands: dict[str, Masks]) -> None:
    reference = next(iter(hands.values()))
    prediction = reference.copy()
    row, column = np.argwhere(prediction[CHANNEL["Lunate"]]).mean(axis=0).astype(int)
    prediction[CHANNEL["Lunate"], row - 2 : row + 3, column - 2 : column + 3] = False
    swapped_carpals(prediction)
    found = faults(prediction, reference)
    assert [(fault.kind, fault.bone) for fault in found] == [
        (FaultKind.SWAPPED, "Scaphoid"),
        (FaultKind.HOLE, "Lunate"),
    ]
