"""The three pipelines on radiographs and annotations as they lie on disk, and on arrays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, NUM_BONES
from handseg_bundle_common.formats.boostcamp import write_annotations
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.formats.radiograph import write_radiograph
from handseg_bundle_common.formats.seg_nrrd import write_seg_nrrd
from handseg_bundle_common.masks import pack_masks
from handseg_bundle_common.transforms import (
    ScaleRadiographd,
    inference_transforms,
    training_transforms,
    validation_postprocessing,
    validation_transforms,
)

HEIGHT, WIDTH = 120, 90


@pytest.fixture
def radiograph():
    rng = np.random.default_rng(0)
    return cv2.GaussianBlur(rng.random((HEIGHT, WIDTH)).astype(np.float32), (0, 0), 4)


@pytest.fixture
def masks():
    """Every bone a rectangle of its own size; neighbours in channel order overlap."""
    masks = np.zeros((NUM_BONES, HEIGHT, WIDTH), bool)
    for channel in range(NUM_BONES):
        masks[channel, 3 * channel : 3 * channel + 10 + channel, 20 : 40 + channel] = True
    return masks


@pytest.fixture
def item(radiograph, masks, tmp_path):
    rings = {}
    for name, mask in zip(BONE_NAMES, masks, strict=True):
        rows, columns = np.nonzero(mask)
        top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
        rings[name] = [np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)]
    write_radiograph(tmp_path / "hand.png", radiograph)
    write_annotations(tmp_path / "hand.json", rings)
    return {
        "image": str(tmp_path / "hand.png"),
        "label": str(tmp_path / "hand.json"),
        "image_name": "hand.png",
        "patient": "p1",
    }


def test_training_gives_windows_of_image_and_29_masks(item):
    out = training_transforms(image_size=64)(item)
    assert set(out) == {"image", "label", "image_name"}
    assert (out["image"].shape, out["image"].dtype) == ((1, 64, 64), torch.float32)
    assert (out["label"].shape, out["label"].dtype) == ((NUM_BONES, 64, 64), torch.uint8)
    assert out["image"].min() >= 0
    assert out["image"].max() <= 1


def test_without_augmentation_the_window_is_the_whole_radiograph(item, masks):
    out = training_transforms(image_size=HEIGHT, strength=0.0, flip_prob=0.0)(item)
    margin = (HEIGHT - WIDTH) // 2
    label = out["label"].numpy().astype(bool)
    np.testing.assert_array_equal(label[:, :, margin : margin + WIDTH], masks)
    assert not label[:, :, :margin].any()


def test_appearance_varies_but_never_touches_the_labels(item):
    """Two draws with geometry off and every appearance transform on: other pictures, same masks."""
    pipeline = training_transforms(image_size=64, strength=4.0, rotate_range=0.0, zoom_range=(1.0, 1.0), flip_prob=0.0)
    warp = next(step for step in pipeline.transforms if hasattr(step, "elastic_range"))
    warp.elastic_range = warp.shift_range = warp.shear_range = 0.0
    pipeline.set_random_state(1)
    first, second = pipeline(item), pipeline(item)
    assert not torch.equal(first["image"], second["image"])
    assert torch.equal(first["label"], second["label"])


def test_the_same_seed_gives_the_same_windows(item):
    def draw():
        pipeline = training_transforms(image_size=64)
        pipeline.set_random_state(7)
        return [pipeline(item) for _ in range(3)]

    for first, again in zip(draw(), draw(), strict=True):
        assert torch.equal(first["image"], again["image"])
        assert torch.equal(first["label"], again["label"])


def test_simulated_arrays_pass_as_files_do(item, radiograph, masks):
    arrays = {
        "image": np.round(radiograph * 65535)[None] / np.float32(65535),
        "label": pack_masks(masks).view(np.int32)[None],
        "image_name": "hand.png",
    }
    from_arrays = training_transforms(image_size=64, strength=0.0, flip_prob=0.0)(arrays)
    from_files = training_transforms(image_size=64, strength=0.0, flip_prob=0.0)(item)
    torch.testing.assert_close(from_arrays["image"], from_files["image"], atol=1e-4, rtol=0)
    assert torch.equal(from_arrays["label"], from_files["label"])


def test_validation_keeps_masks_at_the_native_size(item, masks):
    out = validation_transforms(image_size=60)(item)
    assert out["image"].shape == (1, 60, 45)
    assert out["native_size"].tolist() == [HEIGHT, WIDTH]
    # Perfect logits at the native size must restore to exactly the reference.
    logits = torch.from_numpy(np.where(masks, 9.0, -9.0).astype(np.float32))
    final = validation_postprocessing()({**out, "pred": logits})
    np.testing.assert_array_equal(final["label"], masks)
    np.testing.assert_array_equal(final["pred"], masks)


def test_segmentations_of_slicer_are_labels_as_polygons_are(item, masks, tmp_path):
    write_seg_nrrd(tmp_path / "hand.seg.nrrd", MaskImage("", pack_masks(masks)))
    other = {**item, "label": str(tmp_path / "hand.seg.nrrd")}
    for transform in (training_transforms(64, strength=0), validation_transforms(64)):
        torch.testing.assert_close(transform(other)["label"], transform(item)["label"])


def test_inference_needs_no_label(item):
    out = inference_transforms(image_size=60)({"image": item["image"], "image_name": "hand.png"})
    assert out["image"].shape == (1, 60, 45)
    assert out["native_size"].tolist() == [HEIGHT, WIDTH]
    assert out["image_name"] == "hand.png"


def test_training_validation_and_inference_see_the_same_picture(item):
    trained = training_transforms(image_size=HEIGHT, strength=0.0, flip_prob=0.0)(item)["image"]
    validated = validation_transforms(image_size=HEIGHT)(item)["image"]
    inferred = inference_transforms(image_size=HEIGHT)(item)["image"]
    margin = (HEIGHT - WIDTH) // 2
    torch.testing.assert_close(torch.as_tensor(trained)[:, :, margin : margin + WIDTH], validated, atol=1e-5, rtol=0)
    assert torch.equal(validated, inferred)


def test_grey_levels_are_stretched_between_percentiles(radiograph):
    bright = {"image": radiograph[None] * 0.2 + 0.5}
    dark = {"image": radiograph[None] * 0.7}
    scaled = [ScaleRadiographd()(item)["image"] for item in (bright, dark)]
    np.testing.assert_allclose(scaled[0], scaled[1], atol=1e-4)
    assert scaled[0].min() == 0
    assert scaled[0].max() == 1


def test_a_constant_picture_stays_finite():
    assert np.isfinite(ScaleRadiographd()({"image": np.full((1, 8, 8), 0.4, np.float32)})["image"]).all()


def test_channels_follow_the_anatomy(item):
    label = validation_postprocessing()({**validation_transforms(60)(item), "pred": torch.zeros(NUM_BONES, 4, 4)})[
        "label"
    ]
    assert label[CHANNEL["Ulna"]].sum() == (10 + 28) * (20 + 28) - max(0, 3 * 28 + 38 - HEIGHT) * 48
