"""Coarse to fine: a glance finds the hand, windows see its bones, and what they find calls for more."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch import nn

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.windows import BoneWindowInferer, WindowInferer


class Threshold(nn.Module):
    """Takes bright pixels for bone, each by itself, so that windows must not change what it says."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.sizes.append(tuple(images.shape))
        return torch.cat([20 * images - 10, -5 - images], 1)


def radiograph(height: int = 128, width: int = 128, bones: tuple[tuple[slice, slice], ...] = ()) -> torch.Tensor:
    image = torch.zeros(1, 1, height, width)
    for place in bones:
        image[0, 0][place] = 1.0
    return image


LONG_BONE = (slice(10, 120), slice(50, 60))
SPECK = (slice(100, 101), slice(120, 121))


@pytest.mark.parametrize("size", [(128, 128), (128, 90), (90, 128), (128, 40)])
@pytest.mark.parametrize("flip", [False, True])
def test_bones_get_the_logits_of_the_grid_in_fewer_windows(size, flip):
    image = radiograph(*size, bones=((slice(10, 50), slice(20, 30)),))
    on_grid, on_bone = Threshold(), Threshold()
    expected = WindowInferer(128, 64, overlap=0.5, flip=flip)(image, on_grid)
    inferer = BoneWindowInferer(128, 64, overlap=0.5, flip=flip)
    found = inferer(image, on_bone)
    assert found.shape == expected.shape
    torch.testing.assert_close(found[image.expand_as(found) == 1], expected[image.expand_as(found) == 1])
    assert ((found > 0) == (expected > 0)).all(), "nothing but bone is bone"
    assert len(on_bone.sizes) < len(on_grid.sizes)
    assert inferer.evaluations == pytest.approx(1.25), "one window and a glance of half its side"


def test_what_no_window_sees_is_no_bone():
    logits = BoneWindowInferer(128, 64)(radiograph(bones=((slice(5, 10), slice(5, 10)),)), Threshold())
    assert (logits[..., 70:, 70:] == -20).all()


def test_bone_that_the_glance_misses_is_found_where_a_window_sees_its_beginning():
    """A line of bone, one px wide, vanishes in the glance; a thick piece at its upper end does not."""
    image = radiograph(256, 256, bones=((slice(4, 20), slice(100, 116)), (slice(4, 250), slice(107, 108))))
    logits = BoneWindowInferer(256, 64)(image, Threshold())
    assert torch.equal(logits[:, 0] > 0, image[:, 0] > 0)


def test_where_a_glance_finds_no_bone_the_grid_looks():
    image = radiograph(bones=(SPECK,))
    inferer = BoneWindowInferer(128, 64, overlap=0.0)
    logits = inferer(image, Threshold())
    assert torch.equal(logits[:, 0] > 0, image[:, 0] > 0)
    assert inferer.evaluations == pytest.approx(4.25)


def test_one_window_that_sees_everything_needs_no_glance():
    network = Threshold()
    image = radiograph(64, 40, bones=((slice(5, 30), slice(5, 10)),))
    torch.testing.assert_close(BoneWindowInferer(64)(image, network), WindowInferer(64)(image, Threshold()))
    assert network.sizes == [(1, 1, 64, 64)]


def test_images_of_a_batch_have_windows_of_their_own():
    first, second = radiograph(bones=(LONG_BONE,)), radiograph(bones=((slice(80, 90), slice(90, 100)),))
    both = BoneWindowInferer(128, 64, sw_batch_size=2)(torch.cat([first, second]), Threshold())
    for image, logits in zip((first, second), both, strict=True):
        torch.testing.assert_close(BoneWindowInferer(128, 64)(image, Threshold())[0], logits)


def test_meta_data_and_precision_stay():
    image = MetaTensor(radiograph(bones=(LONG_BONE,)), meta={"name": "a"})
    logits = BoneWindowInferer(128, 64)(image, Threshold())
    assert isinstance(logits, MetaTensor)
    assert logits.meta["name"] == "a"
    assert logits.dtype == torch.float32


def test_windows_come_in_batches():
    network = Threshold()
    BoneWindowInferer(128, 64, sw_batch_size=2)(radiograph(bones=(LONG_BONE,)), network)
    assert [size[0] for size in network.sizes] == [1, 2, 1], "a glance and three windows"


@pytest.mark.parametrize(
    ("name", "value"), [("margin", 0.45), ("margin", -0.1), ("glance_size", 0), ("overlap", 1.0), ("window_size", 0)]
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(HandsegInputError, match=name):
        BoneWindowInferer(**{"image_size": 128, "window_size": 64, name: value})


def test_pixels_are_weighted_by_gaussians():
    """Where two windows meet, the nearer one counts more; the reference blends them pixel by pixel."""

    class Numbered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return torch.full_like(images, 1.0 if images.shape[-1] < 32 else float(self.calls))

    logits = BoneWindowInferer(40, 32, margin=0.1)(torch.ones(1, 1, 32, 40), Numbered())[0, 0, 16].numpy()
    centre, sigma = (32 - 1) / 2, 32 / 8
    weights = np.zeros((2, 40))
    for number, start in enumerate((0, 8)):
        weights[number, start : start + 32] = np.exp(-(((np.arange(32) - centre) / sigma) ** 2) / 2)
    expected = (2 * weights[0] + 3 * weights[1]) / weights.sum(0)
    inside = (np.arange(40) >= 12) & (np.arange(40) < 28)
    np.testing.assert_allclose(logits[inside], expected[inside], atol=1e-3)
