"""Data lists for MONAI, folds for cross-validation, and the check of a data set before training."""

from handseg_bundle_common.datasets.check import check_data
from handseg_bundle_common.datasets.check_faults import Fault, FaultKind, Severity, fault_table, faults_to_json
from handseg_bundle_common.datasets.extra import with_extra_data
from handseg_bundle_common.datasets.fingerprint import data_fingerprint
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
from handseg_bundle_common.datasets.wrist import TILTED_FROM, WristStratum, wrist_angle, wrist_stratum

__all__ = [
    "DEFAULT_NUM_FOLDS",
    "TILTED_FROM",
    "Fault",
    "FaultKind",
    "Folds",
    "Item",
    "Severity",
    "WristStratum",
    "check_data",
    "data_fingerprint",
    "data_list",
    "fault_table",
    "faults_to_json",
    "find_images",
    "fold_split",
    "image_list",
    "make_folds",
    "read_folds",
    "sample_dir",
    "sample_folds",
    "with_extra_data",
    "wrist_angle",
    "wrist_stratum",
    "write_folds",
]
