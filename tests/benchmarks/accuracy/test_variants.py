"""Variants of a picture: radiograph and masks are changed alike, by what the name tells."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.masks import pack_masks, unpack_masks

HEIGHT, WIDTH = 120, 90
# Overlapping ellipses: bone, centre (x, y) and axes.
ELLIPSES = {
    "finger-1": ((20, 55), (8, 14)),
    "finger-8": ((42, 22), (6, 12)),
    "Triquetrum": ((52, 78), (12, 9)),
    "Pisiform": ((60, 82), (9, 9)),
    "Ulna": ((64, 110), (10, 20)),
}


@pytest.fixture
def picture(script):
    """Ellipses as bones; the radiograph is brightest where bones overlap."""
    masks = np.zeros((29, HEIGHT, WIDTH), bool)
    for bone, (centre, axes) in ELLIPSES.items():
        drawn = cv2.ellipse(np.zeros((HEIGHT, WIDTH), np.uint8), centre, axes, 20, 0, 360, 1, cv2.FILLED)
        masks[CHANNEL[bone]] = drawn > 0
    return script.Picture((0.4 * masks.sum(axis=0)).astype(np.float32), pack_masks(masks))


def covered(picture):
    """Return the bone pixels of the radiograph and of the masks."""
    return picture.radiograph > 0.2, picture.masks > 0


def assert_alike(picture, least=0.98):
    bright, inside = covered(picture)
    assert 2 * (bright & inside).sum() / (bright.sum() + inside.sum()) > least


def assert_same_masks(packed, expected, least):
    assert (packed == pack_masks(expected)).mean() > least


def test_every_variant_keeps_form_and_range(script, picture):
    assert len({variant.name for variant in script.VARIANTS}) == len(script.VARIANTS)
    for variant in script.VARIANTS:
        radiograph, masks = variant.apply(picture)
        assert radiograph.shape == masks.shape, variant.name
        assert (radiograph.dtype, masks.dtype) == (np.float32, np.uint32), variant.name
        assert radiograph.min() >= 0, variant.name
        assert radiograph.max() <= 1, variant.name


@pytest.mark.parametrize("degrees", [15, 30, -40])
def test_rotation_is_anticlockwise_and_cuts_nothing_off(script, picture, degrees):
    turned = script.rotated(picture, degrees)
    expected = np.stack([ndimage.rotate(mask, degrees, order=0) for mask in unpack_masks(picture.masks)])
    assert np.abs(np.subtract(expected.shape[1:], turned.masks.shape)).max() <= 1
    whole = np.pad(expected, ((0, 0), (0, 1), (0, 1)))[:, : turned.masks.shape[0], : turned.masks.shape[1]]
    assert_same_masks(turned.masks, whole, 0.97)  # canvases of odd and even sides are half a pixel apart
    areas = [unpack_masks(packed).sum(axis=(1, 2)) for packed in (picture.masks, turned.masks)]
    np.testing.assert_allclose(areas[1], areas[0], rtol=0.04)
    assert_alike(turned)


def test_a_quarter_turn_moves_every_pixel(script, picture):
    turned = script.rotated(picture, 90)
    for before, after in zip(picture, turned, strict=True):
        assert after.shape == (WIDTH, HEIGHT)
        for row, column in ((0, 0), (22, 42), (82, 60), (119, 70)):
            assert after[WIDTH - 1 - column, row] == before[row, column]


@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_the_hand_is_scaled_about_the_middle(script, picture, factor):
    scaled = script.scaled(picture, factor)
    offset = [(side - 1) / 2 * (1 - 1 / factor) for side in (HEIGHT, WIDTH)]
    expected = [
        ndimage.affine_transform(mask.astype(np.uint8), [1 / factor] * 2, offset, order=0)
        for mask in unpack_masks(picture.masks)
    ]
    assert_same_masks(scaled.masks, np.array(expected, bool), 0.98)  # halfway between pixels, either is nearest
    assert_alike(scaled, 0.96)


def test_mirroring_keeps_the_names_of_bones(script, picture):
    mirrored = script.mirrored(picture)
    for before, after in zip(picture, mirrored, strict=True):
        assert all((after[:, WIDTH - 1 - column] == before[:, column]).all() for column in range(WIDTH))


def test_without_fingertips_the_middle_finger_has_no_distal_phalanx(script, picture):
    cut = script.without_fingertips(picture)
    tip = unpack_masks(picture.masks)[CHANNEL["finger-8"]]
    top = HEIGHT - len(cut.masks)
    assert tip[top - 1].any()
    assert not unpack_masks(cut.masks)[CHANNEL["finger-8"]].any()
    assert (cut.masks == picture.masks[top:]).all()
    assert (cut.radiograph == picture.radiograph[top:]).all()


def test_without_that_bone_nothing_is_cut(script, picture):
    absent = script.Picture(picture.radiograph, picture.masks & ~np.uint32(1 << CHANNEL["finger-8"]))
    assert script.without_fingertips(absent).masks.shape == (HEIGHT, WIDTH)


def test_greys_change_and_masks_do_not(script, picture):
    greys = picture.radiograph.astype(np.float64)
    sigma = 0.02 * HEIGHT
    changed = {
        "blur": (script.blurred(picture, 0.02), ndimage.gaussian_filter(greys, sigma, mode="mirror", truncate=6)),
        "gamma": (script.with_gamma(picture, 0.5), np.sqrt(greys)),
        "inversion": (script.inverted(picture), 1 - greys),
    }
    for name, (found, expected) in changed.items():
        assert (found.masks == picture.masks).all(), name
        np.testing.assert_allclose(found.radiograph, expected, atol=2e-3, err_msg=name)


def test_noise_has_its_deviation_and_repeats(script):
    grey = script.Picture(np.full((200, 200), 0.5, np.float32), np.zeros((200, 200), np.uint32))
    noisy = script.noisy(grey, 0.1)
    assert noisy.radiograph.std() == pytest.approx(0.1, rel=0.02)
    assert (noisy.radiograph == script.noisy(grey, 0.1).radiograph).all()


def test_jpeg_is_that_of_pillow(script, picture):
    file = io.BytesIO()
    Image.fromarray((picture.radiograph * 255 + 0.5).astype(np.uint8)).save(file, "JPEG", quality=20)
    found = script.as_jpeg(picture, 20)
    np.testing.assert_allclose(found.radiograph * 255, np.array(Image.open(file)), atol=1e-3)
    assert (found.masks == picture.masks).all()
