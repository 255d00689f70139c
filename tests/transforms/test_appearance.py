"""Strong random appearance: drawn from a seed, applied without chance, to the picture alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from handseg_bundle_common.transforms import (
    Appearance,
    RandAppearanced,
    Rectangle,
    apply_appearance,
    training_transforms,
)

SIZE = 320  # of which lengths are told


@pytest.fixture
def radiograph():
    """Smooth spots from 0 to 1, so that stretching the contrast alone changes little."""
    rng = np.random.default_rng(0)
    image = ndimage.gaussian_filter(rng.standard_normal((SIZE, SIZE)), 6)
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


def stretched(image):
    """Contrast between percentiles 0.5 and 99.8 of every fourth pixel, in plain NumPy."""
    low, high = np.percentile(image[::4, ::4], (0.5, 99.8))
    return np.clip((image - low) / (high - low), 0, 1)


def test_what_is_not_drawn_leaves_the_picture_but_for_its_contrast(radiograph):
    np.testing.assert_allclose(apply_appearance(radiograph, Appearance()), stretched(radiograph), atol=1e-6)


def test_the_blur_is_a_gaussian(radiograph):
    blurred = ndimage.gaussian_filter(radiograph.astype(float), 1.3, mode="reflect")
    np.testing.assert_allclose(apply_appearance(radiograph, Appearance(blur=1.3)), stretched(blurred), atol=5e-3)


def test_an_unsharp_mask_adds_what_a_gaussian_takes_away(radiograph):
    image = radiograph.astype(float)
    sharp = image + 1.5 * (image - ndimage.gaussian_filter(image, 2.2, mode="reflect"))
    np.testing.assert_allclose(
        apply_appearance(radiograph, Appearance(unsharp=(2.2, 1.5))), stretched(sharp), atol=1e-2
    )


def test_a_tone_curve_maps_greys_and_keeps_their_order(radiograph):
    curve = np.linspace(0, 1, 1024, dtype=np.float32) ** 2
    np.testing.assert_allclose(
        apply_appearance(radiograph, Appearance(tone=curve)), stretched(radiograph**2), atol=1e-5
    )


def test_a_steep_tone_curve_shows_no_steps():
    ramp = np.tile(np.linspace(0, 1, 4096, dtype=np.float32), (8, 1))
    curve = np.linspace(0, 1, 1024, dtype=np.float32) ** 0.4
    toned = apply_appearance(ramp, Appearance(tone=curve))
    assert len(np.unique(toned)) > 4000


def test_a_field_is_added(radiograph):
    knots = np.random.default_rng(1).normal(0, 0.1, (4, 4)).astype(np.float32)
    found = apply_appearance(radiograph, Appearance(field=knots))
    smooth = ndimage.zoom(knots, SIZE / 4, order=3, grid_mode=True, mode="nearest")
    np.testing.assert_allclose(found, stretched(radiograph + smooth), atol=0.05)
    assert np.corrcoef((found - stretched(radiograph)).ravel(), smooth.ravel())[0, 1] > 0.95


@pytest.fixture
def bands():
    """Black, two greys and white from left to right."""
    return np.repeat(np.array([0, 0.25, 0.5, 1], np.float32), SIZE // 4)[None].repeat(SIZE, axis=0)


def alike(noise):
    """Correlation of pixels with their right neighbours."""
    return np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]


@pytest.mark.parametrize(("length", "least", "most"), [(1.0, -0.03, 0.03), (4.0, 0.8, 1.0)])
def test_a_texture_multiplies_the_greys_by_noise_of_its_length(bands, length, least, most):
    changed = apply_appearance(bands, Appearance(texture=(length, 0.05), seed=3))
    dark, bright = changed[:, 85:155], changed[:, 165:235]
    for grey in (dark, bright):
        assert grey.std() / grey.mean() == pytest.approx(0.05, rel=0.25)
        assert least <= alike(grey) <= most
    assert bright.mean() / dark.mean() == pytest.approx(2, rel=0.02)
    assert not changed[:, :75].any()


def test_noise_is_white_has_its_deviation_and_follows_the_seed(bands):
    def noisy(seed):
        return apply_appearance(bands, Appearance(noise=0.03, seed=seed))

    changed = noisy(1)
    dark, bright = changed[:, 85:155], changed[:, 165:235]
    contrast = (bright.mean() - dark.mean()) / 0.25
    assert dark.std() / contrast == pytest.approx(0.03, rel=0.05)
    assert bright.std() / contrast == pytest.approx(0.03, rel=0.05)
    assert abs(alike(bright)) < 0.02
    assert np.array_equal(changed, noisy(1))
    assert not np.array_equal(changed, noisy(2))


def test_training_takes_it_in_place_of_the_gentle_one_on_request():
    def names(strong):
        transforms = training_transforms(64, strong_appearance=strong).flatten().transforms
        return [type(transform).__name__ for transform in transforms]

    assert names(strong=True).count("RandAppearanced") == 1
    assert "RandAppearanced" not in names(strong=False)
    assert len(names(strong=True)) < len(names(strong=False))


def test_a_strip_covers_the_top():
    transform = RandAppearanced().set_random_state(1)
    drawn = [one for one in (transform.draw() for _ in range(60)) if any(r.columns == (0, 1) for r in one.rectangles)]
    assert 3 <= len(drawn) <= 20
    assert all(one.rectangles[-1].rows[0] == 0 and one.rectangles[-1].opacity == 1 for one in drawn)


def test_half_the_strength_halves_how_often_something_happens():
    def share(strength):
        transform = RandAppearanced(strength=strength).set_random_state(0)
        return np.mean([transform.draw().tone is not None for _ in range(400)])

    assert share(1.0) == pytest.approx(0.8, abs=0.06)
    assert share(0.5) == pytest.approx(0.4, abs=0.07)


def test_a_rectangle_hides_what_its_opacity_says(radiograph):
    patch = Rectangle(rows=(0.25, 0.5), columns=(0.5, 1.0), grey=0.5, opacity=0.5)
    expected = radiograph.copy()
    expected[80:160, 160:] = 0.5 * expected[80:160, 160:] + 0.25
    found = apply_appearance(radiograph, Appearance(rectangles=(patch,)))
    np.testing.assert_allclose(found, stretched(expected), atol=1e-5)


@pytest.mark.parametrize("size", [160, 640])
def test_lengths_grow_with_the_radiograph(radiograph, size):
    """Blurring commutes with resizing, but for the pixels' own width."""
    factor = size / SIZE
    resized = ndimage.zoom(radiograph, factor, order=1, grid_mode=True, mode="nearest")
    found = apply_appearance(resized, Appearance(blur=4.0))
    expected = ndimage.zoom(
        apply_appearance(radiograph, Appearance(blur=4.0)), factor, order=1, grid_mode=True, mode="nearest"
    )
    assert np.abs(found - expected).mean() < 0.01


def test_the_same_seed_draws_the_same_and_another_seed_something_else(radiograph):
    def result(seed):
        return RandAppearanced().set_random_state(seed)({"image": radiograph[None]})["image"]

    assert torch.equal(result(3), result(3))
    assert not torch.equal(result(3), result(4))


def test_strength_0_changes_nothing(radiograph):
    out = RandAppearanced(strength=0.0)({"image": radiograph[None], "label": 7})
    assert np.array_equal(out["image"], radiograph[None])
    assert out["label"] == 7


def test_every_effect_is_drawn_now_and_then_and_tone_curves_rise(radiograph):
    transform = RandAppearanced().set_random_state(0)
    drawn = [transform.draw() for _ in range(60)]
    for effect in ("texture", "field", "blur", "unsharp", "tone", "rectangles", "noise"):
        happened = sum(
            len(np.atleast_1d(getattr(one, effect))) > 0 and getattr(one, effect) is not None for one in drawn
        )
        assert 0 < happened < 60, effect
    for one in drawn:
        assert one.tone is None or (np.diff(one.tone) >= 0).all()
        out = apply_appearance(radiograph, one)
        assert out.shape == radiograph.shape
        assert out.dtype == np.float32
        assert 0 <= out.min() < out.max() <= 1
