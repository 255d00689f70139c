"""Scores of overlapping masks: plain functions, MONAI metric classes over them, and tables."""

from handseg_bundle_common.metrics.dice import (
    COMPETITION_EPS,
    BoneDice,
    OverlapZoneDice,
    dice,
    overlap_zone_dice,
)
from handseg_bundle_common.metrics.empty import COMPETITION, NOT_SCORED, OVERLAP_ZONE, EmptyMasks
from handseg_bundle_common.metrics.table import ScoreRow, per_bone_table, write_table

__all__ = [
    "COMPETITION",
    "COMPETITION_EPS",
    "NOT_SCORED",
    "OVERLAP_ZONE",
    "BoneDice",
    "EmptyMasks",
    "OverlapZoneDice",
    "ScoreRow",
    "dice",
    "overlap_zone_dice",
    "per_bone_table",
    "write_table",
]
