"""Up-sampling against OpenCV's."""

import cv2
import numpy as np
import pytest
import torch

from handseg_bundle_common.networks.upsampling import upsample


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_it_is_that_of_opencv(scale):
    maps = np.random.default_rng(0).random((2, 3, 5, 7), np.float32)
    size = (7 * scale, 5 * scale)
    expected = [[cv2.resize(x, size, interpolation=cv2.INTER_LINEAR) for x in image] for image in maps]
    np.testing.assert_allclose(upsample(torch.from_numpy(maps), scale), expected, rtol=0, atol=1e-6)


def test_it_doubles_by_default():
    assert upsample(torch.zeros(1, 1, 3, 4)).shape == (1, 1, 6, 8)
