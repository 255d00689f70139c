"""Images of any size and number of channels against NumPy's padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handseg_bundle_common.networks.inputs import fit_input

SIZES = st.integers(1, 70)


@given(height=SIZES, width=SIZES, stride=st.sampled_from([4, 16, 32]), strides=st.integers(0, 3))
def test_the_border_is_repeated_below_and_to_the_right(height, width, stride, strides):
    image = np.random.default_rng(0).random((2, 1, height, width))
    least = stride * strides
    sizes = [next(n for n in range(0, 200, stride) if n >= max(size, least)) for size in (height, width)]
    expected = np.pad(image, ((0, 0), (0, 0), (0, sizes[0] - height), (0, sizes[1] - width)), mode="edge")
    found = fit_input(torch.from_numpy(image), 1, stride, min_size=least)
    np.testing.assert_array_equal(found, expected)


def test_sizes_become_multiples_of_32_by_default():
    assert fit_input(torch.zeros(1, 1, 33, 64), 1).shape == (1, 1, 64, 64)


@pytest.mark.parametrize("channels", [2, 3])
def test_a_grey_image_feeds_all_channels(channels):
    grey = torch.rand(2, 1, 32, 50)
    fitted = fit_input(grey, channels)
    assert fitted.shape == (2, channels, 32, 64)
    assert all(torch.equal(fitted[:, [k]], fit_input(grey, 1)) for k in range(channels))


def test_an_image_that_fits_is_not_copied():
    image = torch.rand(1, 3, 64, 32)
    assert fit_input(image, 3, min_size=32) is image
