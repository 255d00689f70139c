"""Weights and checkpoints on disk: the only place that loads or saves them, and that finds a bundle's folder."""

from handseg_bundle_common.weights.adoption import adopt_settings
from handseg_bundle_common.weights.bundles import (
    METADATA,
    PACKAGE,
    bundle_shelves,
    find_bundle,
    known_bundles,
    unpacked_folder,
)
from handseg_bundle_common.weights.declared import DECLARED, declared_digest, free_path
from handseg_bundle_common.weights.fit import load_weights
from handseg_bundle_common.weights.sources import required_file, starting_weights
from handseg_bundle_common.weights.storage import (
    load_checkpoint,
    load_state_dict_file,
    save_checkpoint,
    save_weights,
    stored_settings,
)

__all__ = [
    "DECLARED",
    "METADATA",
    "PACKAGE",
    "adopt_settings",
    "bundle_shelves",
    "declared_digest",
    "find_bundle",
    "free_path",
    "known_bundles",
    "load_checkpoint",
    "load_state_dict_file",
    "load_weights",
    "required_file",
    "save_checkpoint",
    "save_weights",
    "starting_weights",
    "stored_settings",
    "unpacked_folder",
]
