"""Ignite handlers for training: averages, schedules, clipping, checkpoints, seeds, metrics, logs, several processes."""

from handseg_bundle_common.engine.averaging import ExponentialMovingAverage, WeightAveraging
from handseg_bundle_common.engine.checkpoints import BestWeights, TrainingCheckpoint
from handseg_bundle_common.engine.clipping import GradientClipping
from handseg_bundle_common.engine.distributed import SharedBuffers, join_processes, validation_sampler
from handseg_bundle_common.engine.figures import OverlayWriter
from handseg_bundle_common.engine.records import ExecutedConfig, MetricsLog
from handseg_bundle_common.engine.run_figures import RunFigures
from handseg_bundle_common.engine.schedules import LossSchedule
from handseg_bundle_common.engine.scores import PerBoneMetrics, PerBoneTable, ScoresFile
from handseg_bundle_common.engine.seeding import SeededEpochs
from handseg_bundle_common.engine.submission import SubmissionFile
from handseg_bundle_common.engine.tracking import MLflowTracker, unique_run_name

__all__ = [
    "BestWeights",
    "ExecutedConfig",
    "ExponentialMovingAverage",
    "GradientClipping",
    "LossSchedule",
    "MLflowTracker",
    "MetricsLog",
    "OverlayWriter",
    "PerBoneMetrics",
    "PerBoneTable",
    "RunFigures",
    "ScoresFile",
    "SeededEpochs",
    "SharedBuffers",
    "SubmissionFile",
    "TrainingCheckpoint",
    "WeightAveraging",
    "join_processes",
    "unique_run_name",
    "validation_sampler",
]
