"""Error analysis: what a model got wrong, image by image and bone by bone, as tables, figures and one report."""

from handseg_bundle_common.analysis.case import Case, analyse_case
from handseg_bundle_common.analysis.collect import Analysis, analyse, analysed_predictions
from handseg_bundle_common.analysis.compare import (
    Comparison,
    check_common,
    differences_table,
    pair_up,
    write_comparison,
)
from handseg_bundle_common.analysis.detection import find_faults
from handseg_bundle_common.analysis.faults import Fault, FaultKind
from handseg_bundle_common.analysis.sources import CaseSources, find_sources
from handseg_bundle_common.analysis.summary import summary_text
from handseg_bundle_common.analysis.tables import clear_results, write_tables

__all__ = [
    "Analysis",
    "Case",
    "CaseSources",
    "Comparison",
    "Fault",
    "FaultKind",
    "analyse",
    "analyse_case",
    "analysed_predictions",
    "check_common",
    "clear_results",
    "differences_table",
    "find_faults",
    "find_sources",
    "pair_up",
    "summary_text",
    "write_comparison",
    "write_tables",
]
