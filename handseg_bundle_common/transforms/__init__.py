"""MONAI dictionary transforms for radiographs with overlapping masks, and the pipelines that bundles use."""

from handseg_bundle_common.transforms.appearance import Appearance, RandAppearanced, Rectangle, apply_appearance
from handseg_bundle_common.transforms.load import (
    PATH_KEY,
    SIZE_KEY,
    LoadBoneMasksd,
    LoadRadiographd,
    ScaleRadiographd,
    UnpackBoneMasksd,
)
from handseg_bundle_common.transforms.pipelines import (
    inference_transforms,
    random_appearance,
    training_transforms,
    validation_postprocessing,
    validation_transforms,
)
from handseg_bundle_common.transforms.probabilities import SaveProbabilitiesd
from handseg_bundle_common.transforms.restore import RestoreMasksd, restore_masks
from handseg_bundle_common.transforms.warp import (
    ResizeRadiographd,
    WarpParameters,
    sampling_grid,
    warp_packed_masks,
    warp_radiograph,
)
from handseg_bundle_common.transforms.window import RandWindowd

__all__ = [
    "PATH_KEY",
    "SIZE_KEY",
    "Appearance",
    "LoadBoneMasksd",
    "LoadRadiographd",
    "RandAppearanced",
    "RandWindowd",
    "Rectangle",
    "ResizeRadiographd",
    "RestoreMasksd",
    "SaveProbabilitiesd",
    "ScaleRadiographd",
    "UnpackBoneMasksd",
    "WarpParameters",
    "apply_appearance",
    "inference_transforms",
    "random_appearance",
    "restore_masks",
    "sampling_grid",
    "training_transforms",
    "validation_postprocessing",
    "validation_transforms",
    "warp_packed_masks",
    "warp_radiograph",
]
