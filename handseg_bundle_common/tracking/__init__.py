"""Experiments of several runs: cross-validation, and runs put into MLflow afterwards."""

from handseg_bundle_common.tracking.cross_validation import cross_validate
from handseg_bundle_common.tracking.log_run import LoggedRun, log_run
from handseg_bundle_common.tracking.out_of_fold import summary_text
from handseg_bundle_common.tracking.plan import CrossValidation

__all__ = ["CrossValidation", "LoggedRun", "cross_validate", "log_run", "summary_text"]
