"""Ignite handlers for training: clipping, checkpoints, per-bone metrics, logs and figures."""

from handseg_bundle_common.engine.checkpoints import BestWeights, TrainingCheckpoint
from handseg_bundle_common.engine.clipping import GradientClipping
from handseg_bundle_common.engine.figures import OverlayWriter
from handseg_bundle_common.engine.records import ExecutedConfig, MetricsLog, PerBoneMetrics, PerBoneTable
from handseg_bundle_common.engine.tracking import MLflowTracker, unique_run_name

__all__ = [
    "BestWeights",
    "ExecutedConfig",
    "GradientClipping",
    "MLflowTracker",
    "MetricsLog",
    "OverlayWriter",
    "PerBoneMetrics",
    "PerBoneTable",
    "TrainingCheckpoint",
    "unique_run_name",
]
