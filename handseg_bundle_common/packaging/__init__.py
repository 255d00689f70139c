"""Bundles as things that are handed on: their pages, and the weights that belong to them."""

from handseg_bundle_common.packaging.card import CARD, NOT_MEASURED, with_numbers
from handseg_bundle_common.packaging.install import Installed, install_weights, sample_dice

__all__ = ["CARD", "NOT_MEASURED", "Installed", "install_weights", "sample_dice", "with_numbers"]
