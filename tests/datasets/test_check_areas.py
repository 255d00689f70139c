"""Areas against the other images: every size of hand is granted, a bone out of proportion is not."""

from __future__ import annotations

import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.datasets.check_areas import MIN_IMAGES, area_faults, size_faults
from handseg_bundle_common.datasets.check_faults import FaultKind


def areas(count: int, spread: float = 0.1) -> list[dict[str, float]]:
    """Return areas of hands between half and twice the usual size, with a relative spread of their bones."""
    generator = np.random.default_rng(0)
    usual = np.geomspace(300, 30000, len(BONE_NAMES))
    scales = generator.uniform(0.25, 4, (count, 1))
    table = usual * scales * np.exp(generator.normal(0, spread, (count, len(BONE_NAMES))))
    return [dict(zip(BONE_NAMES, row.tolist(), strict=True)) for row in table]


@pytest.mark.parametrize("count", [0, 1, MIN_IMAGES, 200])
def test_hands_of_all_sizes_are_plausible(count: int) -> None:
    assert area_faults(areas(count)) == [[]] * count


@pytest.mark.parametrize("factor", [1 / 3, 3])
def test_a_bone_out_of_proportion(factor: float) -> None:
    images = areas(40)
    images[7]["Lunate"] *= factor
    found = area_faults(images)
    assert [(fault.kind, fault.bone) for fault in found[7]] == [(FaultKind.ODD_AREA, "Lunate")]
    assert not any(found[:7] + found[8:])


def test_the_message_tells_the_ratio() -> None:
    images = areas(20, spread=0)
    images[0]["Lunate"] *= 5
    assert area_faults(images)[0][0].message.startswith("has 5 times the area")


def test_bones_that_vary_are_granted_more() -> None:
    """A factor of 2.2 is odd where the usual spread is 5 %, and usual where it is 30 %."""
    for spread, odd in ((0.05, True), (0.3, False)):
        images = areas(60, spread)
        images[3]["Ulna"] = images[3]["Ulna"] * 2.2
        assert bool(area_faults(images)[3]) == odd


def test_missing_bones_and_images_without_polygons_are_passed_over() -> None:
    images = [*areas(20), {}]
    for image in images[:15]:
        image.pop("Lunate", None)
    images[17]["Lunate"] *= 9  # of only five
    images[18]["Radius"] *= 9
    found = area_faults(images)
    assert [[fault.bone for fault in faults] for faults in found] == [[]] * 18 + [["Radius"], [], []]


@pytest.mark.parametrize(("pisiform", "named"), [(60, []), (120, []), (130, ["Pisiform", "Triquetrum"])])
def test_a_pisiform_is_not_clearly_larger_than_the_triquetrum(pisiform: float, named: list[str]) -> None:
    assert [fault.bone for fault in size_faults({"Pisiform": pisiform, "Triquetrum": 100.0})] == named
    assert not size_faults({"Pisiform": pisiform})
