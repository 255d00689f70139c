"""Folded normalisations against PyTorch's own modules, one after the other."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from handseg_bundle_common.networks.folding import fold_after, fold_before, pointwise, scale_and_shift


@pytest.fixture
def norm(randomise) -> nn.BatchNorm2d:
    torch.manual_seed(0)
    return randomise(nn.BatchNorm2d(6, eps=1e-3)).double().eval()


def test_scale_and_shift_are_the_normalisation(norm):
    x = torch.rand(2, 6, 3, 4, dtype=torch.float64)
    scale, shift = scale_and_shift(norm)
    torch.testing.assert_close(x * scale[:, None, None] + shift[:, None, None], norm(x))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_normalisation_after_a_convolution(norm, groups):
    conv = nn.Conv2d(4, 6, 3, groups=groups, bias=False).double()
    x = torch.rand(2, 4, 7, 8, dtype=torch.float64)
    torch.testing.assert_close(F.conv2d(x, *fold_after(conv, norm), groups=groups), norm(conv(x)))


def test_a_normalisation_before_a_point_wise_convolution(norm):
    weight = torch.rand(5, 6, 1, 1, dtype=torch.float64)
    x = torch.rand(2, 6, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(pointwise(x, *fold_before(weight, norm)), F.conv2d(norm(x), weight))


def test_the_precision_is_that_of_autocast(norm):
    conv = nn.Conv2d(4, 6, 1, bias=False)
    with torch.autocast("cpu", torch.bfloat16):
        weight, bias = fold_after(conv, norm.float())
    assert weight.dtype == bias.dtype == torch.bfloat16


def test_statistics_of_the_batch_cannot_be_folded():
    with pytest.raises(ValueError, match="without stored statistics"):
        scale_and_shift(nn.BatchNorm2d(3, track_running_stats=False))
