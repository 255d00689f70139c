"""Bundles as things that are handed on: the weights that belong to them."""

from handseg_bundle_common.packaging.install import Installed, install_weights, sample_dice

__all__ = ["Installed", "install_weights", "sample_dice"]
