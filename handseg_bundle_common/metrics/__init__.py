"""Scores of overlapping masks: plain functions, MONAI metric classes over them, and tables."""

from handseg_bundle_common.metrics.bootstrap import (
    Interval,
    bootstrap_difference,
    bootstrap_interval,
    mean_over_bones,
)
from handseg_bundle_common.metrics.boundary import BoundaryErrorRate, boundary_error_rate
from handseg_bundle_common.metrics.case import CaseScores, case_scores
from handseg_bundle_common.metrics.confusion import (
    CONFUSION_LABELS,
    Confusion,
    MultiLabelConfusion,
    multi_label_confusion,
)
from handseg_bundle_common.metrics.crops import BoneCrop, bone_crops, score_crops
from handseg_bundle_common.metrics.cumulative import CumulativeBoneMetric
from handseg_bundle_common.metrics.dice import (
    COMPETITION_EPS,
    BoneDice,
    OverlapZoneDice,
    dice,
    overlap_zone_dice,
)
from handseg_bundle_common.metrics.differences import Difference, dice_difference, dice_differences
from handseg_bundle_common.metrics.empty import (
    BOUNDARY_BAND,
    COMPETITION,
    NOT_SCORED,
    OVERLAP_ZONE,
    SURFACE_DICE,
    SURFACE_DISTANCE,
    EmptyMasks,
)
from handseg_bundle_common.metrics.label_sets import LabelSets, label_sets
from handseg_bundle_common.metrics.pairs import PAIR_NAMES, PairOverlapDice, pair_overlap_dice
from handseg_bundle_common.metrics.scores import ImageScores, read_scores, write_scores
from handseg_bundle_common.metrics.shape_errors import ShapeErrors, shape_errors
from handseg_bundle_common.metrics.surface import (
    HausdorffDistance95,
    MeanSurfaceDistance,
    SurfaceDice,
    hausdorff_distance,
    mean_surface_distance,
    surface_dice,
)
from handseg_bundle_common.metrics.table import ScoreRow, per_bone_table, write_table

__all__ = [
    "BOUNDARY_BAND",
    "COMPETITION",
    "COMPETITION_EPS",
    "CONFUSION_LABELS",
    "NOT_SCORED",
    "OVERLAP_ZONE",
    "PAIR_NAMES",
    "SURFACE_DICE",
    "SURFACE_DISTANCE",
    "BoneCrop",
    "BoneDice",
    "BoundaryErrorRate",
    "CaseScores",
    "Confusion",
    "CumulativeBoneMetric",
    "Difference",
    "EmptyMasks",
    "HausdorffDistance95",
    "ImageScores",
    "Interval",
    "LabelSets",
    "MeanSurfaceDistance",
    "MultiLabelConfusion",
    "OverlapZoneDice",
    "PairOverlapDice",
    "ScoreRow",
    "ShapeErrors",
    "SurfaceDice",
    "bone_crops",
    "bootstrap_difference",
    "bootstrap_interval",
    "boundary_error_rate",
    "case_scores",
    "dice",
    "dice_difference",
    "dice_differences",
    "hausdorff_distance",
    "label_sets",
    "mean_over_bones",
    "mean_surface_distance",
    "multi_label_confusion",
    "overlap_zone_dice",
    "pair_overlap_dice",
    "per_bone_table",
    "read_scores",
    "score_crops",
    "shape_errors",
    "surface_dice",
    "write_scores",
    "write_table",
]
