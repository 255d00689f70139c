"""Losses for overlapping masks: every bone is a binary problem of its own."""

from handseg_bundle_common.losses.dice import DiceBCELoss, DiceFocalLoss
from handseg_bundle_common.losses.tversky import FocalTverskyLoss, TverskyLoss

__all__ = ["DiceBCELoss", "DiceFocalLoss", "FocalTverskyLoss", "TverskyLoss"]
