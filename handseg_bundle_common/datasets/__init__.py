"""Data lists for MONAI, and folds that keep the images of a patient together."""

from handseg_bundle_common.datasets.folds import (
    DEFAULT_NUM_FOLDS,
    Folds,
    fold_split,
    make_folds,
    read_folds,
    sample_folds,
    write_folds,
)
from handseg_bundle_common.datasets.lists import Item, data_list, find_images, image_list, sample_dir

__all__ = [
    "DEFAULT_NUM_FOLDS",
    "Folds",
    "Item",
    "data_list",
    "find_images",
    "fold_split",
    "image_list",
    "make_folds",
    "read_folds",
    "sample_dir",
    "sample_folds",
    "write_folds",
]
