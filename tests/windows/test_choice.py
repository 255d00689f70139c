"""A word in a configuration chooses how windows are placed."""

from __future__ import annotations

import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.windows import PLACEMENTS, BoneWindowInferer, WindowInferer, window_inferer


@pytest.mark.parametrize(("placement", "kind"), [("grid", WindowInferer), ("bone", BoneWindowInferer)])
def test_a_word_chooses_the_way_and_settings_go_on(placement, kind):
    inferer = window_inferer(placement, image_size=128, window_size=64, overlap=0.5, flip=True)
    assert type(inferer) is kind
    assert tuple(inferer.roi_size) == (64, 64)
    assert (inferer.overlap, inferer.flip) == (0.5, True)


def test_the_fixed_grid_is_the_default():
    assert type(window_inferer(image_size=64)) is WindowInferer


@pytest.mark.parametrize("placement", ["bones", None, 3])
def test_an_unknown_way_is_refused_with_the_known_ones(placement):
    with pytest.raises(HandsegInputError, match=" or ".join(PLACEMENTS)):
        window_inferer(placement, image_size=64)
