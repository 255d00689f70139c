"""A whole hand: the same however it lies, and as large as the surfaces that were projected."""

from __future__ import annotations

import numpy as np
import pytest

from handseg_bundle_common.anatomy import CHANNEL, Group, Side, bones_of
from handseg_bundle_common.measurements import HandMeasures, measure_hand

MOTIONS = {
    "quarter turn": np.rot90,
    "upside down": lambda a: np.rot90(a, 2),
    "mirrored": lambda a: a[:, ::-1],
    "mirrored and turned": lambda a: a.T,
}


def values(measures: HandMeasures) -> np.ndarray:
    bones = [(b.length, b.width, b.area, b.orientation, b.perimeter, b.mean_intensity) for b in measures.bones.values()]
    gaps = [(gap.distance, gap.overlap) for gap in measures.gaps]
    indices = [index.value for name, index in vars(measures.indices).items() if name != "ulnar_variance"]
    return np.concatenate([np.ravel(bones), np.ravel(gaps), indices])


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("name", ["sim29-0001_L", "sim29-0004_R"])
def test_neither_side_nor_direction_matters(sample_hand, name: str, motion: str) -> None:
    radiograph, packed = sample_hand(name)
    before = measure_hand(packed, radiograph)
    move = MOTIONS[motion]
    after = measure_hand(np.ascontiguousarray(move(packed)), np.ascontiguousarray(move(radiograph[0])))
    assert np.isfinite(values(before)).sum() > 200
    np.testing.assert_allclose(values(after), values(before), rtol=1e-6, atol=1e-9)
    # The rows along the radius are counted from its end, which shifts them by parts of a pixel.
    assert after.indices.ulnar_variance.value == pytest.approx(before.indices.ulnar_variance.value, abs=0.05)


def test_twice_the_pixels_are_twice_the_length(sample_hand) -> None:
    radiograph, packed = sample_hand("sim29-0002_L")
    once = measure_hand(packed, radiograph)
    twice = measure_hand(np.kron(packed, np.ones((2, 2), np.uint32)), np.kron(radiograph[0], np.ones((2, 2))))
    for name, bone in once.bones.items():
        if not bone.is_cut:
            assert twice.bones[name].length == pytest.approx(2 * bone.length, abs=1)
            assert twice.bones[name].area == 4 * bone.area
            assert twice.bones[name].orientation == pytest.approx(bone.orientation, abs=0.01, nan_ok=True)
    assert twice.indices.metacarpal_index.value == pytest.approx(once.indices.metacarpal_index.value, rel=0.01)


@pytest.mark.parametrize("side", Side)
def test_lengths_are_those_of_the_projected_surfaces(side: Side) -> None:
    """The vertices of a simulated bone are projected, and laid along the axis of the mask's covariance."""
    pytest.importorskip("numba")
    from handseg_bundle_common.simulation import load_assets, simulate_hand  # noqa: PLC0415
    from handseg_bundle_common.simulation.placement import place  # noqa: PLC0415
    from handseg_bundle_common.simulation.pose import apply_pose  # noqa: PLC0415
    from handseg_bundle_common.simulation.shape import apply_shape  # noqa: PLC0415

    bones, size = load_assets(), 400
    hand = simulate_hand(11, size, side, bones)
    measures = measure_hand(hand.packed_masks, hand.radiograph)
    height, width = hand.packed_masks.shape
    surfaces, beam = place(apply_pose(apply_shape(bones, hand.shape), hand.pose), hand.placement, height, width)
    for bone in (*bones_of(Group.PHALANGES), *bones_of(Group.METACARPALS)[1:]):
        points, _ = beam.onto_detector(surfaces.vertices_of(CHANNEL[bone.name]))
        if side is Side.LEFT:
            points[:, 0] = width - 1 - points[:, 0]
        rows, columns = np.nonzero(hand.packed_masks >> CHANNEL[bone.name] & 1)
        axes = np.linalg.eigh(np.cov(columns, rows))[1]
        across, along = np.ptp(points @ axes, axis=0)
        assert measures.bones[bone.name].length == pytest.approx(along, abs=1)
        assert measures.bones[bone.name].width == pytest.approx(across, abs=1)


def test_an_empty_picture_has_no_measures() -> None:
    measures = measure_hand(np.zeros((30, 20), np.uint32), np.zeros((1, 30, 20), np.float32))
    assert not measures.bones
    assert measures.frame is None
    assert all(np.isnan(index.value) and index.missing for index in vars(measures.indices).values())


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="size"):
        measure_hand(np.zeros((30, 20), np.uint32), np.zeros((1, 20, 30), np.float32))
