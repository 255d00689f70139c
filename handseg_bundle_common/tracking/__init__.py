"""Experiments of several runs: cross-validation."""

from handseg_bundle_common.tracking.cross_validation import cross_validate
from handseg_bundle_common.tracking.out_of_fold import summary_text
from handseg_bundle_common.tracking.plan import CrossValidation

__all__ = ["CrossValidation", "cross_validate", "summary_text"]
