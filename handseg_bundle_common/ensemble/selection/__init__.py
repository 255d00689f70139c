"""Choosing members: which models are best together, and whether weights and thresholds of each bone help them."""

from handseg_bundle_common.ensemble.selection.nested import Tuned
from handseg_bundle_common.ensemble.selection.objective import Objective
from handseg_bundle_common.ensemble.selection.report import ensemble_settings, selection_text, write_selection
from handseg_bundle_common.ensemble.selection.select import ModelScores, Selection, select_members

__all__ = [
    "ModelScores",
    "Objective",
    "Selection",
    "Tuned",
    "ensemble_settings",
    "select_members",
    "selection_text",
    "write_selection",
]
