"""Ignite handlers for training: clipping, checkpoints, seeds, per-bone metrics, logs, figures; several processes."""

from handseg_bundle_common.engine.checkpoints import BestWeights, TrainingCheckpoint
from handseg_bundle_common.engine.clipping import GradientClipping
from handseg_bundle_common.engine.distributed import SharedBuffers, join_processes, validation_sampler
from handseg_bundle_common.engine.figures import OverlayWriter
from handseg_bundle_common.engine.records import ExecutedConfig, MetricsLog, PerBoneMetrics, PerBoneTable
from handseg_bundle_common.engine.seeding import SeededEpochs
from handseg_bundle_common.engine.submission import SubmissionFile
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
    "SeededEpochs",
    "SharedBuffers",
    "SubmissionFile",
    "TrainingCheckpoint",
    "join_processes",
    "unique_run_name",
    "validation_sampler",
]
