"""Bundles at work: radiographs in, overlays and a submission out."""

from handseg_bundle_common.datasets.predictions import DISAGREEMENT, IMAGES, OVERLAYS, SUBMISSION
from handseg_bundle_common.inference.handlers import PredictionWriter
from handseg_bundle_common.inference.predict import predict
from handseg_bundle_common.inference.predictor import Prediction, Predictor, choose_device, load_predictor
from handseg_bundle_common.inference.results import (
    CONFIDENCE,
    ORIGIN,
    ResultsFolder,
)
from handseg_bundle_common.inference.sources import Source, find_sources

__all__ = [
    "CONFIDENCE",
    "DISAGREEMENT",
    "IMAGES",
    "ORIGIN",
    "OVERLAYS",
    "SUBMISSION",
    "Prediction",
    "PredictionWriter",
    "Predictor",
    "ResultsFolder",
    "Source",
    "choose_device",
    "find_sources",
    "load_predictor",
    "predict",
]
