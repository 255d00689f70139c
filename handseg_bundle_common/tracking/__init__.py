"""Experiments of several runs: cross-validation."""

from handseg_bundle_common.tracking.cross_validation import CrossValidation, cross_validate
from handseg_bundle_common.tracking.out_of_fold import summary_text

__all__ = ["CrossValidation", "cross_validate", "summary_text"]
