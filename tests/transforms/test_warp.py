"""One geometric warp for a radiograph and its 29 masks, against SciPy and per-bone references."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.masks import pack_masks, unpack_masks
from handseg_bundle_common.transforms.warp import (
    ResizeRadiographd,
    WarpParameters,
    sampling_grid,
    warp_packed_masks,
    warp_radiograph,
)


@pytest.fixture
def image():
    """A smooth picture, because bilinear samplers differ only by rounding on it."""
    noise = np.random.default_rng(0).random((80, 64))
    return ndimage.gaussian_filter(noise, 3).astype(np.float32)


@pytest.fixture
def packed():
    masks = np.random.default_rng(1).random((NUM_BONES, 80, 64)) < 0.3
    return pack_masks(masks)


def test_no_warp_at_scale_one_returns_the_image(image):
    grid = sampling_grid(WarpParameters(), image.shape, scale=1.0, window=64)
    np.testing.assert_allclose(warp_radiograph(image, grid), image[8:72], atol=1e-6)


def test_rotation_and_zoom_agree_with_scipy(image):
    angle, zoom, window = np.radians(25), 1.3, 48
    grid = sampling_grid(WarpParameters(angle=angle, zoom=zoom), image.shape, scale=1.0, window=window)
    # SciPy works in (row, column) and maps output to input, as the grid does in (x, y).
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / zoom
    middle_out = np.full(2, (window - 1) / 2)
    middle_in = (np.array(image.shape) - 1) / 2
    offset = middle_in - matrix @ middle_out
    expected = ndimage.affine_transform(image, matrix, offset, (window, window), order=1)
    np.testing.assert_allclose(warp_radiograph(image, grid), expected, atol=2e-3)


def test_positive_angles_turn_anticlockwise():
    image = np.zeros((65, 65), np.float32)
    image[30:35, 45:60] = 1  # a bar that points right
    grid = sampling_grid(WarpParameters(angle=np.radians(90)), image.shape, scale=1.0, window=65)
    rows, columns = np.nonzero(warp_radiograph(image, grid) > 0.5)
    assert rows.max() < 25  # now it points up
    assert abs(columns.mean() - 32) < 1


def test_packed_masks_warp_as_each_mask_alone(packed):
    displacements = np.random.default_rng(2).normal(0, 0.05, (2, 5, 5)).astype(np.float32)
    parameters = WarpParameters(angle=0.3, zoom=0.8, shear=0.1, flip=True, displacements=displacements)
    grid = sampling_grid(parameters, packed.shape, scale=0.7, window=40)
    # OpenCV rounds coordinates to 1/32 px first; move the few that lie on a border out of its way.
    grid = np.round(grid * 4) / 4 + np.float32(0.125)
    warped = unpack_masks(warp_packed_masks(packed, grid))
    coordinates = grid[::-1]
    for bone, mask in zip(warped, unpack_masks(packed), strict=True):
        nearest = np.round(coordinates).astype(int)
        inside = (nearest >= 0).all(0) & (nearest[0] < 80) & (nearest[1] < 64)
        expected = np.zeros((40, 40), bool)
        expected[inside] = mask[nearest[0][inside], nearest[1][inside]]
        np.testing.assert_array_equal(bone, expected)


def test_flip_mirrors_the_picture_and_keeps_the_channels(packed):
    plain = sampling_grid(WarpParameters(), packed.shape, scale=1.0, window=64)
    mirrored = sampling_grid(WarpParameters(flip=True), packed.shape, scale=1.0, window=64)
    np.testing.assert_array_equal(warp_packed_masks(packed, mirrored), warp_packed_masks(packed, plain)[:, ::-1])


def test_shrinking_does_not_alias():
    stripes = np.zeros((512, 512), np.float32)
    stripes[:, ::2] = 1
    grid = sampling_grid(WarpParameters(), stripes.shape, scale=1 / 8, window=64)
    np.testing.assert_allclose(warp_radiograph(stripes, grid), 0.5, atol=1e-5)


@pytest.mark.parametrize("ratio", [1.25, 2, 3.2])
@pytest.mark.parametrize("angle", [0.0, 0.1])
def test_training_shrinks_as_validation_does(ratio, angle):
    """The same texture, whatever the ratio and the rotation: white noise keeps the same contrast."""
    native = np.random.default_rng(0).random((1, 640, 640)).astype(np.float32)
    size = round(640 / ratio)
    validated = ResizeRadiographd(image_size=size)({"image": native})["image"][0].numpy()
    grid = sampling_grid(WarpParameters(angle=angle), (640, 640), scale=size / 640, window=size)
    trained = warp_radiograph(native[0], grid)
    if angle == 0:
        np.testing.assert_allclose(trained, validated, atol=1e-3)
    else:
        middle = slice(size // 4, 3 * size // 4)
        blur_of_interpolation = 0.6  # bilinear sampling between pixels averages up to four of them
        assert blur_of_interpolation < trained[middle, middle].std() / validated[middle, middle].std() < 1.02


@pytest.mark.parametrize(("native_size", "expected"), [((400, 300), (200, 150)), ((100, 50), (200, 100))])
def test_resize_keeps_the_aspect(native_size, expected):
    out = ResizeRadiographd(image_size=200)({"image": np.ones((1, *native_size), np.float32)})
    assert out["image"].shape == (1, *expected)
    np.testing.assert_allclose(out["image"], 1)
