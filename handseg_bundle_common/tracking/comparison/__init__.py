"""Runs side by side: settings that differ, scores with intervals, learning curves, differences per bone."""

from handseg_bundle_common.tracking.comparison.results import compare_runs, log_comparison, write_comparison
from handseg_bundle_common.tracking.comparison.scores import Comparison
from handseg_bundle_common.tracking.comparison.text import comparison_text

__all__ = ["Comparison", "compare_runs", "comparison_text", "log_comparison", "write_comparison"]
