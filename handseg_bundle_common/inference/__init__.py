"""Bundles at work: radiographs in, overlays and a submission out."""

from handseg_bundle_common.inference.handlers import PredictionWriter
from handseg_bundle_common.inference.predict import OVERLAYS, SUBMISSION, predict
from handseg_bundle_common.inference.predictor import Predictor, choose_device, load_predictor
from handseg_bundle_common.inference.sources import Source, find_sources, overlay_name

__all__ = [
    "OVERLAYS",
    "SUBMISSION",
    "PredictionWriter",
    "Predictor",
    "Source",
    "choose_device",
    "find_sources",
    "load_predictor",
    "overlay_name",
    "predict",
]
