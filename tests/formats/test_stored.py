"""Grey levels and their scale, against arithmetic on whole arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats import stored
from handseg_bundle_common.formats.stored import StoredRadiograph, check_size, white_level

LEVELS = arrays(st.sampled_from([np.uint8, np.uint16]), array_shapes(min_dims=2, max_dims=2, max_side=9))


@given(LEVELS, st.data())
def test_window_is_that_of_the_whole_scaled_radiograph(levels: np.ndarray, data: st.DataObject) -> None:
    black, white = data.draw(st.sampled_from([(0, 255), (255, 0), (16, 235), (0, 65535), (65535, 0)]))
    rows, columns = (data.draw(st.slices(side)) for side in levels.shape)
    window = StoredRadiograph(levels, black, white).grey(rows, columns)
    expected = (levels.astype(np.float64) - black) / (white - black)
    assert window.dtype == np.float32
    np.testing.assert_allclose(window, expected[rows, columns], rtol=1e-6, atol=1e-6)


@given(LEVELS)
def test_turned_radiograph_has_black_and_white_exchanged(levels: np.ndarray) -> None:
    radiograph = StoredRadiograph(levels, 0, 255)
    np.testing.assert_allclose(radiograph.turned().grey(), 1 - radiograph.grey(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(radiograph.turned().turned().grey(), radiograph.grey())


def test_size_is_height_and_width() -> None:
    assert StoredRadiograph(np.zeros((2, 3), np.uint8), 0, 255).size == (2, 3)


@pytest.mark.parametrize(
    ("highest", "white"),
    [
        (0, 255),
        (255, 255),
        (256, 1023),
        (1023, 1023),
        (1024, 4095),
        (4095, 4095),
        (4096, 16383),
        (16383, 16383),
        (16384, 65535),
        (65535, 65535),
    ],
)
def test_white_of_16_bits_is_that_of_the_first_depth_that_holds_all_levels(highest: int, white: int) -> None:
    assert white_level(np.array([[0, highest]], np.uint16)) == white


def test_white_of_8_bits_is_255_however_dark_they_are() -> None:
    assert white_level(np.array([[0, 3]], np.uint8)) == 255


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_no_pixels_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(HandsegInputError, match="x: has no pixels; export it again"):
        check_size("x", *size)


def test_pixels_up_to_the_limit_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "MAX_PIXELS", 12)
    check_size("x", 3, 4)
    with pytest.raises(HandsegInputError, match="x: has more than 12 pixels; crop or shrink it"):
        check_size("x", 1, 13)
