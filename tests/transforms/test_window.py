"""Training windows: what they show equals the plain way, where they lie follows the stated probabilities."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest
from scipy import ndimage

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES, SMALL_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import rasterise, read_annotations, write_annotations
from handseg_bundle_common.formats.radiograph import read_radiograph, write_radiograph
from handseg_bundle_common.masks import pack_masks, unpack_masks
from handseg_bundle_common.transforms import RandWindowd, sampling_grid
from handseg_bundle_common.transforms.sources import ArrayMasks, PolygonMasks

HEIGHT, WIDTH = 700, 600


@pytest.fixture(scope="module")
def item(tmp_path_factory):
    """A radiograph and twenty-nine star-shaped bones, as files."""
    folder = tmp_path_factory.mktemp("item")
    rng = np.random.default_rng(0)
    noise = ndimage.gaussian_filter(rng.random((HEIGHT, WIDTH)), 4)
    write_radiograph(folder / "hand.png", ((noise - noise.min()) / np.ptp(noise)).astype(np.float32), bits=8)
    turns = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    rings = {}
    for number, name in enumerate(BONE_NAMES):
        radius = rng.uniform(20, 60, len(turns))
        middle = np.array([60 + 95 * (number % 6), 70 + 120 * (number // 6)])
        rings[name] = [middle + radius[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1)]
    write_annotations(folder / "hand.json", rings)
    return {"image": str(folder / "hand.png"), "label": str(folder / "hand.json")}


def _plain_window(transform, item):
    """Decode everything, fill twenty-nine full masks, stretch and warp each of them whole, without a thought."""
    image = read_radiograph(item["image"])[0]
    annotations = read_annotations(item["label"])
    masks = rasterise(annotations, *image.shape)
    parameters = transform.draw(image.shape, PolygonMasks(annotations, image.shape))
    scale = transform.image_size / max(image.shape)
    grid = sampling_grid(parameters, image.shape, scale, transform.window_size)
    low, high = np.percentile(image[::4, ::4], (0.5, 99.8))
    stretched = np.clip((image - low) / (high - low), 0, 1).astype(np.float32)
    constant = {"borderMode": cv2.BORDER_CONSTANT}
    warped = cv2.remap(stretched, *grid, cv2.INTER_LINEAR, **constant)
    labels = [cv2.remap(mask.astype(np.float32), *grid, cv2.INTER_NEAREST, **constant) for mask in masks]
    return warped, np.stack(labels) > 0


def _window(transform, item):
    out = transform(item)
    return out["image"].numpy()[0], unpack_masks(out["label"].numpy()[0].view(np.uint32))


@pytest.mark.parametrize("cached", [False, True], ids=["decoded", "tiles"])
@pytest.mark.parametrize("seed", range(6))
def test_a_window_equals_the_one_cut_the_plain_way(item, tmp_path, cached, seed):
    settings = {"image_size": 900, "window_size": 256, "zoom_range": (0.8, 1.3), "small_bone_prob": 0.5}
    cheap = RandWindowd(**settings, cache_dir=tmp_path if cached else None)
    plain = RandWindowd(**settings)
    image, masks = _window(cheap.set_random_state(seed), item)
    expected_image, expected_masks = _plain_window(plain.set_random_state(seed), item)
    # OpenCV rounds coordinates to 1/32 px, which an offset may push over the edge in a few places.
    assert (masks != expected_masks).mean() < 1e-4
    np.testing.assert_allclose(image, expected_image, atol=0.02)
    assert np.abs(image - expected_image).mean() < 1e-3


@pytest.mark.parametrize("image_size", [80, 160, 300])
def test_halved_tiles_give_the_same_small_pictures(item, tmp_path, image_size):
    plain = RandWindowd(image_size=image_size, prob=0.0, flip_prob=0.0)
    tiles = RandWindowd(image_size=image_size, prob=0.0, flip_prob=0.0, cache_dir=tmp_path)
    image, masks = _window(plain, item)
    for _ in range(2):  # the first call writes the tiles, the second finds them
        from_tiles, same_masks = _window(tiles, item)
        np.testing.assert_allclose(from_tiles, image, atol=0.03)
        np.testing.assert_array_equal(same_masks, masks)


def test_image_and_masks_stay_aligned():
    rows, columns = np.mgrid[:200, :200]
    disc = (rows - 90) ** 2 + (columns - 120) ** 2 < 40**2
    masks = np.zeros((NUM_BONES, 200, 200), bool)
    masks[7] = disc
    item = {"image": disc[None].astype(np.float32), "label": pack_masks(masks).view(np.int32)[None]}
    transform = RandWindowd(image_size=100, elastic_range=0.02)
    transform.set_random_state(3)
    for _ in range(5):
        image, warped = _window(transform, item)
        mask, bright = warped[7], image > 0.5
        assert 2 * (mask & bright).sum() / (mask.sum() + bright.sum()) > 0.97


def test_same_seed_draws_the_same_parameters(item):
    def draw(seed):
        transform = RandWindowd(image_size=64, window_size=32, small_bone_prob=0.5)
        return transform.set_random_state(seed).draw((80, 64), ArrayMasks(np.ones((80, 64), np.uint32)))

    first, again, other = draw(4), draw(4), draw(5)
    assert (first.angle, first.zoom, first.centre) == (again.angle, again.zoom, again.centre)
    np.testing.assert_array_equal(first.displacements, again.displacements)
    assert first.angle != other.angle


def test_windows_lie_inside_the_image():
    transform = RandWindowd(image_size=256, window_size=64, prob=0.0)
    transform.set_random_state(6)
    native_size, scale = (512, 384), 0.5
    masks = ArrayMasks(np.zeros(native_size, np.uint32))
    corners = []
    for _ in range(200):
        grid = sampling_grid(transform.draw(native_size, masks), native_size, scale, 64)
        corners.append([grid.min((1, 2)), grid.max((1, 2))])
    low, high = np.array(corners).min(0)[0], np.array(corners).max(0)[1]
    assert (low >= -0.51).all()
    assert (high <= [383.51, 511.51]).all()
    assert (low < 20).all(), "windows never come near the left and top border"
    assert (high > [364, 492]).all(), "windows never come near the right and bottom border"


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_windows_are_centred_on_small_bones_with_the_stated_probability(probability):
    """A bone a cell of a 6 x 5 grid: count which cells the windows' centres fall into."""
    masks = np.zeros((NUM_BONES, 500, 600), bool)
    for channel in range(NUM_BONES):
        y, x = 50 + 100 * (channel // 6), 50 + 100 * (channel % 6)
        masks[channel, y, x] = True
    transform = RandWindowd(image_size=600, window_size=20, prob=0.0, small_bone_prob=probability)
    transform.set_random_state(8)
    source, draws, counts = ArrayMasks(pack_masks(masks)), 1500, dict.fromkeys(BONE_NAMES, 0)
    for _ in range(draws):
        x, y = np.array(transform.draw((500, 600), source).centre) * (600, 500) - 0.5
        for channel, name in enumerate(BONE_NAMES):
            middle = 50 + 100 * (channel % 6), 50 + 100 * (channel // 6)
            counts[name] += bool(np.hypot(x - middle[0], y - middle[1]) < 1e-6)
    hits = np.array([counts[name] for name in SMALL_BONES])
    assert sum(counts.values()) == hits.sum(), "a window is centred on a bone that is not small"
    # Five standard deviations of the binomial distribution.
    deviation = np.sqrt(draws * probability * (1 - probability))
    assert abs(hits.sum() - draws * probability) <= 5 * deviation
    share = probability / len(SMALL_BONES)
    assert (np.abs(hits - draws * share) <= 5 * np.sqrt(draws * share * (1 - share))).all()


def test_a_window_on_a_bone_at_the_edge_stays_inside():
    masks = np.zeros((NUM_BONES, 100, 100), bool)
    masks[BONE_NAMES.index("finger-8"), 2, 97] = True
    transform = RandWindowd(image_size=100, window_size=40, prob=0.0, small_bone_prob=1.0)
    assert transform.draw((100, 100), ArrayMasks(pack_masks(masks))).centre == pytest.approx((0.8, 0.2))


def test_bones_that_are_missing_are_not_drawn():
    masks = np.zeros((NUM_BONES, 100, 100), bool)
    transform = RandWindowd(image_size=100, window_size=40, prob=0.0, small_bone_prob=1.0)
    transform.draw((100, 100), ArrayMasks(pack_masks(masks)))
    masks[BONE_NAMES.index("Pisiform"), 50, 40] = True
    for _ in range(5):
        centre = transform.draw((100, 100), ArrayMasks(pack_masks(masks))).centre
        assert centre == pytest.approx((0.405, 0.505))


def test_a_window_beside_the_radiograph_is_black_and_empty(item):
    transform = RandWindowd(image_size=700, window_size=64, shift_range=30.0, zoom_range=(1, 1))
    transform.set_random_state(0)
    empty = 0
    for _ in range(20):
        image, masks = _window(transform, item)
        empty += not image.any() and not masks.any()
    assert empty


def test_a_large_radiograph_needs_little_memory():
    item = {"image": np.zeros((1, 2048, 2048), np.float32), "label": np.zeros((1, 2048, 2048), np.int32)}
    transform = RandWindowd(image_size=512)
    tracemalloc.start()
    transform(item)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < NUM_BONES * 2048 * 2048, "29 full-size masks seem to be held, even as bytes"


@pytest.mark.parametrize("probability", [-0.1, 1.5])
def test_no_probability(probability):
    with pytest.raises(HandsegInputError, match="small_bone_prob"):
        RandWindowd(image_size=64, small_bone_prob=probability)
