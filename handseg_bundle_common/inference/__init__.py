"""Bundles at work: radiographs in, overlays and a submission out."""

from handseg_bundle_common.datasets.predictions import DISAGREEMENT, IMAGES, OVERLAYS, SUBMISSION
from handseg_bundle_common.inference.cohort import FAILURES, RECORDS
from handseg_bundle_common.inference.handlers import PredictionWriter
from handseg_bundle_common.inference.predict import Predicted, predict
from handseg_bundle_common.inference.predictor import Prediction, Predictor, choose_device, load_predictor
from handseg_bundle_common.inference.results import ORIGIN, ResultsFolder
from handseg_bundle_common.inference.segmenter import Failure, Segmenter, SegmenterSettings
from handseg_bundle_common.inference.sources import Source, find_sources
from handseg_bundle_common.inference.tables import CONFIDENCE

__all__ = [
    "CONFIDENCE",
    "DISAGREEMENT",
    "FAILURES",
    "IMAGES",
    "ORIGIN",
    "OVERLAYS",
    "RECORDS",
    "SUBMISSION",
    "Failure",
    "Predicted",
    "Prediction",
    "PredictionWriter",
    "Predictor",
    "ResultsFolder",
    "Segmenter",
    "SegmenterSettings",
    "Source",
    "choose_device",
    "find_sources",
    "load_predictor",
    "predict",
]
