"""Measures of segmented hands: bones, indices of the wrist and the palm, and gaps, as tables and as pictures."""

from handseg_bundle_common.measurements.bones import BoneMeasures
from handseg_bundle_common.measurements.figure import measures_overlay
from handseg_bundle_common.measurements.gaps import NEIGHBOURS, Gap
from handseg_bundle_common.measurements.hand import HandMeasures, measure_hand
from handseg_bundle_common.measurements.indices import Indices
from handseg_bundle_common.measurements.marks import Measure
from handseg_bundle_common.measurements.measure import Measured, measure
from handseg_bundle_common.measurements.results import BONES_TABLE, GAPS_TABLE, INDICES_TABLE
from handseg_bundle_common.measurements.scale import Scale, check_spacing, read_spacing
from handseg_bundle_common.measurements.sources import MaskSource, annotated_sources, predicted_sources

__all__ = [
    "BONES_TABLE",
    "GAPS_TABLE",
    "INDICES_TABLE",
    "NEIGHBOURS",
    "BoneMeasures",
    "Gap",
    "HandMeasures",
    "Indices",
    "MaskSource",
    "Measure",
    "Measured",
    "Scale",
    "annotated_sources",
    "check_spacing",
    "measure",
    "measure_hand",
    "measures_overlay",
    "predicted_sources",
    "read_spacing",
]
