"""The three pipelines that every bundle shares: training, validation and inference."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from monai.transforms import (
    Compose,
    EnsureTyped,
    RandAdjustContrastd,
    RandBiasFieldd,
    RandCoarseDropoutd,
    RandGaussianNoised,
    RandGaussianSharpend,
    RandGaussianSmoothd,
    RandHistogramShiftd,
    RandScaleIntensityd,
    RandShiftIntensityd,
    SelectItemsd,
    ThresholdIntensityd,
    Transform,
)

from handseg_bundle_common.transforms.appearance import RandAppearanced
from handseg_bundle_common.transforms.load import (
    SIZE_KEY,
    LoadBoneMasksd,
    LoadRadiographd,
    ScaleRadiographd,
    UnpackBoneMasksd,
)
from handseg_bundle_common.transforms.probabilities import SaveProbabilitiesd
from handseg_bundle_common.transforms.restore import RestoreMasksd
from handseg_bundle_common.transforms.warp import ResizeRadiographd
from handseg_bundle_common.transforms.window import RandWindowd

IMAGE, LABEL, PRED = "image", "label", "pred"
# What goes through collation: two entries of every item, so that batches are the same for files and simulated hands.
_TRAINING_KEYS: tuple[Hashable, ...] = (IMAGE, LABEL, "image_name")


def random_appearance(strength: float = 1.0) -> list[Transform]:
    """Return MONAI transforms that vary contrast, sharpness, noise and obstructions of a 0..1 radiograph.

    Args:
        strength: multiplies every probability; 0 switches all of them off.
    """
    probability = [min(p * strength, 1.0) for p in (0.5, 0.3, 0.3, 0.3, 0.25, 0.2, 0.2, 0.4)]
    return [
        RandHistogramShiftd(IMAGE, num_control_points=(4, 8), prob=probability[0]),
        RandAdjustContrastd(IMAGE, gamma=(0.5, 2.0), prob=probability[1]),
        RandBiasFieldd(IMAGE, degree=2, coeff_range=(-0.25, 0.25), prob=probability[2]),
        RandScaleIntensityd(IMAGE, factors=0.3, prob=probability[3]),
        RandShiftIntensityd(IMAGE, offsets=0.12, prob=probability[3]),
        RandGaussianSmoothd(IMAGE, sigma_x=(0.3, 1.2), sigma_y=(0.3, 1.2), prob=probability[4]),
        RandGaussianSharpend(IMAGE, prob=probability[5]),
        RandCoarseDropoutd(IMAGE, holes=1, spatial_size=12, max_holes=3, max_spatial_size=64, prob=probability[6]),
        RandGaussianNoised(IMAGE, std=0.06, prob=probability[7]),
        ThresholdIntensityd(IMAGE, threshold=1.0, above=False, cval=1.0),
        ThresholdIntensityd(IMAGE, threshold=0.0, above=True, cval=0.0),
    ]


def training_transforms(
    image_size: int,
    window_size: int | None = None,
    *,
    strength: float = 1.0,
    strong_appearance: bool = False,
    flip_prob: float = 0.5,
    **window: Any,
) -> Compose:
    """Return the pipeline from a data-list item (paths, or arrays of a simulated hand) to a training window.

    Args:
        image_size: the radiograph's longer side is scaled to this many px.
        window_size: side of the square window in px; None takes the whole radiograph.
        strength: how often geometry and appearance vary; 0 trains on the plain windows.
        strong_appearance: vary the appearance by `RandAppearanced` in place of `random_appearance`, for training on
            simulated radiographs that is to hold on real ones.
        flip_prob: probability of a left-right mirror, which keeps the labels.
        window: further arguments of `RandWindowd`, such as `rotate_range`, `small_bone_prob` and `cache_dir`.

    Returns:
        A transform giving image float32 (1, w, w), label uint8 (29, w, w).
    """
    cut = RandWindowd(
        (IMAGE, LABEL),
        image_size=image_size,
        window_size=window_size,
        prob=min(0.9 * strength, 1.0),
        flip_prob=flip_prob * min(strength, 1.0),
        **window,
    )
    return Compose(
        [
            cut,
            *([RandAppearanced(IMAGE, strength=strength)] if strong_appearance else random_appearance(strength)),
            UnpackBoneMasksd(LABEL),
            # A MetaTensor would send every operation of the network through Python.
            EnsureTyped(IMAGE, track_meta=False),
            SelectItemsd(_TRAINING_KEYS),
        ]
    )


def validation_transforms(image_size: int) -> Compose:
    """Return the pipeline to a whole radiograph at its working size with packed masks at its native size.

    Args:
        image_size: the radiograph's longer side is scaled to this many px.

    Returns:
        A transform giving image float32 (1, h, w), label int32 (1, H, W) and native_size (H, W).
    """
    return Compose(
        [
            LoadRadiographd(IMAGE),
            LoadBoneMasksd(LABEL),
            ScaleRadiographd(IMAGE),
            ResizeRadiographd(IMAGE, image_size=image_size),
            SelectItemsd((IMAGE, LABEL, SIZE_KEY, "image_name", "patient")),
        ]
    )


def inference_transforms(image_size: int) -> Compose:
    """Return the pipeline to a whole radiograph at its working size, without a label.

    Args:
        image_size: the radiograph's longer side is scaled to this many px.

    Returns:
        A transform giving image float32 (1, h, w) and native_size (H, W); other entries are kept.
    """
    return Compose([LoadRadiographd(IMAGE), ScaleRadiographd(IMAGE), ResizeRadiographd(IMAGE, image_size=image_size)])


def validation_postprocessing(
    threshold: float = 0.5, probabilities_dir: str | None = None, *, patient_in_names: bool = False
) -> Compose:
    """Return what turns logits and packed label into masks, uint8 (29, H, W), both at the native size.

    Args:
        threshold: probability above which a pixel belongs to a bone.
        probabilities_dir: folder of results that also keeps the probabilities, see `SaveProbabilitiesd`.
        patient_in_names: name their files by patient and image.
    """
    save = SaveProbabilitiesd(PRED, probabilities_dir, patient_in_names=patient_in_names) if probabilities_dir else None
    restore = [RestoreMasksd(PRED, threshold=threshold), UnpackBoneMasksd(LABEL)]
    return Compose([save, *restore] if save else restore)
