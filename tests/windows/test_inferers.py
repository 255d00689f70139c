"""Windows at evaluation: what the network sees, how they are blended and mirrored, how much memory they take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.inferers import SlidingWindowInferer
from torch import nn

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.windows import WindowInferer

PEAK_MEMORY = """
from pathlib import Path
import torch
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.windows import WindowInferer

network = torch.nn.Conv2d(1, {bones}, 1)
peak = lambda: 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
with torch.inference_mode():
    radiograph = torch.rand(1, 1, 2048, 2048)
    network(radiograph[..., :1024, :1024])
    one_window = peak()
    WindowInferer(2048, 1024, flip=True)(radiograph, network)
    print(peak() - one_window)
"""


class Recorder(nn.Module):
    """Gives an image back as logits, and remembers the sizes it was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.sizes.append(tuple(image.shape))
        return image


def random_image(*size: int) -> torch.Tensor:
    return torch.rand((1, 1, *size), generator=torch.Generator().manual_seed(0))


def test_it_is_monais_inferer_with_gaussian_blending():
    inferer = WindowInferer(96, 32, overlap=0.5, sw_batch_size=3)
    assert isinstance(inferer, SlidingWindowInferer)
    assert tuple(inferer.roi_size) == (32, 32)
    assert (inferer.overlap, inferer.sw_batch_size, str(inferer.mode)) == (0.5, 3, "gaussian")


def test_a_whole_radiograph_is_one_square_window():
    network, image = Recorder(), random_image(64, 40)
    logits = WindowInferer(64)(image, network)
    assert network.sizes == [(1, 1, 64, 64)]
    torch.testing.assert_close(logits, image)


def test_windows_have_their_size_and_come_in_batches():
    network = Recorder()
    WindowInferer(64, 32, overlap=0.0, sw_batch_size=3)(random_image(64, 64), network)
    assert network.sizes == [(3, 1, 32, 32), (1, 1, 32, 32)]


def test_logits_are_blended_by_gaussian_weights_before_any_sigmoid():
    """Four windows of 8 px with half an overlap along a row, each predicting its own number, blended pixel by pixel."""
    values = iter((-3.0, 1.0, 4.0, -6.0))

    def network(windows: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.full_like(window, next(values)) for window in windows])

    logits = WindowInferer(20, 8, overlap=0.5)(random_image(8, 20), network)
    # MONAI's Gaussian has a standard deviation of an eighth of the window.
    weight = np.exp(-0.5 * ((np.arange(8) - 3.5) / 1) ** 2)
    weight = np.maximum(weight, 1e-3)
    total, weights = np.zeros(20), np.zeros(20)
    for start, value in zip((0, 4, 8, 12), (-3, 1, 4, -6), strict=True):
        total[start : start + 8] += value * weight
        weights[start : start + 8] += weight
    np.testing.assert_allclose(logits[0, 0, 4], total / weights, atol=0.02)


@pytest.mark.parametrize("window_size", [None, 24])
def test_a_flip_averages_with_the_mirror_image(window_size):
    torch.manual_seed(0)
    network = nn.Conv2d(1, 3, 5, padding=2).eval()
    image = random_image(48, 48)
    with torch.inference_mode():
        plain = WindowInferer(48, window_size, overlap=0.5)
        expected = (plain(image, network) + plain(image.flip(-1), network).flip(-1)) / 2
        found = WindowInferer(48, window_size, overlap=0.5, flip=True)(image, network)
        assert not torch.allclose(expected, plain(image, network), atol=1e-2)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"overlap": 1.0}, "overlap: 1.0 is no share of a window"),
        ({"sw_batch_size": 0}, "sw_batch_size: 0 is too small"),
        ({"window_size": -1}, "window_size: -1 is too small"),
    ],
    ids=str,
)
def test_bad_settings_are_explained_before_anything_is_trained(settings, problem):
    with pytest.raises(HandsegInputError, match=problem):
        WindowInferer(64, **settings)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process's peak memory")
def test_a_radiograph_of_2048_px_needs_little_more_memory_than_one_window():
    """Logits of twenty-nine bones take 0.49 GB, and a second copy of them would be more than this allows."""
    script = PEAK_MEMORY.format(bones=NUM_BONES)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    assert 0.4e9 < int(result.stdout) < 0.95e9
