"""What a configuration may call and say: everything else is refused.

The names are written out one by one. Whole packages would not do: `monai.utils.module.pdb.run` and
`handseg_bundle_common.files.os.system` are names in packages that do no harm.
"""

from __future__ import annotations

PACKAGE = "handseg_bundle_common"

_OWN = {
    "datasets": "find_images fold_split image_list sample_dir sample_folds with_extra_data",
    "datasets.seeded": "SeededBatchSampler SeededDataset",
    "engine": "BestWeights ExecutedConfig ExponentialMovingAverage GradientClipping LossSchedule MLflowTracker"
    " MetricsLog OverlayWriter PerBoneMetrics PerBoneTable RunFigures ScoresFile SeededEpochs SharedBuffers"
    " SubmissionFile TrainingCheckpoint WeightAveraging join_processes unique_run_name validation_sampler",
    "ensemble": "EnsembleNetwork load_ensemble",
    "errors": "explain_input_errors",
    "inference": "PredictionWriter",
    "losses": "DiceBCELoss DiceFocalLoss FocalTverskyLoss TverskyLoss",
    "metrics": "BoneDice BoundaryErrorRate HausdorffDistance95 MeanSurfaceDistance MultiLabelConfusion OverlapZoneDice"
    " PairOverlapDice SurfaceDice",
    "networks": "EffiSegNet SegFormer SwinUNETR UNetPlusPlus",
    "simulation": "SimulateHandd simulated_items",
    "transforms": "LoadBoneMasksd LoadRadiographd RandAppearanced RandWindowd ResizeRadiographd RestoreMasksd"
    " SaveProbabilitiesd ScaleRadiographd UnpackBoneMasksd inference_transforms training_transforms"
    " validation_postprocessing validation_transforms",
    "weights": "find_bundle load_weights required_file starting_weights",
    "windows": "BoneWindowInferer CanvasInferer WindowInferer window_inferer",
}
# Nothing here loads files, writes them, fetches anything or takes code as text. Networks that fetch weights when they
# are built (EfficientNetBN, FlexibleUNet) and losses that do (PerceptualLoss) are left out.
_OTHERS = {
    "ignite.handlers": "EarlyStopping ProgressBar TerminateOnNan",
    "ignite.metrics": "Average RunningAverage",
    "monai.data": "CacheDataset DataLoader Dataset",
    "monai.engines": "SupervisedEvaluator SupervisedTrainer",
    "monai.handlers": "EarlyStopHandler IgniteMetricHandler LrScheduleHandler MeanDice ValidationHandler",
    "monai.inferers": "SimpleInferer SlidingWindowInferer SlidingWindowInfererAdapt",
    "monai.losses": "DeepSupervisionLoss DiceCELoss DiceFocalLoss DiceLoss FocalLoss GeneralizedDiceLoss TverskyLoss",
    "monai.networks.nets": "AttentionUnet BasicUNet BasicUNetPlusPlus DynUNet SegResNet SegResNetDS SwinUNETR UNETR"
    " UNet VNet",
    "monai.optimizers": "LinearLR Novograd WarmupCosineSchedule",
    "monai.transforms": "Activationsd AsDiscreted Compose EnsureTyped MeanEnsembled VoteEnsembled",
    "torch": "device",
    "torch.nn": "BCEWithLogitsLoss Conv2d Identity L1Loss MSELoss Sigmoid",
    "torch.nn.parallel": "DistributedDataParallel",
    "torch.optim": "Adam AdamW NAdam RAdam RMSprop SGD",
    "torch.optim.lr_scheduler": "ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts ExponentialLR LinearLR"
    " MultiStepLR OneCycleLR PolynomialLR ReduceLROnPlateau SequentialLR StepLR",
    "torch.optim.swa_utils": "AveragedModel SWALR",
}

TARGETS: frozenset[str] = frozenset(
    f"{package}.{name}"
    for table in ({f"{PACKAGE}.{module}": names for module, names in _OWN.items()}, _OTHERS)
    for package, names in table.items()
    for name in names.split()
)
"""What `_target_` may name."""

ARGUMENTS: frozenset[str] = frozenset({"compile", "compile_kwargs"})
"""Arguments that nothing on the list may be given: the options of `torch.compile` name programs to start."""

IMPORTS: frozenset[str] = frozenset(
    {
        "import ignite.distributed as idist",
        "import monai",
        "import numpy as np",
        "import torch",
        "from handseg_bundle_common.simulation import SIMULATOR_VERSION",
        "from monai.handlers import from_engine",
    }
)
"""Import statements that a configuration may hold, each word for word: a name then means one thing only."""

# `min`, `max` and `sum` are left out: of text they take single letters, of which any other text could be made.
FUNCTIONS: frozenset[str] = frozenset(
    {
        *("abs", "bool", "float", "int", "len", "round", "str"),
        *("from_engine", "idist.device", "idist.get_rank", "idist.get_world_size", "monai.utils.set_determinism"),
        *("torch.cuda.is_available", "torch.cuda.device_count", "torch.device"),
        "torch.distributed.barrier",
        "torch.distributed.destroy_process_group",
    }
)
"""What an expression may call by name."""

VALUES: frozenset[str] = frozenset({"SIMULATOR_VERSION", "torch.float16", "torch.float32", "torch.bfloat16"})
"""What an expression may name without a call."""

METHODS: frozenset[str] = frozenset({"join", "parameters", "run", "startswith", "to"})
"""Methods that an expression may call on what a reference or another expression gives."""

ATTRIBUTES: frozenset[str] = frozenset({"ema_model", "module"})
"""Attributes that an expression may take of what a reference gives."""

FOLDERS: frozenset[str] = frozenset({"bundle_root", "ckpt_dir", "output_dir"})
"""Ids of the folders that a bundle writes to; a path in an expression begins with one of them."""
