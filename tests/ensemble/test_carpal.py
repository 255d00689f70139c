"""The second look at the carpals: where it looks and how it is blended in."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES
from handseg_bundle_common.ensemble.carpal import CARPALS, CarpalStage, Crop, carpal_crop
from handseg_bundle_common.errors import HandsegInputError


def carpals_in(rows: slice, columns: slice, count: int = 8) -> torch.Tensor:
    """Masks of 100 px in which some carpals fill one rectangle."""
    masks = torch.zeros((NUM_BONES, 100, 100), dtype=torch.bool)
    for name in CARPALS[:count]:
        masks[CHANNEL[name], rows, columns] = True
    return masks


def test_the_crop_is_a_square_around_the_carpals_with_a_margin():
    crop = carpal_crop(carpals_in(slice(40, 60), slice(30, 40)), margin=0.25)
    assert (crop.side, crop.ramp) == (30, 5)
    assert (crop.top, crop.left) == (35, 20)  # the centre, (50, 35), stays in the middle


def test_other_bones_do_not_matter():
    masks = carpals_in(slice(40, 60), slice(30, 40))
    masks[CHANNEL["Radius"]] = True
    assert carpal_crop(masks, 0.25) == carpal_crop(carpals_in(slice(40, 60), slice(30, 40)), 0.25)


def test_there_is_no_crop_where_there_are_hardly_any_carpals():
    assert carpal_crop(carpals_in(slice(40, 60), slice(30, 40), count=2), 0.25) is None


def test_a_speck_far_away_moves_nothing():
    masks = carpals_in(slice(40, 60), slice(30, 40))
    masks[CHANNEL["Pisiform"], 97:99, 97] = True
    assert carpal_crop(masks, 0.25) == carpal_crop(carpals_in(slice(40, 60), slice(30, 40)), 0.25)


def test_there_is_no_crop_where_carpals_are_all_over_the_image():
    assert carpal_crop(carpals_in(slice(10, 95), slice(0, 50)), 0.25) is None


def test_a_crop_beyond_the_border_is_black_there():
    image = torch.ones((1, 1, 10, 12))
    part = Crop(top=-3, left=8, side=6, ramp=1).cut(image)
    assert part.shape == (1, 1, 6, 6)
    assert part[0, 0].sum() == 3 * 4
    assert (part[0, 0, 3:, :4] == 1).all()


@given(top=st.integers(-20, 30), left=st.integers(-20, 30), side=st.integers(1, 25), ramp=st.floats(0.5, 12))
def test_blending_moves_towards_the_second_pass_by_the_weight(top, left, side, ramp):
    first = torch.rand((24, 28), generator=torch.Generator().manual_seed(1))
    second = torch.rand((side, side), generator=torch.Generator().manual_seed(2))
    crop = Crop(top, left, side, ramp)
    expected = first.clone()
    weight = 0.8 * crop.weight()
    for row in range(side):
        for column in range(side):
            y, x = top + row, left + column
            if 0 <= y < 24 and 0 <= x < 28:
                share = weight[row, column]
                expected[y, x] = (1 - share) * first[y, x] + share * second[row, column]
    crop.blend(first, second, strength=0.8)
    torch.testing.assert_close(first, expected, atol=1e-6, rtol=0)


def test_the_weight_is_whole_inside_and_fades_out_smoothly():
    weight = Crop(0, 0, side=40, ramp=10).weight()
    assert (weight[10:30, 10:30] == 1).all()
    assert weight[0].max() < 0.01
    assert weight.diff(dim=0).abs().max() < 0.2
    torch.testing.assert_close(weight, weight.flip(0))
    torch.testing.assert_close(weight, weight.T)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": ["x"]}, "names 'x'"),
        ({"members": []}, "empty list"),
        ({"members": "a"}, "write a list of names"),
        ({"bones": ["Lunate", "Lunate"]}, "twice"),
        ({"margin": "0.3"}, "not all of which are numbers"),
        ({"magnification": float("nan")}, "not all of which are numbers"),
        ({"bones": ["Femur"]}, "names 'Femur'"),
        ({"magnification": 0}, "out of range"),
        ({"strength": 1.5}, "out of range"),
        ({"zoom": 2}, "unknown key 'zoom'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(HandsegInputError, match=message):
        CarpalStage.parse({"members": ["a"], **change}, ("a", "b"))


def test_members_have_to_be_named():
    with pytest.raises(HandsegInputError, match="does not name its members"):
        CarpalStage.parse({}, ("a",))
